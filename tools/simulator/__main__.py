"""Run a simulated node on this computer: the boards' own application files, on UDP.

    python3 tools/simulator --app both --port 5683
    python3 tools/simulator --board pico
    python3 tools/simulator --power battery --app door --speed 60

Prints `ready coap://HOST:PORT` when the node listens. Lines on stdin change its sensors; SIGINT
and SIGTERM end it with exit code 0. Needs `make setup` once, and no package of its own.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from setup.console import ROOT, Problem, fail  # noqa: E402
from simulator.launch import arguments, node_command  # noqa: E402
from simulator.launch.console import Console  # noqa: E402
from simulator.launch.process import START_LIMIT_S, NodeProcess  # noqa: E402

TOGGLE_PERIOD_S = 5
# An emulated Pico may start twice, to change its application, each time up to 45 s of its own
# time, which passes slower on a busy computer. The emulator reports failures earlier.
PICO_START_LIMIT_S = 240


def main(argv):
    """Run the node until a signal ends it; return the exit code."""
    process = NodeProcess()
    options = arguments.parse(argv)
    if not (ROOT / ".venv" / "stamp").exists():
        raise Problem("the set-up is missing: run `make setup` once")
    options.host, options.port = arguments.check_address(options.host, options.port)
    play = options.play or is_terminal(sys.stdout)
    by_itself = play and not is_terminal(sys.stdin) and options.app in ("door", "both", None)
    if options.board:
        command, environ, title = node_command.emulated_pico(options)
        if play:
            print("The emulated Pico starts: some seconds", flush=True)
    elif options.power == "battery":
        command, environ, title = node_command.on_battery(options)
    else:
        command, environ, title = node_command.simulated(options)
    console = Console(
        options.app, options.host, options.port, title, by_itself, speed=options.speed
    )
    if options.board:
        console.notes = lambda: node_command.pico_notes(options, process.device)
    return process.run(
        command,
        environ,
        f"coap://{arguments.bracketed(options.host)}:{options.port}",
        on_ready=console.show if play else None,
        toggle_period_s=TOGGLE_PERIOD_S if by_itself else None,
        start_limit_s=PICO_START_LIMIT_S if options.board else START_LIMIT_S,
    )


def is_terminal(stream):
    """Return True if the stream is a terminal; a closed stream is None."""
    return stream is not None and stream.isatty()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        fail(problem)
