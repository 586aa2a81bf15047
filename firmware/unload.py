"""Modules that are needed for a moment give their memory back.

Frozen code costs heap too once it is imported: 24 bytes for each function, and tables.
"""

import sys


def unload(name):
    """Forget a module that nothing refers to any more; who needs it again imports it anew."""
    if name in sys.modules:
        del sys.modules[name]
        package, _, last = name.rpartition(".")
        if package:
            delattr(sys.modules[package], last)
