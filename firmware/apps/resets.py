"""Why the board started, and how often for which reason: a file keeps count over resets."""

import json
import os

FILE = "resets.json"
_COUNT_MAX = 999_999
_CAUSES = (  # constants of `machine`; a port has some of them
    ("PWRON_RESET", "power-on"),
    ("HARD_RESET", "hard"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep-sleep"),
    ("SOFT_RESET", "soft"),
)


class Resets:
    """`cause` of this start, and `counts` of all, by cause; deep sleep is planned and not counted.

    `path`: where the counts are, None for nowhere. A file that cannot be read or written does not
    keep a node from starting: counting begins anew, or is lost.
    """

    def __init__(self, machine, path=None):
        self.cause = _cause(machine)
        self.counts = _read(path) if path else {}
        if self.cause != "deep-sleep":
            self.counts[self.cause] = min(self.counts.get(self.cause, 0) + 1, _COUNT_MAX)
            if path:
                _write(path, self.counts)


def _cause(machine):
    value = machine.reset_cause()
    for constant, cause in _CAUSES:
        if getattr(machine, constant, None) == value:
            return cause
    return "unknown"


def _read(path):
    try:
        with open(path) as file:
            counts = json.load(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(counts, dict):
        return {}
    known = [cause for _, cause in _CAUSES] + ["unknown"]
    return {cause: counts[cause] for cause in known if _is_count(counts.get(cause))}


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _COUNT_MAX


def _write(path, counts):
    new = path + ".new"
    try:
        with open(new, "w") as file:
            json.dump(counts, file)
        os.rename(new, path)
    except OSError:
        pass
