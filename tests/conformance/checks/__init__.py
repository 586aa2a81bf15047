"""The checks, one module a topic. Modules run side by side, the checks of one after the other.

Each function says in its decorator what it shows; there is nothing more to say of it.
"""

from . import block, extensions, group, hostile, link, message, methods, observe, options, patience

__all__ = [
    "block",
    "extensions",
    "group",
    "hostile",
    "link",
    "message",
    "methods",
    "observe",
    "options",
    "patience",
]
