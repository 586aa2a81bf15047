"""How tools/simulator treats a node that misbehaves, tried with stand-ins for the node."""

import signal
import subprocess
import sys

import pytest
from running import is_alive, running, wait_until

DRIVER = """
import os, sys
from simulator.launch import process
process.END_LIMIT_S = 0.5
from setup.console import Problem, fail
start_limit_s = float(os.environ.get("START_LIMIT", process.START_LIMIT_S))
toggle_period_s = float(os.environ.get("TOGGLE", 0)) or None
try:
    argv = [sys.executable, "-u", "-c", sys.argv[1]]
    url = "coap://127.0.0.1:5683"
    node = process.NodeProcess()
    sys.exit(node.run(argv, os.environ, url, None, toggle_period_s, start_limit_s))
except Problem as problem:
    fail(problem)
"""
READY = "import sys, time; print('ready coap://x:1')\n"


def driven(node, **options):
    return running([sys.executable, "-c", DRIVER, node], **options)


@pytest.mark.parametrize(
    ("node", "code", "said"),
    [
        ("raise ValueError('no sensor')", 1, "ValueError: no sensor"),
        ("import sys; sys.exit('no sensor')", 1, "no sensor"),
        ("import sys; sys.exit(3)", 1, "the node ended by itself: exit code 3"),
        ("pass", 1, "the node ended by itself: exit code 0"),
        ("import os; os.abort()", 1, "the node ended by itself: signal SIGABRT"),
        # MicroPython's way: on stdout.
        (
            "print('Traceback (most recent call last):\\n  File x\\nMemoryError: no'); exit(1)",
            1,
            "MemoryError: no",
        ),
        ("import sys; print('error: more heap', file=sys.stderr); exit(2)", 2, "error: more heap"),
        (
            "import errno, os; raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))",
            2,
            "UDP port 5683 of 127.0.0.1 is in use: choose another, `make run PORT=5684`",
        ),
        (
            "print('Traceback (most recent call):\\nOSError: [Errno 98] EADDRINUSE'); exit(1)",
            2,
            "UDP port 5683 of 127.0.0.1 is in use: choose another, `make run PORT=5684`",
        ),
    ],
)
def test_a_node_that_does_not_start_is_one_line(node, code, said):
    with driven(node) as program:
        assert program.end() == code
        assert program.errors == [said]


def test_a_node_that_starts_too_slowly_is_one_line():
    with driven("import time; time.sleep(60)", environ={"START_LIMIT": "0.5"}) as program:
        assert program.end() == 2
        assert program.errors == ["the node did not start within 0.5 s"]


def test_errors_of_a_running_node_are_shown_at_once():
    node = READY + "print('log: first', file=sys.stderr); sys.stdin.readline(); sys.exit(4)"
    with driven(node) as program:
        program.line("ready coap://127.0.0.1:5683")
        assert wait_until(lambda: program.errors == ["log: first"])
        program.type("")
        assert program.end() == 1
        assert program.errors == ["log: first", "the node ended by itself: exit code 4"]


def test_a_node_that_ignores_the_interrupt_is_killed():
    node = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + READY
    node += "time.sleep(60)"
    with driven(node) as program:
        program.line("ready")
        (child,) = program.children()
        assert program.signal(signal.SIGTERM) == 0
        assert not is_alive(child)


def test_a_signal_before_the_node_is_ready():
    with driven("import time; print('starting'); time.sleep(60)") as program:
        program.line("starting")
        assert program.signal(signal.SIGINT) == 0
        assert program.errors == []


def test_a_node_that_reads_slowly_gets_every_line():
    node = (
        READY + "time.sleep(0.3); print(sum(1 for line in sys.stdin if line == 'x' * 99 + '\\n'))"
    )
    with driven(node) as program:
        program.line("ready")
        for _ in range(5000):
            program.type("x" * 99)
        program.process.stdin.close()
        # The node's own stdin stays open, so that it still waits for more.
        assert not wait_until(lambda: program.process.poll() is not None, 0.6)
        assert program.signal(signal.SIGTERM) == 0


def test_toggling_starts_when_the_node_is_ready():
    node = "import sys, time; time.sleep(0.2); print('ready coap://x:1')\n"
    node += "for line in sys.stdin: print('line', repr(line))"
    with driven(node, environ={"TOGGLE": "0.1"}) as program:
        program.line("line '\\n'")
        program.line("line '\\n'")


def test_it_ends_quietly_when_nobody_reads_its_output():
    node = READY + "\nfor line in sys.stdin: print(line)"
    with driven(node) as program:
        program.line("ready")
    argv = [sys.executable, "-c", DRIVER, READY + "\nwhile True: print('x'); time.sleep(0.01)"]
    with running(["sh", "-c", '"$@" | head -1', "sh", *argv], stdin=subprocess.DEVNULL) as program:
        program.line("ready")
        assert program.end() == 0
        assert program.errors == []
