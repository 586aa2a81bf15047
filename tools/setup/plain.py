"""Copies of Mote's modules for a MicroPython that cannot make machine code, as on 64-bit Arm.

There `@micropython.viper` and `@micropython.native` are syntax errors. Without them the same text
is bytecode, slower and otherwise alike, once the pointer types stand for the buffers themselves.
"""

import hashlib
import re
import shutil
from pathlib import Path

from setup.console import CACHE, lock

DECORATOR = re.compile(r"^[ \t]*@micropython\.(?:viper|native)\n", re.MULTILINE)
IMPORT = re.compile(r"^import micropython\n", re.MULTILINE)
POINTERS = "ptr8 = ptr16 = ptr32 = lambda buffer: buffer\n"
KEPT = 6  # two of each folder


def plain(text):
    """The text of a module without what asks for machine code."""
    text, removed = DECORATOR.subn("", text)
    return IMPORT.sub(lambda found: found[0] + POINTERS, text, count=1) if removed else text


def copy(folder, cache=CACHE):
    """The path of a plain copy of a folder of modules, made when its contents are new."""
    texts = {path: path.read_text() for path in sorted(Path(folder).rglob("*.py"))}
    digest = hashlib.sha256(repr(texts).encode()).hexdigest()[:16]
    target = cache / "plain" / digest / Path(folder).name
    with lock("plain", cache):
        if not target.exists():
            fresh = target.with_suffix(".new")
            for path, text in texts.items():
                place = fresh / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(plain(text))
            fresh.rename(target)
            copies = sorted(target.parent.parent.iterdir(), key=lambda path: path.stat().st_mtime)
            for old in copies[:-KEPT]:
                shutil.rmtree(old)
    return target
