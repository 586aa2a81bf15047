"""Unloading of modules that only the start needs, to free their heap.

An imported module takes heap even if it is frozen: about 24 bytes for each function, and tables.
"""

import sys


def unload(name):
    """Remove a module that nothing refers to; a later import loads it again."""
    if name in sys.modules:
        del sys.modules[name]
        package, _, last = name.rpartition(".")
        if package:
            delattr(sys.modules[package], last)
