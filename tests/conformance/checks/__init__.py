"""The checks, one module a topic. The decorator of each says what it shows."""

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
