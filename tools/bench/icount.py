"""Instructions per operation on a Cortex-M3 and a RISC-V core: `make bench-icount [RENEW=1]`.

QEMU's -icount makes time pass by instructions alone, so that a count repeats on any computer. The
engine is asked without a socket: a datagram in, its answer out (tools/qemu/measure.py).
icount.json is what `make test` compares with; RENEW=1 writes it.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

from plugin.emulated import Repl  # noqa: E402
from setup import qemu  # noqa: E402
from setup.console import Problem  # noqa: E402

BASELINE = Path(__file__).with_name("icount.json")
MACHINES = ("MPS2_AN385", "VIRT_RV32")
# An instruction takes 2**5 ns of the machine's time; idle time is not slept through.
ICOUNT = ("-icount", "shift=5,align=off,sleep=off")
TIMEOUT_S = 360
MAY_GROW_PCT = 5
CALIBRATION = "calibration"
# For which chip the machine's instructions stand, and its clock.
CHIPS = {
    "virt-rv32": (("ESP32-C3", 160),),
    "mps2-an385": (("RP2040", 125), ("RP2040", 133)),
}


def count(name):
    """{operation: instructions of one} on a machine, from its clock and a loop of known length.

    Raises Problem, see printed().
    """
    return parse(printed(name, "import measure\nmeasure.main()"))


def printed(name, code):
    """What the code prints on a machine whose clock is moved by instructions alone.

    Raises:
        Problem: the image cannot be built here, or the machine did not answer.
    """
    machine = qemu.MACHINES[name]
    repl = Repl(machine.command(qemu.build(machine), *ICOUNT))
    try:
        result = repl.start() or repl.run(code, TIMEOUT_S, "counting")
    finally:
        repl.close()
    if not result.passed:
        raise Problem(f"{machine.title}: {result.message}")
    return result.output


def parse(output):
    """{operation: instructions of one} of what measure.main() printed."""
    rows = {}
    for line in output.splitlines():
        name, ticks, times = line.split()
        rows[name] = int(ticks) / int(times)
    per_instruction = rows.pop(CALIBRATION)
    return {name: round(ticks / per_instruction) for name, ticks in rows.items()}


def complaints(baseline, counted, may_grow_pct=MAY_GROW_PCT):
    """A line for each operation that costs more than it may.

    What an operation costs depends on its names, too: an attribute more can fill a hash table that
    had room. That is a reason to look, and then to take another name or one attribute less.
    """
    lines = []
    for machine, rows in counted.items():
        if set(baseline.get(machine, {})) != set(rows):
            lines.append(f"{machine}: other operations than in the baseline")
            continue
        for name, now in rows.items():
            before = baseline[machine][name]
            if now * 100 > before * (100 + may_grow_pct):
                lines.append(f"{name} takes {now:,} instructions on {machine}, it was {before:,}")
    return lines


def advice(lines):
    """The lines, and what to do."""
    how = "make it cheaper, or accept it: `make bench-icount RENEW=1`"
    return "; ".join([*lines, how])


def print_table(counted, baseline):
    """Print instructions and what follows from them."""
    names = list(next(iter(counted.values())))
    print(f"{'instructions':14}" + "".join(f"{machine:>14}{'before':>10}" for machine in counted))
    for name in names:
        row = f"{name:14}"
        for machine, rows in counted.items():
            before = baseline.get(machine, {}).get(name)
            row += f"{rows[name]:14,}" + (f"{before:10,}" if before else f"{'-':>10}")
        print(row)
    print(
        '\n"nothing" is the measuring loop with an empty function; it is part of every other row.'
        "\nDerived, not measured: microseconds at one to two cycles an instruction. The chips'"
        "\nflash cache and bus add to it, so does the IP stack. A Cortex-M0+ has no Thumb-2, so an"
        "\nRP2040 executes more instructions than the Cortex-M3 that stands for it."
    )
    for machine, chips in CHIPS.items():
        for chip, clock_mhz in chips:
            for name in ("get", "put", "duplicate", "block", "notify"):
                low = counted[machine][name] / clock_mhz
                print(f"  {chip:9} {clock_mhz} MHz {name:9} {low:6.0f} to {2 * low:.0f} us")


def main():
    try:
        counted = {qemu.MACHINES[name].title: count(name) for name in MACHINES}
    except Problem as problem:
        print(f"bench-icount: {problem}", file=sys.stderr)
        return 2
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    print_table(counted, baseline)
    if os.environ.get("RENEW") not in (None, "", "0", "no"):
        BASELINE.write_text(json.dumps(counted, indent=2) + "\n")
        print(f"\nWritten: {BASELINE.relative_to(ROOT)}")
        return 0
    lines = complaints(baseline, counted)
    if lines:
        print(f"bench-icount: {advice(lines)}", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
