"""What Mote may take of a board: budget.json, with which `make test` compares.

It holds {what is counted: {name: number}}: bytes of .mpy and of heap (`make size`), instructions
on each emulated machine (`make bench-icount`). Each target writes its own part with RENEW=1.
"""

import json
from pathlib import Path

FILE = Path(__file__).with_name("budget.json")


def load(file=FILE):
    """Return the budget."""
    return json.loads(file.read_text())


def renew(counted, file=FILE):
    """Write these parts of the budget; the others stay."""
    file.write_text(json.dumps({**load(file), **counted}, indent=2) + "\n")


def exceeded(counted, may_grow_pct, allowed=None):
    """Return a line for each number that is more than `may_grow_pct` above the budget's.

    A name that only one of both has is a line, too.
    """
    allowed = load() if allowed is None else allowed
    lines = []
    for what, numbers in counted.items():
        before = allowed.get(what, {})
        for name in sorted(before.keys() ^ numbers.keys()):
            lines.append(
                f"{what}, {name}: {'not in' if name in numbers else 'only in'} the budget"
            )
        for name in numbers.keys() & before.keys():
            now, was = numbers[name], before[name]
            if now * 100 > was * (100 + may_grow_pct):
                lines.append(f"{what}, {name}: {now:,}, the budget is {was:,} + {may_grow_pct} %")
    return lines
