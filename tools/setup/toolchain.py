"""The cross compilers and emulators that firmware needs: found, or installed from Debian as root.

A compiler is asked for its own libraries, so one that did not come from Debian serves as well.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass

from setup import environment
from setup.console import Problem

ARM = "arm-none-eabi-gcc"
RISCV = "riscv64-unknown-elf-gcc"


@dataclass(frozen=True)
class Need:
    """A Debian package, and what shows that it is there: a program, maybe a file it knows."""

    package: str
    program: str
    file: str = ""

    def met(self, which=shutil.which):
        """Is it there?"""
        if not which(self.program):
            return False
        if not self.file:
            return True
        argv = [self.program, f"-print-file-name={self.file}"]
        said = subprocess.run(argv, capture_output=True, text=True).stdout.strip()
        return said != self.file  # a file that is not found is given back as it was named


RP2 = (
    Need("gcc-arm-none-eabi", ARM),
    Need("libnewlib-arm-none-eabi", ARM, "libc.a"),
    Need("libstdc++-arm-none-eabi-newlib", ARM, "libstdc++.a"),
    Need("cmake", "cmake"),
    Need("ninja-build", "ninja"),
)
QEMU_ARM = (*RP2[:2], Need("qemu-system-arm", "qemu-system-arm"))
QEMU_RISCV = (
    Need("gcc-riscv64-unknown-elf", RISCV),
    Need("picolibc-riscv64-unknown-elf", RISCV, "picolibc.specs"),
    Need("qemu-system-misc", "qemu-system-riscv32"),
)


def lacking(needs, which=shutil.which):
    """The needs that are not met."""
    return [need for need in needs if not need.met(which)]


def require(needs, purpose, which=shutil.which):
    """Installs what is missing, as root.

    Raises:
        Problem: something is still missing; the line names the packages.
    """
    missing = lacking(needs, which)
    if missing and os.geteuid() == 0 and which("apt-get"):
        environment.install([(need.package, purpose) for need in missing], which)
        missing = lacking(missing, which)
    if missing:
        names = " ".join(need.package for need in missing)
        raise Problem(f"{purpose} needs Debian's packages: sudo apt-get install {names}")
