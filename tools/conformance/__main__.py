"""Checks CoAP servers against the RFCs and the public plugtest: `make conformance`.

    python tools/conformance [--servers NAME,...] [--only TOPIC,...] [--no-clients]

Runs tests/conformance, which prints a matrix: section of the RFC, behaviour, result of each
server; then the reason of each failure. Exit code 1 when Mote fails anything or a server does not
run, 2 when nothing could be checked.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

from setup.console import Arguments  # noqa: E402

TESTS = "tests/conformance"
BEHAVIOURS = f"{TESTS}/test_behaviours.py::test_behaviour"
CLIENTS = (f"{TESTS}/test_foreign_clients.py", f"{TESTS}/test_lossy_network.py")
USUAL = ("mote-micropython", "mote-cpython", "mote-oscore", "aiocoap", "libcoap")
SERVERS = (*USUAL, "mote-pico", "mote-pico-oscore", "board")
TOPICS = tuple(
    sorted(file.stem for file in (ROOT / TESTS / "checks").glob("*.py") if file.stem[0] != "_")
)


def main(argv):
    """Return the exit code."""
    options = parse(argv)
    tests = [BEHAVIOURS, *(CLIENTS if options.clients else ())]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    if options.clients:
        command += ["-n", str(len(tests)), "--dist", "loadfile"]
    command += ["--servers", options.servers, "--only", options.only]
    code = subprocess.run([*command, *tests], cwd=ROOT).returncode
    return code if code in (0, 1) else 2


def parse(argv):
    """Return the options; end the program when they are wrong."""
    parser = Arguments(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--servers", type=names_of(SERVERS), default=",".join(USUAL), help=", ".join(SERVERS))
    add("--only", type=names_of(TOPICS), default=",".join(TOPICS), help=", ".join(TOPICS))
    add("--no-clients", dest="clients", action="store_false", help="without foreign clients")
    return parser.parse_args(argv)


def names_of(known):
    """Return a function that checks names separated by commas."""

    def parse_names(text):
        """Return the text. Raises ArgumentTypeError for an unknown name."""
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"no '{name}': take of {', '.join(known)}")
        return text

    return parse_names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
