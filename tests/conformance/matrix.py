"""The tables that `make conformance` prints."""

from collections import Counter

from conformance.check import (
    FAIL,
    NOT_APPLICABLE,
    NOT_OFFERED,
    PASS,
    Result,
    unless_applicable,
)

WORST = (FAIL, NOT_OFFERED, PASS, NOT_APPLICABLE)


def report(checks, targets, results, seen):
    """Yield the tables and the failures. results: by name of a check and of a target; seen: of the
    foreign clients, by test description, client and test.
    """
    found = {}
    for check in checks:
        for target in targets:
            result = results.get((check.name, target.name), Result(FAIL, "it was not run"))
            found[check, target] = unless_applicable(check, target) or result
    yield of_checks(checks, targets, found)
    if seen:
        yield of_plugtest(checks, targets, found, seen)
    yield from failures(found, seen)


def of_checks(checks, targets, found):
    """Return the table of RFC section x behaviour x server."""
    rows = [["RFC", "behaviour", "plugtest", *[target.name for target in targets]]]
    for check in sorted(checks, key=lambda check: _section(check.section)):
        outcomes = [found[check, target].outcome for target in targets]
        rows.append([check.section, check.behaviour, check.plugtest, *outcomes])
    columns = list(zip(*[row[3:] for row in rows[1:]], strict=True))
    counts = [f"{one.count(PASS)}/{one.count(PASS) + one.count(FAIL)}" for one in columns]
    out = table([*rows, ["", "passed of those offered", "", *counts]])
    return "\n".join([out, *_not_applicable(targets, found)])


def of_plugtest(checks, targets, found, seen):
    """Return the table of test description x (our checks, each foreign client) against Mote."""
    clients = sorted({client for _, client, _ in seen})
    rows = [["plugtest", "checks", *clients]]
    for one in sorted({one for check in checks for one in check.plugtest.split()}):
        ours = [
            result.outcome
            for (check, target), result in found.items()
            if one in check.plugtest.split() and target.is_ours
        ]
        row = [one, _worst(ours)]
        for client in clients:
            theirs = [result.outcome for key, result in seen.items() if key[:2] == (one, client)]
            row.append(_worst(theirs))
        rows.append(row)
    return table(rows)


def failures(found, seen):
    """Yield a line for each failure, target by target."""
    for (check, target), result in sorted(found.items(), key=lambda item: item[0][1].name):
        if result.outcome == FAIL:
            yield f"{target.name}: {check.section}, {check.behaviour}: {result.why}"
    for (what, client, test), result in seen.items():
        if result.outcome == FAIL:
            yield f"{client}'s client: {what}, {test.rpartition('::')[2]}: {result.why}"


def table(rows):
    """Return rows as columns of text, with a line under the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:], ""])


def _worst(outcomes):
    return min(outcomes, key=WORST.index, default=NOT_OFFERED)


def _not_applicable(targets, found):
    """Yield a line for each reason why checks do not apply to a target."""
    for target in targets:
        results = [result for (_, other), result in found.items() if other is target]
        reasons = Counter(one.why for one in results if one.outcome == NOT_APPLICABLE)
        for why, count in reasons.items():
            yield f"{target.name}: {NOT_APPLICABLE} in {count}: {why}\n"


def _section(section):
    number, _, rest = section.partition(" ")
    return int(number), [int(part) for part in rest.split(".")]
