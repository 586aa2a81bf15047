"""Check what only a real board can tell: `make check-board DEV= [BOARD= COAP= OUT=]`.

Takes ten minutes at most, and asks to move the contact. Writes check-board.json and
check-board.txt, without any password, key or address. The board's main.py, settings and keys are
as before when it ends, also by Ctrl-C.
"""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from check_board.checks import CHECKS, Bench, NotHere, Wrong  # noqa: E402
from check_board.line import Line, Silent  # noqa: E402
from check_board.report import FAILED, NOT_HERE, PASSED, Report, Result  # noqa: E402
from host.device import add_device_arguments, check_ports, find_board  # noqa: E402
from setup.console import ROOT, Arguments, Problem, fail  # noqa: E402

OUT = ROOT / "build" / "check-board"
NAMES = tuple(check.__name__ for check in CHECKS)
FIRST = "identity"


def main(argv: list[str]) -> int:
    """Check the board; return the exit code. Raises Problem."""
    options = parse(argv)
    check_ports(options.dev, options.port)
    if options.board:
        find_board(options.board)
    line = Line(options.dev)
    try:
        line.exec("print(1)")
    except Silent as silent:
        raise Problem(
            f"DEV={options.dev}: {silent}: connect the board, or name its serial device"
        ) from None
    report = Report(options.out)
    bench = Bench(line, ask, options.board, options.coap, options.topics)
    try:
        for check in CHECKS:
            if check.__name__ in options.only:
                result = attempt(check, bench)
                report.add(result)
                if check.__name__ == FIRST and result.outcome == FAILED:
                    break  # the others would fail for the same reason
    finally:
        try:
            line.end()
        except Silent as silent:
            print(f"The board is not as before ({silent}): run `make deploy` again", flush=True)
    print(f"\n{report.summary()}\nThe reports are in {options.out}: send either", flush=True)
    return 1 if report.has_failed() else 0


def attempt(check, bench: Bench) -> Result:
    """Run a check; return its result."""
    start_s = time.monotonic()
    values: dict = {}
    try:
        text, values = check(bench)
        outcome = PASSED
    except NotHere as why:
        outcome, text = NOT_HERE, str(why)
    except Wrong as why:
        outcome, text, values = FAILED, str(why), why.values
    except (Silent, KeyError, ValueError) as why:
        outcome, text = FAILED, f"{type(why).__name__}: {why}"
    return Result(check.__name__, outcome, text, values, round(time.monotonic() - start_s, 1))


def ask(text: str) -> None:
    """Ask the person at the board for something."""
    print(f">>>     {text}", flush=True)


def parse(argv: list[str]):
    """Return the command line as a namespace."""
    parser = Arguments(prog="check-board", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", default="", help="the board that it should be")
    parser.add_argument("--coap", type=address, help="HOST:PORT of the node, if not by Wi-Fi")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the reports")
    parser.add_argument("--only", type=names, default=NAMES, help=", ".join(NAMES))
    parser.add_argument("--topics", default="", help="topics of the conformance checks")
    add_device_arguments(parser)
    return parser.parse_args(argv)


def names(text: str) -> tuple[str, ...]:
    """Return the names of checks, for argparse."""
    found = (FIRST, *text.split(","))
    unknown = [one for one in found if one not in NAMES]
    if unknown:
        raise ValueError(unknown[0])
    return found


def address(text: str) -> tuple[str, int] | None:
    """Return (host, port), for argparse."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host:
        raise ValueError(text)
    return host, int(port)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except Problem as problem:
        fail(problem)
