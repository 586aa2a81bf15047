"""Finds a MicroPython for this computer and checks that it can run Mote.

Order: the file that MICROPYTHON names, the wheel in .venv, `micropython` on PATH, the one that
`make micropython-min` built. A candidate that lacks something is reported with what it lacks. One
without an emitter of machine code is used only if there is no other: see plain.py.
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
NEEDED = {
    "socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()",
    "select": "import select; select.poll()",
    "hashlib.sha256": "import hashlib; assert len(hashlib.sha256(b'').digest()) == 32",
    "cryptolib": "from cryptolib import aes; aes(bytes(16), 2, bytes(16)); "
    "assert len(aes(bytes(16), 1).encrypt(bytes(16))) == 16",
    "asyncio": "import asyncio; asyncio.run",
}
VIPER = "@micropython.viper\ndef f(a: int) -> int:\n return a + 1\nassert f(1) == 2"
CHECKS = {**NEEDED, "viper": f"import micropython\n{VIPER}"}
# Each check prints one line, whatever happened in the others.
PROBE = f"""
import sys
if "" in sys.path:
    sys.path.remove("")  # the present folder
print(sys.implementation[0], ".".join(str(n) for n in sys.implementation[1][:3]))
for name, text in {list(CHECKS.items())!r}:
    try:
        exec(text, {{}})
        print("has", name)
    except Exception as error:
        print("lacks", name, repr(error))
"""


@dataclass
class Interpreter:
    """One MicroPython.

    Attributes:
        origin: why it was considered, such as "PATH".
        version: numbers; () when unknown.
        viper: it can make machine code.
        lacks: what it would need to run Mote.
    """

    path: Path
    origin: str
    version: tuple = ()
    viper: bool = False
    lacks: list = field(default_factory=list)

    @property
    def usable(self):
        """Return True when it can run everything in lib/ and firmware/, at least as bytecode."""
        return not self.lacks

    def __str__(self):
        version = ".".join(map(str, self.version)) or "of unknown version"
        return f"MicroPython {version} ({self.origin}: {self.path})"

    def complaint(self):
        """Return one line: which candidate it is and what it lacks."""
        return f"{self.path} ({self.origin}) lacks {', '.join(self.lacks)}"


def probe(path, origin):
    """Return the Interpreter that a program is, with what it lacks."""
    found = Interpreter(Path(path), origin)
    argv = [str(path), "-c", PROBE]
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    options["env"] = {**os.environ, "MICROPYPATH": ".frozen"}
    try:
        done = subprocess.run(argv, errors="replace", timeout=PROBE_TIMEOUT_S, **options)
        lines = [line.split() for line in done.stdout.splitlines()]
    except subprocess.TimeoutExpired:
        lines = []
    except OSError as error:
        found.lacks = [f"a program that starts ({error.strerror})"]
        return found
    facts = {words[0]: words[1] for words in lines if len(words) == 2 and words[0] != "has"}
    version = facts.get("micropython", "")
    if not all(number.isdigit() for number in version.split(".")):
        found.lacks = ["an answer: it is not a MicroPython"]
        return found
    found.version = tuple(map(int, version.split(".")))
    if found.version < OLDEST:
        found.lacks.append(f"age: it is {version}, needed is 1.25 or newer")
    has = {words[1] for words in lines if len(words) == 2 and words[0] == "has"}
    found.lacks += [name for name in NEEDED if name not in has]
    found.viper = "viper" in has
    return found


def candidates(root=ROOT, environ=os.environ):
    """Return pairs of (path, origin) in the order in which they are tried."""
    if environ.get("MICROPYTHON"):
        return [(Path(environ["MICROPYTHON"]), "MICROPYTHON")]
    on_path = shutil.which("micropython", path=environ.get("PATH")) or "/nonexistent"
    listed = [
        (root / WHEEL, "wheel"),
        (Path(on_path), "PATH"),
        (root / BUILT, "built from source"),
    ]
    return [(path, origin) for path, origin in listed if path.exists()]


def find(root=ROOT, environ=os.environ):
    """Return the best interpreter, and a line for each one that is not usable.

    Raises:
        Problem: none is usable; the text says what each one lacks.
    """
    found = []
    for path, origin in candidates(root, environ):
        found.append(probe(path, origin))
        if found[-1].usable and found[-1].viper:
            break
    refused = [one.complaint() for one in found if not one.usable]
    for one in sorted(found, key=lambda one: not one.viper):
        if one.usable:
            return one, refused
    if environ.get("MICROPYTHON"):
        raise Problem(f"MICROPYTHON={refused[0]}; name another file or unset MICROPYTHON")
    why = "; ".join(refused) or "none is installed"
    raise Problem(f"no usable MicroPython: {why}; run `make setup`, or set MICROPYTHON=path")
