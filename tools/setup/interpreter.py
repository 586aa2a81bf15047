"""Finds a MicroPython for this computer and checks that it can run Mote.

Order: the file that MICROPYTHON names, the wheel in .venv, `micropython` on PATH, the one that
`make micropython-min` built. A candidate that lacks something is named with what it lacks. One
that cannot make machine code is taken when there is no better one: see plain.py.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from setup.console import CACHE, ROOT, Problem

OLDEST = (1, 25)
WHEEL = Path(".venv/bin/micropython")
BUILT = CACHE.relative_to(ROOT) / "micropython-1.25" / "micropython"
PROBE_TIMEOUT_S = 20

# Every line is one finding; a fault in one check leaves the others standing.
PROBE = """
import sys
print(sys.implementation[0], ".".join(str(n) for n in sys.implementation[1][:3]))
def check(what, text):
    try:
        exec(text, {})
        print("has", what)
    except Exception as error:
        print("lacks", what, repr(error))
check("socket", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()")
check("select", "import select; select.poll()")
check("hashlib.sha256", "import hashlib; assert len(hashlib.sha256(b'').digest()) == 32")
check("cryptolib", "import cryptolib; assert len(cryptolib.aes(bytes(16), 1).encrypt(bytes(16))) == 16; cryptolib.aes(bytes(16), 2, bytes(16))")
check("asyncio", "import asyncio; asyncio.run")
check("viper", "import micropython\\n@micropython.viper\\ndef f(a: int) -> int:\\n return a + 1\\nassert f(1) == 2")
"""  # noqa: E501
NEEDED = ("socket", "select", "hashlib.sha256", "cryptolib", "asyncio")


@dataclass
class Interpreter:
    """One MicroPython: where it lies, what it said about itself and what it lacks."""

    path: Path
    origin: str
    version: tuple = ()
    viper: bool = False
    lacks: list = field(default_factory=list)

    @property
    def usable(self):
        """True when it can run everything in lib/ and firmware/, be it as bytecode."""
        return not self.lacks

    def __str__(self):
        version = ".".join(str(number) for number in self.version) or "of unknown version"
        return f"MicroPython {version} ({self.origin}: {self.path})"

    def complaint(self):
        """One line: which candidate it is and what it lacks."""
        return f"{self.path} ({self.origin}) lacks {', '.join(self.lacks)}"


def probe(path, origin):
    """Asks a program whether it is a MicroPython that can run Mote."""
    found = Interpreter(Path(path), origin)
    environ = {**os.environ, "MICROPYPATH": ".frozen"}
    try:
        done = subprocess.run(
            [str(path), "-c", PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
            env=environ,
        )
        lines = [line.split() for line in done.stdout.splitlines()]
    except subprocess.TimeoutExpired:
        lines = []
    except OSError as error:
        found.lacks = [f"a program that starts ({error.strerror})"]
        return found
    said = [words[1] for words in lines if len(words) == 2 and words[0] == "micropython"]
    try:
        found.version = tuple(int(number) for number in said[0].split("."))
    except (IndexError, ValueError):
        found.lacks = ["an answer: it is not a MicroPython"]
        return found
    if found.version < OLDEST:
        found.lacks.append(f"age: it is {said[0]}, needed is 1.25 or newer")
    has = {words[1] for words in lines if len(words) == 2 and words[0] == "has"}
    found.lacks += [name for name in NEEDED if name not in has]
    found.viper = "viper" in has
    return found


def candidates(root=ROOT, environ=os.environ):
    """Pairs of (path, origin) in the order in which they are tried."""
    asked = environ.get("MICROPYTHON")
    if asked:
        return [(Path(asked), "MICROPYTHON")]
    listed = [(root / WHEEL, "wheel")]
    on_path = shutil.which("micropython", path=environ.get("PATH"))
    if on_path:
        listed.append((Path(on_path), "PATH"))
    listed.append((root / BUILT, "built from source"))
    return [(path, origin) for path, origin in listed if path.exists()]


def find(root=ROOT, environ=os.environ):
    """The first usable interpreter, and a line for each candidate passed over.

    Raises:
        Problem: none is usable; the text says what each one lacks.
    """
    refused = []
    slower = None
    for path, origin in candidates(root, environ):
        found = probe(path, origin)
        if found.usable and found.viper:
            return found, [other.complaint() for other in refused]
        if found.usable:
            slower = slower or found
        else:
            refused.append(found)
    if slower:
        return slower, [other.complaint() for other in refused]
    if environ.get("MICROPYTHON"):
        raise Problem(
            f"MICROPYTHON={refused[0].complaint()}; name another file or unset MICROPYTHON"
        )
    why = "; ".join(other.complaint() for other in refused) or "none is installed"
    raise Problem(f"no usable MicroPython: {why}; run `make setup`, or set MICROPYTHON=path")
