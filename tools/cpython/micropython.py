"""MicroPython's `micropython` module for CPython: the device library runs unchanged on a PC.

The pointer types of viper return the buffer itself, so viper functions run with bounds checks: an
index that would read past a buffer on a board raises IndexError here.
"""

import builtins


def const(value):
    """Return the value."""
    return value


def native(function):
    """Return the function unchanged."""
    return function


viper = native


def heap_lock():
    """Return 0: CPython has no heap to lock. Tests that need the lock run on MicroPython only."""
    return 0


heap_unlock = heap_lock


def kbd_intr(_character):
    """Do nothing: Ctrl-C stays as it is."""


def _same(buffer):
    return buffer


for _name in ("ptr", "ptr8", "ptr16", "ptr32"):
    setattr(builtins, _name, _same)
