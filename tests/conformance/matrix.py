"""The tables that `make conformance` prints."""

from collections import Counter

from registry import FAIL, NOT_APPLICABLE, NOT_OFFERED, PASS

WORST = {FAIL: 0, NOT_OFFERED: 1, PASS: 2, NOT_APPLICABLE: 3}


def of_checks(checks, targets, results):
    """RFC section x behaviour x server."""
    head = ["RFC", "behaviour", "plugtest", *[target.name for target in targets]]
    rows = [
        [
            check.section,
            check.behaviour,
            check.plugtest,
            *[results[id(check), target.name].outcome for target in targets],
        ]
        for check in sorted(checks, key=lambda check: _section(check.section))
    ]
    counts = [
        f"{sum(row[3 + i] == PASS for row in rows)}/"
        f"{sum(row[3 + i] in (PASS, FAIL) for row in rows)}"
        for i in range(len(targets))
    ]
    out = table([head, *rows, ["", "passed of those offered", "", *counts]])
    return "\n".join([out, *_not_applicable(checks, targets, results)])


def of_plugtest(checks, targets, results, seen):
    """Test description x (our checks, each foreign client) against Mote."""
    ours = [target for target in targets if target.is_ours]
    clients = sorted({client for _, client, _ in seen})
    descriptions = sorted({one for check in checks for one in check.plugtest.split()})
    rows = [["plugtest", "checks", *clients]]
    for one in descriptions:
        outcomes = [
            results[id(check), target.name].outcome
            for check in checks
            if one in check.plugtest.split()
            for target in ours
        ]
        row = [one, min(outcomes, key=WORST.get, default=NOT_OFFERED)]
        for client in clients:
            outcomes = [
                outcome
                for (what, who, _), (outcome, _) in seen.items()
                if (what, who) == (one, client)
            ]
            row.append(min(outcomes, key=WORST.get, default=NOT_OFFERED))
        rows.append(row)
    return table(rows)


def failures(checks, targets, results, seen):
    """A line for each failure, Mote's first."""
    lines = []
    for target in targets:
        for check in checks:
            result = results[id(check), target.name]
            if result.outcome == FAIL:
                lines.append(f"{target.name}: {check.section}, {check.behaviour}: {result.why}")
    for (what, client, test), (outcome, why) in (seen or {}).items():
        if outcome == FAIL:
            lines.append(f"{client}'s client: {what}, {test}: {why}")
    return "\n".join(lines)


def is_good(checks, targets, results, seen):
    """Does Mote pass all, with nothing left out but what cannot apply to a target?"""
    good = all(
        results[id(check), target.name].outcome in (PASS, NOT_APPLICABLE)
        for check in checks
        for target in targets
        if target.is_ours
    )
    return good and all(outcome != FAIL for outcome, _ in (seen or {}).values())


def table(rows):
    """Rows as columns of text, with a line under the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:], ""])


def _not_applicable(checks, targets, results):
    """A line for each reason why checks do not apply to a target."""
    lines = []
    for target in targets:
        found = [results[id(check), target.name] for check in checks]
        reasons = Counter(one.why for one in found if one.outcome == NOT_APPLICABLE)
        for why, count in reasons.items():
            lines.append(f"{target.name}: {NOT_APPLICABLE} in {count}: {why}")
    return lines + [""] if lines else lines


def _section(section):
    number, _, rest = section.partition(" ")
    return int(number), [int(part) for part in rest.split(".")]
