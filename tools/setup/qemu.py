"""Builds MicroPython's QEMU port with Mote and its tests frozen in, for processors of boards.

    python3 tools/setup qemu MPS2_AN385 VIRT_RV32

A Cortex-M3 and a RISC-V core run the machine code that boards run; the Cortex-M0 of a micro:bit
has no emitter in this port, so it gets copies without the decorators (see plain.py) and proves
that the engine works as bytecode.
"""

import hashlib
import shutil
from dataclasses import dataclass

from setup import firmware, plain, source, toolchain
from setup.console import CACHE, ROOT, Arguments, Problem, lock, run, say

# These machines stand for processors, not for the memory of a board: tests that fill tables of
# the largest size fit. A micro:bit cannot be given more than this.
HEAP_BYTES = 1024 * 1024
SMALL_HEAP_BYTES = 192 * 1024
# The folders of modules: Mote's own, and the fake `machine` with which applications run anywhere.
LIBRARIES = ("lib", "firmware", "tools/simulator")
NOT_MODULES = ("__pycache__", "boot.py", "main.py", "node_main.py", "commands.py")
NOT_MODULES += ("__main__.py", "launch")
# What the tests of the engine import.
HELPERS = (
    "__init__",
    "client_node",
    "engine",
    "features",
    "forged_messages",
    "oscore_peer",
    "reliable_client",
    "request_helpers",
)
SHIMS = ROOT / "tools" / "qemu"
TESTS = "tests/coap"
SUPPORT = ROOT / "tests" / "support"
# The first reads the sources, on the host; the second would take minutes in an emulator, and the
# third more memory than the machines have.
LEFT_OUT = ("test_rules", "test_fuzz", "test_lossy")


@dataclass(frozen=True)
class Machine:
    """A board of MicroPython's QEMU port: how it is built and how it is started."""

    name: str
    program: str
    arguments: tuple
    needs: tuple
    words: tuple = ()  # for make
    native: bool = True
    heap_bytes: int = HEAP_BYTES
    clocks: str = ""  # folder of its module `clocks`, for measuring

    @property
    def title(self):
        """As tests are named: mps2-an385."""
        return self.name.lower().replace("_", "-")

    def command(self, elf, *more):
        """The command that starts it, the serial line being its standard input and output."""
        quiet = ("-nographic", "-monitor", "none", "-semihosting", "-serial", "stdio")
        return [self.program, *self.arguments, *quiet, *more, "-kernel", str(elf)]


MACHINES = {
    machine.name: machine
    for machine in (
        Machine(
            "MPS2_AN385",
            "qemu-system-arm",
            ("-machine", "mps2-an385"),
            toolchain.QEMU_ARM,
            clocks="clocks_arm",
        ),
        Machine(
            "VIRT_RV32",
            "qemu-system-riscv32",
            ("-machine", "virt", "-bios", "none"),
            toolchain.QEMU_RISCV,
            # The C library of Debian 12's compiler is for a processor named in the older manner,
            # in which the instructions for the status registers are no extension.
            ("RV32_ARCH=rv32imac -misa-spec=2.2",),
            clocks="clocks_riscv",
        ),
        Machine(
            "MICROBIT",
            "qemu-system-arm",
            ("-machine", "microbit")
            # MicroPython's image is larger than the chip: this one has more of everything.
            + ("-global", "nrf51-soc.flash-size=1048576")
            + ("-global", "nrf51-soc.sram-size=262144"),
            toolchain.QEMU_ARM,
            native=False,
            heap_bytes=SMALL_HEAP_BYTES,
        ),
    )
}


def work(argv):
    """Runs the step with its command line; what cannot be built is said in one line each."""
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
    """The path of the machine's image, built when something in it is new.

    Raises:
        Problem: it cannot be built here.
    """
    toolchain.require(machine.needs, f"{machine.title} in QEMU")
    folder = cache / "qemu" / machine.name
    elf, stamp = folder / "firmware.elf", folder / "stamp"
    with lock("source", cache):
        micropython, mbedtls = source.unpack(cache)
    with lock(f"qemu-{machine.name}", cache):
        text = manifest(machine, cache)
        contents = digest(machine, micropython, text)
        if elf.exists() and stamp.exists() and stamp.read_text() == contents:
            return elf
        say(f"Building {machine.title} for QEMU with Mote inside (once per change)")
        stamp.unlink(missing_ok=True)
        renew(folder, repr((machine, micropython.name, mbedtls.name)))
        listing = folder / "manifest.py"
        listing.write_text(text)
        environ = firmware.environment(
            MICROPY_GIT_TAG=f"v{source.VERSION}.0",
            SOURCE_DATE_EPOCH=firmware.EPOCH,
            MICROPY_MPYCROSS=str(firmware.MPY_CROSS),
        )
        argv = ["nice", "make", "-s", "-C", micropython / "ports" / "qemu", firmware.jobs()]
        argv += [f"BOARD={machine.name}", f"BUILD={folder}", f"FROZEN_MANIFEST={listing}"]
        argv += [f"MICROPY_HEAP_SIZE={machine.heap_bytes}", *machine.words]
        argv += [f"USER_C_MODULES={SHIMS}", f"MBEDTLS={mbedtls}"]
        run(argv, f"MicroPython for {machine.title}", cache, env=environ)
        stamp.write_text(contents)
    return elf


def renew(folder, words):
    """An empty folder when other words are for the compiler: make looks at files alone."""
    recipe = folder / "recipe"
    words += "".join(path.read_text() for path in sorted((SHIMS / "crypto").iterdir()))
    if not recipe.exists() or recipe.read_text() != words:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        recipe.write_text(words)


def manifest(machine, cache=CACHE):
    """What is frozen: libraries as on a board, tests with their asserts and line numbers."""
    lines = []
    for name in LIBRARIES:
        folder = ROOT / name if machine.native else plain.copy(ROOT / name, cache)
        for path in sorted(folder.iterdir()):
            if path.name in NOT_MODULES:
                continue
            if path.is_dir():
                lines.append(f'package("{path.name}", base_path="{folder}", opt=3)')
            elif path.suffix == ".py":
                lines.append(f'module("{path.name}", base_path="{folder}", opt=3)')
    support = ", ".join(f'"{name}.py"' for name in HELPERS)
    lines.append(f'package("support", ({support}), base_path="{ROOT / "tests"}")')
    lines += [
        f'module("{path.name}", base_path="{path.parent}")'
        for path in test_files()
        if path.parent != SUPPORT
    ]
    if machine.clocks:
        lines.append(f'module("clocks.py", base_path="{SHIMS / machine.clocks}")')
    return "\n".join(lines) + "\n"


def test_files():
    """The tests of the engine, what they import, and what runs them."""
    found = sorted(path for path in (ROOT / TESTS).glob("*.py") if path.stem not in LEFT_OUT)
    found += [ROOT / "tests" / "slots.py", *(SUPPORT / f"{name}.py" for name in HELPERS)]
    found += [ROOT / "tests" / "plugin" / "runner.py", *sorted(SHIMS.glob("*.py"))]
    return found


def digest(machine, micropython, text):
    """A text that changes with whatever the image is made of."""
    found = hashlib.sha256(repr((machine, micropython.name, "cryptolib", text)).encode())
    paths = [*test_files(), *SHIMS.glob("*/clocks.py"), *sorted((SHIMS / "crypto").iterdir())]
    for name in LIBRARIES:
        paths += sorted((ROOT / name).rglob("*.py"))
    for path in paths:
        found.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()
