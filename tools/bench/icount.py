"""Instructions per operation on a Cortex-M3 and a RISC-V core: `make bench-icount [RENEW=1]`.

QEMU's -icount makes time pass by instructions alone, so that a count repeats on any computer. The
engine runs without a socket: a datagram in, its response out (tools/qemu/measure.py). Exit code 1
when an operation takes more than tools/size/budget.json allows; RENEW=1 writes that.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tools"), str(ROOT / "tests")]

from plugin.emulated import Repl  # noqa: E402
from setup import qemu  # noqa: E402
from setup.console import Arguments, Problem  # noqa: E402
from size import budget  # noqa: E402

MACHINES = ("MPS2_AN385", "VIRT_RV32")
# An instruction takes 2**5 ns of the machine's time; idle time is not slept through.
ICOUNT = ("-icount", "shift=5,align=off,sleep=off")
TIMEOUT_S = 360
MAY_GROW_PCT = 5
# A new name anywhere may move a count by some per cent: MicroPython's cache of map lookups
# (MICROPY_OPT_MAP_LOOKUP_CACHE) has one place for all names whose numbers are equal modulo 64.
FIX = "make it cheaper, perhaps by another name, or accept it: `make bench-icount RENEW=1`"
NOTE = """
"nothing" is the measuring loop with an empty function; it is part of every other row. At one to
two cycles an instruction, 16,000 take 0.1 to 0.2 ms of an ESP32-C3 at 160 MHz, without its flash
cache and IP stack. An RP2040's Cortex-M0+ has no Thumb-2 and executes more than the Cortex-M3."""


def count():
    """Return {"instructions of" a machine: {operation: instructions of one}}.

    Raises Problem when an image cannot be built here, or a machine does not respond.
    """
    return {
        f"instructions of {machine.title}": parse(printed(machine))
        for machine in (qemu.MACHINES[name] for name in MACHINES)
    }


def printed(machine):
    """Return what measure.main() prints on a machine. Raises Problem."""
    repl = Repl(machine.command(qemu.build(machine), *ICOUNT))
    try:
        code = "import measure\nmeasure.main()"
        result = repl.start() or repl.run(code, TIMEOUT_S, "counting")
    finally:
        repl.close()
    if not result.passed:
        raise Problem(f"{machine.title}: {result.message}")
    return result.output


def parse(output):
    """Return {operation: instructions of one} of lines with operation, ticks and calls."""
    rows = {}
    for line in output.splitlines():
        name, ticks, times = line.split()
        rows[name] = int(ticks) / int(times)
    per_instruction = rows.pop("calibration")
    return {name: round(ticks / per_instruction) for name, ticks in rows.items()}


def print_table(counted, before):
    """Print instructions beside those of the budget."""
    print(f"{'':20}" + "".join(f"{what.split()[-1]:>14}{'budget':>10}" for what in counted))
    for name in next(iter(counted.values())):
        numbers = (
            (rows[name], before.get(what, {}).get(name, 0)) for what, rows in counted.items()
        )
        print(
            f"{name:20}"
            + "".join(f"{now:14,}{f'{was:,}' if was else '-':>10}" for now, was in numbers)
        )
    print(NOTE)


def main():
    """Count, print, and compare with the budget or write it."""
    parser = Arguments(prog="icount.py", description=__doc__.splitlines()[0])
    parser.add_argument("--renew", action="store_true", help="write the budget")
    options = parser.parse_args()
    try:
        counted = count()
    except Problem as problem:
        print(f"bench-icount: {problem}", file=sys.stderr)
        return 2
    print_table(counted, budget.load())
    if options.renew:
        budget.renew(counted)
    elif lines := budget.exceeded(counted, MAY_GROW_PCT):
        print("\n".join([*lines, FIX]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
