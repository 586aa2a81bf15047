"""The C compilers for MicroPython: this computer's own, and one for 32-bit words.

On the boards a word has 32 bits, so an object takes half of the heap that it takes here. A small
heap therefore says something only in a 32-bit interpreter. gcc for x86-64 can make one; what it
lacks is a 32-bit C library, which is fetched from Debian into the cache and linked statically.
"""

import platform
import subprocess
from dataclasses import dataclass

from setup.console import CACHE, Problem, run
from setup.debian import fetch_packages

# What mpy-cross calls the machine for which it emits native code.
EMITTERS = {"x86_64": "x64", "i686": "x86", "armv7l": "armv7a"}
TRIAL = """
#include <stdio.h>
#include <math.h>
int main(int count, char **words) { printf("%d%.0f", (int)sizeof(void *), cos(count - 1)); }
"""


@dataclass
class Compiler:
    """How to compile and link, and mpy-cross's name of the target."""

    name: str
    command: str = "gcc"
    link: str = ""
    emitter: str = ""


def own():
    """The compiler for this computer's own word size."""
    machine = platform.machine()
    return Compiler(machine, emitter=EMITTERS.get(machine, ""))


def small(cache=CACHE):
    """The compiler for 32-bit words.

    Raises:
        Problem: this computer is no x86-64 with Debian, or does not run 32-bit programs.
    """
    if platform.machine() != "x86_64":
        raise Problem("32-bit programs can be built on x86-64 alone")
    version = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True).stdout
    major = version.split(".")[0].strip()
    root = cache / "lib32"
    done = root / f"gcc-{major}"
    usr = root / "usr"
    objects = usr / "lib" / "gcc" / "x86_64-linux-gnu" / major / "32"
    flags = ["gcc", "-m32", "-msse2", "-mfpmath=sse", f"-isystem {usr / 'include'}"]
    flags += ["-idirafter /usr/include/x86_64-linux-gnu", f"-B{objects}/", f"-B{usr / 'lib32'}/"]
    link = f"-static -L{objects} -L{usr / 'lib32'}"
    found = Compiler("x86", " ".join(flags), link, "x86")
    if not done.exists():
        fetch_packages(["libc6-dev-i386", f"lib32gcc-{major}-dev"], root, cache)
        try_out(found, root, cache)
        done.touch()
    return found


def try_out(compiler, folder, cache=CACHE):
    """Raises Problem when what the compiler makes does not run here."""
    text = folder / "trial.c"
    program = folder / "trial"
    text.write_text(TRIAL)
    argv = [*compiler.command.split(), str(text), "-o", str(program), *compiler.link.split()]
    run([*argv, "-lm"], "32-bit compiler", cache)
    try:
        said = subprocess.run([str(program)], capture_output=True, text=True).stdout
    except OSError:
        said = ""
    if said != "41":
        raise Problem("this kernel does not run 32-bit programs")
