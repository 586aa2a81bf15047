"""What a node told in the past: curves of readings and lists of events, as JSON and as CSV.

A curve comes from the raw readings, from hourly or from daily means, whichever has not more
points than asked for. Means exist for complete hours and days that the nightly pass has seen; the
rest is added here from what is finer.
"""

import csv
import io
from datetime import UTC, datetime
from typing import Any

from .store import Store

HOUR_S = 3600
DAY_S = 86400
POINTS = 600
POINTS_MAX = 5000
EVENTS = 1000
EVENT_COLUMNS = "id, epoch, number, source, value, at, heard"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a formula begins in a spreadsheet


def curve(
    store: Store, node: int, name: str, from_s: float, to_s: float, points: int = POINTS
) -> dict[str, Any]:
    """Return {"name", "level", "points"} of a reading; a point is [time, mean, least, greatest].

    Args:
        from_s: with `to_s` the span, in seconds since 1970.
        points: how many fit on the screen.
    """
    points = min(max(points, 1), POINTS_MAX)
    inside = "node = ? AND name = ? AND at >= ? AND at <= ?"
    where = (node, name, from_s, to_s)
    ((count, first),) = store.read(f"SELECT count(*), min(at) FROM reading WHERE {inside}", where)
    older = store.read(
        "SELECT 1 FROM hourly WHERE node = ? AND name = ? AND t >= ? AND t < ? LIMIT 1",
        (node, name, from_s, (to_s if first is None else first) - HOUR_S),
    )
    if count <= points and not older:
        rows = store.read(f"SELECT at, value FROM reading WHERE {inside} ORDER BY at", where)
        return _found(name, "raw", [[at, value, value, value] for at, value in rows])
    hourly = _means(store, "hourly", HOUR_S, *where)
    if (to_s - from_s) / HOUR_S <= points and hourly:
        return _found(name, "hourly", hourly)
    return _found(name, "daily", _means(store, "daily", DAY_S, *where))


def _found(name: str, level: str, points: list[list[float]]) -> dict[str, Any]:
    return {"name": name, "level": level, "points": points}


def _means(
    store: Store, table: str, step_s: int, node: int, name: str, from_s: float, to_s: float
) -> list[list[float]]:
    """Return the means of a table, and after its last row those of the finer data."""
    start = from_s - from_s % step_s
    rows = store.read(
        f"SELECT t, sum / n, min, max FROM {table} "
        "WHERE node = ? AND name = ? AND t >= ? AND t <= ? AND n > 0 ORDER BY t",
        (node, name, start, to_s),
    )
    found = [list(row) for row in rows]
    after = found[-1][0] + step_s if found else start
    rest = store.read(
        "SELECT CAST(at / :step AS INTEGER) * :step AS t, avg(value), min(value), max(value) "
        "FROM reading WHERE node = :node AND name = :name AND at >= :after AND at <= :until "
        "GROUP BY t ORDER BY t",
        {"step": step_s, "node": node, "name": name, "after": after, "until": to_s},
    )
    return found + [list(row) for row in rest]


def events(
    store: Store,
    node: int,
    after: int = 0,
    from_s: float = 0,
    to_s: float = 1e12,
    limit: int = EVENTS,
) -> list[dict[str, Any]]:
    """Return events of a node as JSON has them, oldest first.

    Args:
        after: the id of the last event that is known.
        from_s: with `to_s` a span of their times.
    """
    rows = store.read(
        f"SELECT {EVENT_COLUMNS} FROM event WHERE node = ? AND id > ? AND source != 'row' "
        "AND at >= ? AND at <= ? ORDER BY id LIMIT ?",
        (node, after, from_s, to_s, limit),
    )
    return [dict(zip(EVENT_COLUMNS.split(", "), row, strict=True)) for row in rows]


def newest_events(store: Store, node: int, count: int) -> list[dict[str, Any]]:
    """Return the newest events of a node, oldest first."""
    rows = store.read(
        f"SELECT {EVENT_COLUMNS} FROM event WHERE node = ? AND source != 'row' "
        "ORDER BY id DESC LIMIT ?",
        (node, count),
    )
    return [dict(zip(EVENT_COLUMNS.split(", "), row, strict=True)) for row in reversed(rows)]


def lane(store: Store, node: int, from_s: float, to_s: float) -> dict[str, Any]:
    """Return what a node's contact was in a span.

    Returns:
        {"before": its state at the start, None where nobody knows, "contact" and "tamper": lists
        of [time, value], "gaps": spans [from, to] in which events were lost}.
    """
    told: dict[str, list[list[Any]]] = {"contact": [], "tamper": []}
    rows = store.read(
        "SELECT source, at, value FROM event WHERE node = ? AND at >= ? AND at <= ? "
        "AND source IN ('contact', 'tamper') ORDER BY at, id",
        (node, from_s, to_s),
    )
    for source, at, value in rows:
        told[source].append([at, int(bool(value))])
    earlier = store.read(
        "SELECT value FROM event WHERE node = ? AND source = 'contact' AND at < ? "
        "ORDER BY at DESC, id DESC LIMIT 1",
        (node, from_s),
    )
    gaps = store.read(
        "SELECT (SELECT max(at) FROM event WHERE event.node = gap.node AND "
        "event.epoch = gap.epoch AND number = after), (SELECT min(at) FROM event "
        "WHERE event.node = gap.node AND event.epoch = gap.epoch AND number > after), heard "
        "FROM gap WHERE node = ? AND heard >= ?",
        (node, from_s),
    )
    before = int(bool(earlier[0][0])) if earlier else None
    spans = [[start or from_s, end or heard] for start, end, heard in gaps]
    return {"before": before, **told, "gaps": spans}


def event_csv(store: Store, node: int, after: int = 0) -> str:
    """Return all events of a node as CSV, oldest first; times in UTC."""
    rows = [("time", "event", "value", "number", "epoch", "heard")]
    for found in events(store, node, after, limit=-1):
        rows.append(
            (
                shown_time(found["at"]),
                found["source"],
                found["value"],
                found["number"],
                found["epoch"],
                shown_time(found["heard"]),
            )
        )
    return as_csv(rows)


def curve_csv(
    store: Store, node: int, name: str, from_s: float, to_s: float, points: int = POINTS_MAX
) -> str:
    """Return a curve as CSV."""
    found = curve(store, node, name, from_s, to_s, points)["points"]
    return as_csv(
        [("time", name, "least", "greatest"), *((shown_time(at), *rest) for at, *rest in found)]
    )


def as_csv(rows: list[Any]) -> str:
    """Return rows as CSV; a text that a spreadsheet would take for a formula is quoted."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    for row in rows:
        writer.writerow(
            ["'" + v if isinstance(v, str) and v.startswith(FORMULA) else v for v in row]
        )
    return stream.getvalue()


def shown_time(at_s: float | None) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC, to the second."""
    if at_s is None:
        return ""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
