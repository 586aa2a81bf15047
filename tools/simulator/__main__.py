"""Runs a simulated node on this computer: the boards' own application files, on UDP.

    python3 tools/simulator --app both --port 5683
    python3 tools/simulator --board pico

Prints `ready coap://HOST:PORT` when the node listens. Lines on stdin change its sensors; SIGINT
and SIGTERM end it with exit code 0. Needs `make setup` once, and no package of its own.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from setup.console import ROOT, Problem, fail  # noqa: E402
from simulator.launch import arguments  # noqa: E402
from simulator.launch.address import bracketed, free_address  # noqa: E402
from simulator.launch.command import command  # noqa: E402
from simulator.launch.console import Banner  # noqa: E402
from simulator.launch.process import START_LIMIT_S, Child  # noqa: E402

DOOR_PERIOD_S = 5


def main(argv):
    """Runs the node until it is told to end; returns the exit code."""
    child = Child()
    options = arguments.parse(argv)
    if not (ROOT / ".venv" / "stamp").exists():
        raise Problem("the set-up is missing: run `make setup` once")
    options.host, options.port = free_address(options.host, options.port)
    if options.board:
        from simulator.launch import emulated

        argv, environ, title = emulated.command(options)
        start_limit_s = emulated.START_LIMIT_S
    else:
        argv, environ, title = command(options)
        start_limit_s = START_LIMIT_S
    url = f"coap://{bracketed(options.host)}:{options.port}"
    play = options.play or is_terminal(sys.stdout)
    by_itself = play and not is_terminal(sys.stdin) and options.app in ("door", "both", None)
    banner = Banner(options.app, options.host, options.port, title, by_itself)
    if options.board:
        banner.notes = lambda: emulated.notes(options, child.device)
        if play:
            print("The emulated Pico starts: some seconds", flush=True)
    return child.run(
        argv,
        environ,
        url,
        on_ready=banner.show if play else None,
        toggle_period_s=DOOR_PERIOD_S if by_itself else None,
        start_limit_s=start_limit_s,
    )


def is_terminal(stream):
    """True when a person sits at this stream; a closed one is None."""
    return stream is not None and stream.isatty()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        fail(problem)
