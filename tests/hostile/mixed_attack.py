"""A mixed attack on one node with keys, in 96 KiB of heap, while others go on using it.

`make test-hostile SECONDS=600` prints what came of it; the test runs it for 20 s.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from attackers import Attackers
from processes import simulated

ADDRESSES = 1000
THERE = 100  # of these addresses are real, and verified
PER_S = 500
HEAP = "96k"
RATE = "20"
TOGGLE_S = 10
SETTLE_S = 3
LEGITIMATE = Path(__file__).with_name("legitimate.py")


@dataclass
class Outcome:
    """What came of an attack of `seconds`: requests {kind: (sent, served)}, their failures {why:
    count}, the longest waits {observer: s} for a change, bytes to forged addresses beyond both 3
    times what was sent from them and 136 bytes each, datagrams of the attack.
    """

    seconds: float
    requests: dict
    failures: dict
    waits_s: dict
    beyond: int
    attack: int

    def __str__(self):
        lines = [f"{self.attack:,} datagrams in {self.seconds:.0f} s"]
        for kind, (sent, served) in self.requests.items():
            lines.append(f"{kind}: {served:,} of {sent:,} served, {share(sent, served):.1%}")
        for observer, wait_s in self.waits_s.items():
            lines.append(f"{observer}: told within {wait_s:.1f} s at worst")
        lines.append(f"beyond 3x and 136 B to forged addresses: {self.beyond:,} B")
        lines += [f"failed, {why}: {count}" for why, count in sorted(self.failures.items())]
        return "\n".join(lines)


def share(sent, served):
    """Return the share of requests that were served."""
    return served / sent if sent else 0


def attack(made, seconds):
    """Attack a node with the keys in the folder `made` for so many seconds; return the Outcome."""
    keys = str(made / "oscore.json")
    arguments = ("--heap", HEAP, "--rate", RATE, "--oscore", keys)
    with simulated("micropython", "door", *arguments) as node, served(node.url, made) as clients:
        port = int(node.url.rpartition(":")[2])
        toggles = []

        def each_s(second):
            if second % TOGGLE_S == SETTLE_S:
                toggles.append([time.monotonic(), "open" if len(toggles) % 2 == 0 else "closed"])
                word = "door open\n" if toggles[-1][1] == "open" else "door close\n"
                node.process.stdin.write(word)
                node.process.stdin.flush()

        with Attackers(port, ADDRESSES, THERE) as attackers:
            attackers.run(PER_S, seconds, each_s=each_s)
            end_s = time.monotonic()
            found = clients()
            assert node.process.poll() is None, node.printed
            return outcome(found, attackers, toggles, seconds, end_s)


@contextlib.contextmanager
def served(url, made):
    """Run the clients; the function that the block gets ends them and returns what they tell."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    with subprocess.Popen(
        [sys.executable, LEGITIMATE, url, made],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(SETTLE_S)

        def end():
            process.stdin.close()
            return json.loads(process.stdout.readline())

        try:
            yield end
        finally:
            process.kill()


def outcome(found, attackers, toggles, seconds, end_s):
    """Return the Outcome."""
    kinds = sorted(found["sent"])
    requests = {kind: (found["sent"][kind], found["served"].get(kind, 0)) for kind in kinds}
    waits_s = {
        observer: max([wait(notices, toggles, i, end_s) for i in range(len(toggles))], default=0)
        for observer, notices in found["notices"].items()
    }
    return Outcome(seconds, requests, found["failures"], waits_s, attackers.beyond, attackers.sent)


def wait(notices, toggles, i, end_s):
    """Return the seconds from a change until an observer knew the state that there was then."""
    changed_s = toggles[i][0]
    known = [
        when for when, payload in notices if when >= changed_s and payload == state(toggles, when)
    ]
    return min([*known, end_s]) - changed_s


def state(toggles, when):
    """Return the state of the door at a time."""
    return [word for changed_s, word in toggles if changed_s <= when][-1]
