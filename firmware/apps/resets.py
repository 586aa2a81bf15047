"""The causes of resets, counted in a file. Unloaded after the start to save heap."""

import json

from micropython import const

from config import replace_file

FILE = "resets.json"
_COUNT_MAX = const(999_999)
_CAUSES = (  # constants of `machine`, of which a port has some, and their names in /diag
    ("PWRON_RESET", "power-on"),
    ("HARD_RESET", "hard"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep-sleep"),
    ("SOFT_RESET", "soft"),
)
_UNKNOWN = "unknown"


def count(machine, path=None):
    """Count this start; return (its cause, {cause: count}). A wake from deep sleep is not counted.

    path: the file of the counts, or None. A file that cannot be read or written does not prevent
    the start: the counts begin at 0, or are lost.
    """
    value = machine.reset_cause()
    now = _UNKNOWN
    for constant, cause in _CAUSES:
        if getattr(machine, constant, None) == value:
            now = cause
    counts = _read(path) if path else {}
    if now != "deep-sleep":
        counts[now] = min(counts.get(now, 0) + 1, _COUNT_MAX)
        if path:
            _write(path, counts)
    return now, counts


def _read(path):
    try:
        with open(path) as file:
            found = json.load(file)
    except (OSError, ValueError):
        found = None
    counts = {}
    if isinstance(found, dict):
        for _, cause in _CAUSES + (("", _UNKNOWN),):
            value = found.get(cause)
            if type(value) is int and 0 < value <= _COUNT_MAX:
                counts[cause] = value
    return counts


def _write(path, counts):
    try:
        replace_file(path, json.dumps(counts).encode())
    except OSError:
        pass
