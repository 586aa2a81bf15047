"""What MicroPython's rp2 port is built from: pico-sdk, tinyusb, lwIP and mbedtls, all from Debian.

MicroPython keeps them as git submodules, which Debian's source package leaves out: the folders are
there, but empty. They become links to the packages of the same Debian suite, whose versions are
those that MicroPython 1.25 was released with, or their bug fixes.
"""

import os

from setup import source
from setup.console import CACHE, Problem, lock
from setup.debian import fetch_packages, fetch_sources

# Packages of source text, the same for every machine: MicroPython's name -> package, folder in it.
TEXTS = {
    "pico-sdk": ("pico-sdk-source", "usr/src/pico-sdk"),
    "tinyusb": ("tinyusb-source", "usr/src/tinyusb"),
}
LWIP = "lwip"
# The freezer puts machine code for a Cortex-M0+ at any even address, but the compiler loads each
# constant of 32 bits relative to the program counter, counted in words: two bytes off, it loads
# something else. So such code has to start at a word, as that for Xtensa does.
FREEZER = "tools/mpy-tool.py"
UNALIGNED = """\
            MP_NATIVE_ARCH_ARMV6,
            MP_NATIVE_ARCH_XTENSA,
"""
ALIGNED = """\
            MP_NATIVE_ARCH_ARMV6,
            MP_NATIVE_ARCH_ARMV6M,
            MP_NATIVE_ARCH_XTENSA,
"""


def unpack(cache=CACHE):
    """(MicroPython's folder, the versions of everything in it), fetched on first use.

    Raises:
        Problem: as source.unpack() and debian.fetch_sources().
    """
    with lock("source", cache):
        micropython, mbedtls = source.unpack(cache)
        base = cache / "port-sources"
        done = base / "unpacked"
        if not done.exists():
            fetch_sources([LWIP], source.SUITE, base / "sources", cache)
            packages = [package for package, _ in TEXTS.values()]
            fetch_packages(packages, base / "packages", cache, source.SUITE)
            done.touch()
        lwip = only(base / "sources", f"{LWIP}-*")
        link(micropython / "lib" / LWIP, lwip)
        link(micropython / "lib" / "mbedtls", mbedtls)
        for name, (_, folder) in TEXTS.items():
            link(micropython / "lib" / name, base / "packages" / folder)
        align_code(micropython / FREEZER)
        # By this file the port knows that the submodule is there; nothing of it is used.
        (micropython / "lib" / "micropython-lib" / "README.md").touch()
    sdk = (base / "packages" / TEXTS["pico-sdk"][1] / "pico_sdk_version.cmake").read_text()
    return micropython, (micropython.name, lwip.name, mbedtls.name, sdk, ALIGNED)


def align_code(freezer):
    """Corrects the freezer, once.

    Raises:
        Problem: it looks otherwise than that of the version that is built here.
    """
    text = freezer.read_text()
    if ALIGNED in text:
        return
    if UNALIGNED not in text:
        raise Problem(f"{freezer} is not MicroPython's of {source.VERSION}: run `make clean`")
    freezer.write_text(text.replace(UNALIGNED, ALIGNED, 1))


def only(folder, pattern):
    """The one folder of that name.

    Raises:
        Problem: there is none, or several.
    """
    found = [path for path in folder.glob(pattern) if path.is_dir()]
    if len(found) != 1:
        raise Problem(f"{folder} should hold one {pattern}: run `make clean`, then try again")
    return found[0]


def link(place, target):
    """Puts a link to `target` where MicroPython has an empty folder."""
    wanted = os.path.relpath(target, place.parent)
    if place.is_symlink():
        if os.readlink(place) == wanted:
            return
        place.unlink()
    elif place.exists():
        place.rmdir()
    place.symlink_to(wanted)
