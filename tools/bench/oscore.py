"""What OSCORE costs on this computer: `make bench-oscore`.

One node on MicroPython answers the same GET in the clear and under OSCORE, in turns, so that both
see the same machine; its own time is counted, socket and all, in the fastest round of each. Prints
requests a second and their ratio, bytes asked of the heap per request, and the heap of a context.
Exit code 1 below the floor.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from setup.console import Problem, fail  # noqa: E402
from setup.interpreter import find  # noqa: E402

WORK = ROOT / "tools" / "bench" / "oscore_node.py"
FLOOR = 0.35
HEAP = "48m"


def main():
    try:
        interpreter, _ = find(ROOT, os.environ)
    except Problem as problem:
        fail(problem)
    command = [str(interpreter.path.absolute()), "-X", f"heapsize={HEAP}", str(WORK)]
    environ = {**os.environ, "MICROPYPATH": "lib:tests:.frozen"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    if done.returncode:
        print((done.stdout + done.stderr).strip().splitlines()[-1], file=sys.stderr)
        return 2
    found = json.loads(done.stdout)
    ratio = found["secured_rps"] / found["plain_rps"]
    for title, name in (("in the clear", "plain"), ("under OSCORE", "secured")):
        rate, each = found[name + "_rps"], found[name + "_bytes"]
        print(f"{title}: {rate} requests/s, {each} bytes of heap each")
    print(f"ratio: {ratio:.2f} (floor {FLOOR})")
    kept, cipher = found["context_bytes"], found["cipher_bytes"]
    print(f"a context: {kept} bytes of heap, {cipher} of them of cryptolib's ciphers")
    print(f"the feature: {found['feature_bytes']} bytes of heap, buffers for 1 KiB of payload")
    return 0 if ratio >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
