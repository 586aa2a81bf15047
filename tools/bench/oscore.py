"""What OSCORE costs on this computer: `make bench-oscore`.

One node on MicroPython serves the same GET in the clear and under OSCORE, in turns, so that both
see the same machine; its own time is counted, socket and all, in the fastest round of each. Exit
code 1 when the ratio of both rates is below the floor.
"""

import json
import os
import subprocess
import sys

import programs

from fold import folded

FLOOR = 0.25  # under OSCORE, of an open GET, which Access no longer slows down
HEAP = "48m"


def measure():
    """Return what oscore_node.py prints: a dict of rates and bytes. Raises Problem."""
    root = folded()
    program = root / "tools" / "bench" / "oscore_node.py"
    command = [programs.micropython(), "-X", f"heapsize={HEAP}", program]
    environ = {**os.environ, "MICROPYPATH": f"{root / 'lib'}:{root / 'tests'}:.frozen"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise programs.Problem((done.stdout + done.stderr).strip().splitlines()[-1])
    return json.loads(done.stdout)


def main():
    """Print rates, their ratio, and bytes of heap."""
    try:
        found = measure()
    except programs.Problem as problem:
        print(f"bench-oscore: {problem}", file=sys.stderr)
        return 2
    for title, name in (("in the clear", "plain"), ("under OSCORE", "protected")):
        rate, each = found[name + "_rps"], found[name + "_bytes"]
        print(f"{title}: {rate} requests/s, {each} bytes of heap each")
    ratio = found["protected_rps"] / found["plain_rps"]
    print(f"ratio: {ratio:.2f} (floor {FLOOR})")
    context, cipher = found["context_bytes"], found["cipher_bytes"]
    print(f"a context: {context} bytes of heap, {cipher} of them of cryptolib's ciphers")
    print(f"the extension: {found['extension_bytes']} bytes of heap, with 1 KiB of payload")
    return 0 if ratio >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
