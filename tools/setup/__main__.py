"""`python3 tools/setup STEP`: what the Makefile calls. Steps: all, oldest, frozen, interpreter.

`firmware BOARD` and `qemu MACHINE` take what follows as their own arguments.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from setup import environment, firmware, interpreter, libcoap, qemu, source  # noqa: E402
from setup.console import Problem, fail, lock, say  # noqa: E402


def everything():
    """Sets up this computer; raises Problem when a step that everything needs fails."""
    environment.check_python()
    with lock("setup"):
        environment.install_packages()
        environment.install_python_packages()
        try:
            environment.install_npm_packages()
        except Problem as problem:
            say(f"{problem}; tests with node's client cannot run")
        try:
            libcoap.fetched()
        except Problem as problem:
            say(f"{problem}; tests with libcoap under OSCORE cannot run")
        get_interpreter()


def get_interpreter():
    """Finds a MicroPython or builds one; returns it."""
    try:
        found, refused = interpreter.find()
    except Problem as problem:
        if os.environ.get("MICROPYTHON"):
            raise
        say(f"{problem}; building one")
        source.oldest()
        found, refused = interpreter.find()
    for line in refused:
        say(f"Passed over: {line}")
    return found


def oldest():
    """Builds the oldest supported MicroPython; where that cannot be, says so in one line."""
    try:
        return source.oldest()
    except Problem as problem:
        say(f"Tests on MicroPython {source.VERSION} are left out: {problem}")
    return None


def frozen():
    """Builds the interpreter that a small heap takes; where it cannot be, says so in one line."""
    from simulator.launch.command import manifest

    try:
        source.frozen(*manifest())
    except Problem as problem:
        say(f"Tests in a small heap are left out: {problem}")


STEPS = {
    "all": everything,
    "oldest": oldest,
    "frozen": frozen,
    "interpreter": lambda: say(str(get_interpreter())),
}
WITH_ARGUMENTS = {
    "firmware": firmware.work,
    "qemu": qemu.work,
}


def main(argv):
    """Runs the steps named on the command line, or all of the set-up."""
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
