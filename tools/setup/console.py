"""Shared by all host tools: errors in one line, quiet child processes, locks."""

import argparse
import contextlib
import fcntl
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache"


class Problem(Exception):
    """An error that the user can correct; its text is one line that names the fix."""


class Arguments(argparse.ArgumentParser):
    """A command line parser that reports each mistake in one line, with exit code 2."""

    def error(self, message):
        """Print the message in one line and end the program."""
        message = " ".join(message.removeprefix("argument ").splitlines())
        fail(f"{self.prog}: {message}; --help lists the arguments")


def say(line):
    """Print one line at once, so that it precedes a child's own output."""
    print(line, flush=True)


def fail(problem):
    """End the program with one line on stderr and exit code 2."""
    print(problem, file=sys.stderr, flush=True)
    raise SystemExit(2)


def run(argv, what, cache=CACHE, **options):
    """Run a program quietly; write its output to a log, whose last line a failure names.

    Raises:
        Problem: the program is missing or ended with another code than 0.
    """
    argv = [str(word) for word in argv]
    log = cache / "log" / f"{what.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", errors="replace") as stream:
        stream.write(f"$ {shlex.join(argv)}\n")
        stream.flush()
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, **options
            )
        except OSError as error:
            raise Problem(f"{what}: cannot start {argv[0]}: {error.strerror}") from None
    if done.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise Problem(f"{what} failed: {lines[-1].strip()} (whole output: {log})")


@contextlib.contextmanager
def lock(name, cache=CACHE):
    """Let one process at a time do a step; the others wait and then find it done."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
