"""One boot of the firmware: boot.py and main.py with the modules of a simulated chip.

Runs on MicroPython.
"""

import gc
import sys

PROGRAMS = ("boot.py", "main.py")


def run_programs(folder, modules, kept, prepare=None):
    """Run the programs of `folder` as a board does after a reset, until they end or raise.

    modules: {name: module} of the chip, in place of this computer's; kept: names of the modules
    that survive, all others are imported anew; prepare(): called before the first program.
    """
    for name in list(sys.modules):
        if name not in kept:
            del sys.modules[name]
    sys.modules.update(modules)
    gc.collect()
    if prepare is not None:
        prepare()
    try:
        for program in PROGRAMS:
            with open(folder + "/" + program) as file:
                exec(file.read(), {"__name__": "__main__"})
    finally:
        for name in modules:
            sys.modules.pop(name, None)
