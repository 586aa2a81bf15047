"""MicroPython's `micropython` module for CPython: the device library runs unchanged on a PC.

The viper types become identities, so `coap/scan.py` on CPython is its own bounds-checked twin: an
index that would read past a buffer on a board raises IndexError here.
"""

import builtins


def const(value):
    return value


def native(function):
    return function


viper = native


def heap_lock():
    """CPython has no heap to lock: tests that need the lock run on MicroPython only."""
    return 0


heap_unlock = heap_lock


def kbd_intr(_character):
    pass


def _same(buffer):
    return buffer


for _name in ("ptr", "ptr8", "ptr16", "ptr32"):
    setattr(builtins, _name, _same)
