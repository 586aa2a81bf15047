"""`python3 tools/setup STEP`: what the Makefile calls.

Steps: all, gateway, browser, oldest, frozen, interpreter.

`firmware BOARD` and `qemu MACHINE` take what follows as their own arguments.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from setup import firmware, interpreter, micropython, packages, qemu  # noqa: E402
from setup.console import Problem, fail, lock, say  # noqa: E402


def everything():
    """Set up this computer; raise Problem when a step that everything needs fails."""
    with lock("setup"):
        attempt(lambda: packages.require(packages.EVERYDAY, "a complete set-up"), "some tests")
        packages.install_from_pypi()
        attempt(packages.install_from_npm, "tests with node's client and pyright")
        attempt(lambda: packages.libcoap(packages.LIBCOAP_CLIENT), "tests with libcoap")
        get_interpreter()


def gateway():
    """Install what the gateway needs."""
    with lock("setup"):
        packages.install_for_gateway()


def browser():
    """Install the browser that opens the gateway's page in tests, and what checks its service."""
    packages.require(packages.GATEWAY_TESTS, "a test of the gateway")


def attempt(step, lost):
    """Run a step; where it cannot be done, say in one line why, and what is lost."""
    try:
        step()
    except Problem as problem:
        say(f"Left out are {lost}: {problem}")


def get_interpreter():
    """Return the MicroPython that is found, or else built."""
    try:
        found, refused = interpreter.find()
    except Problem as problem:
        if os.environ.get("MICROPYTHON"):
            raise
        say(f"{problem}; building one")
        micropython.oldest()
        found, refused = interpreter.find()
    for line in refused:
        say(f"Passed over: {line}")
    return found


STEPS = {
    "all": everything,
    "oldest": lambda: attempt(micropython.oldest, f"tests on MicroPython {micropython.VERSION}"),
    "frozen": lambda: attempt(micropython.frozen, "tests in a small heap"),
    "gateway": gateway,
    "browser": lambda: attempt(browser, "tests of the gateway"),
    "interpreter": lambda: say(str(get_interpreter())),
}
WITH_ARGUMENTS = {"firmware": firmware.work, "qemu": qemu.work}


def main(argv):
    """Run the steps named on the command line, or all of the set-up."""
    try:
        if argv and argv[0] in WITH_ARGUMENTS:
            WITH_ARGUMENTS[argv[0]](argv[1:])
            return
        for name in argv or ["all"]:
            if name not in STEPS:
                raise Problem(f"unknown step {name}: use {', '.join([*STEPS, *WITH_ARGUMENTS])}")
            STEPS[name]()
    except Problem as problem:
        fail(problem)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main(sys.argv[1:])
