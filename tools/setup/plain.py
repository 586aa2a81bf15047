"""Replaces machine code by bytecode, for a MicroPython that cannot emit it, as on 64-bit Arm.

There `@micropython.viper` and `@micropython.native` are syntax errors. Without them the same text
is bytecode: slower, with the same results once the pointer types stand for the buffers themselves.
"""

import re

DECORATOR = re.compile(rb"^[ \t]*@micropython\.(?:viper|native)\n", re.MULTILINE)
IMPORT = re.compile(rb"^import micropython\n", re.MULTILINE)
POINTERS = b"ptr8 = ptr16 = ptr32 = lambda buffer: buffer\n"


def plain(text):
    """Return the text (bytes) of a module without machine code."""
    text, removed = DECORATOR.subn(b"", text)
    return IMPORT.sub(lambda found: found[0] + POINTERS, text, count=1) if removed else text
