"""Builds MicroPython's QEMU port with Mote and its tests frozen in, for processors of boards.

    python3 tools/setup qemu MPS2_AN385 VIRT_RV32

A Cortex-M3 and a RISC-V core run the machine code that boards run; the Cortex-M0 of a micro:bit
has no emitter in this port, so it runs bytecode instead (see plain.py), as some boards do.
"""

from dataclasses import dataclass

from fold import counterpart
from setup import micropython, packages
from setup.console import CACHE, ROOT, Arguments, Problem, say

SHIMS = ROOT / "tools" / "qemu"
TESTS = "tests/coap"
SUPPORT = ROOT / "tests" / "support"
# The first reads the sources, on the host; the second would take minutes in an emulator, and the
# third more memory than the machines have.
LEFT_OUT = ("test_rules", "test_fuzz", "test_lossy")


@dataclass(frozen=True)
class Machine:
    """A board of MicroPython's QEMU port: how it is built and how it is started.

    Attributes:
        program, arguments: QEMU's.
        needs: the Debian packages.
        words: for make.
        native: the port makes machine code for this processor.
        heap_bytes: machines stand for processors, not for the memory of a board, so tests that
            fill tables of the largest size fit; a micro:bit cannot be given more than this.
        clocks: folder of its module `clocks`, for measuring.
    """

    name: str
    program: str
    arguments: tuple
    needs: tuple
    words: tuple = ()
    native: bool = True
    heap_bytes: int = 1024 * 1024
    clocks: str = ""

    @property
    def title(self):
        """Return the name as in names of tests: mps2-an385."""
        return self.name.lower().replace("_", "-")

    def command(self, elf, *more):
        """Return the command that starts it; its serial line is standard input and output."""
        quiet = ("-nographic", "-monitor", "none", "-semihosting", "-serial", "stdio")
        return [self.program, *self.arguments, *quiet, *more, "-kernel", str(elf)]


M3 = Machine(
    "MPS2_AN385",
    "qemu-system-arm",
    ("-machine", "mps2-an385"),
    packages.QEMU_ARM,
    clocks="clocks_arm",
)
RV32 = Machine(
    "VIRT_RV32",
    "qemu-system-riscv32",
    ("-machine", "virt", "-bios", "none"),
    packages.QEMU_RISCV,
    # Debian 12's C library is built for an older version of the specification, in which the
    # instructions for status registers are no extension.
    words=("RV32_ARCH=rv32imac -misa-spec=2.2",),
    clocks="clocks_riscv",
)
# MicroPython's image is larger than the real chip's memory.
M0 = Machine(
    "MICROBIT",
    "qemu-system-arm",
    ("-machine", "microbit", "-global", "nrf51-soc.flash-size=1048576")
    + ("-global", "nrf51-soc.sram-size=262144"),
    packages.QEMU_ARM,
    native=False,
    heap_bytes=192 * 1024,
)
MACHINES = {machine.name: machine for machine in (M3, RV32, M0)}


def work(argv):
    """Run the step with its command line; print one line for each machine that cannot be built."""
    parser = Arguments(prog="setup qemu", description=__doc__.splitlines()[0])
    parser.add_argument("machine", nargs="+")
    for name in parser.parse_args(argv).machine:
        if name not in MACHINES:
            raise Problem(f"machine {name} is unknown: use {', '.join(MACHINES)}")
        try:
            build(MACHINES[name])
        except Problem as problem:
            say(f"Tests on {MACHINES[name].title} are left out: {problem}")


def build(machine, cache=CACHE):
    """Return the path of the machine's image; raise Problem when it cannot be built here."""
    packages.require(machine.needs, f"{machine.title} in QEMU")
    name, title = f"qemu-{machine.name}", f"{machine.title} for QEMU with Mote inside"
    words = (f"BOARD={machine.name}", f"MICROPY_HEAP_SIZE={machine.heap_bytes}", *machine.words)
    manifest, files = frozen_modules(machine)
    return micropython.build_port(
        "qemu", name, title, "firmware.elf", words, manifest, files, cache
    )


def frozen_modules(machine):
    """Return (manifest text, files): modules as on a board, tests with their line numbers."""
    text, files = micropython.frozen_modules(machine.native)
    more = test_files()
    if machine.clocks:
        more.append(SHIMS / machine.clocks / "clocks.py")
    more = [counterpart(path) for path in more]
    for path in more:
        folder, name = path.parent, path.name
        if folder.name == SUPPORT.name:
            folder, name = folder.parent, f"{folder.name}/{name}"
        text += f"freeze({str(folder)!r}, {name!r})\n"
    return text, (*files, *more)


def test_files():
    """Return the tests of the engine, what they import, and what runs them."""
    found = sorted(path for path in (ROOT / TESTS).glob("*.py") if path.stem not in LEFT_OUT)
    found += [ROOT / "tests" / "plugin" / "runner.py"]
    return found + sorted(SUPPORT.glob("*.py")) + sorted(SHIMS.glob("*.py"))
