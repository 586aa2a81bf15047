"""What the API and the page say of each node: its values, and what of them needs a look."""

from collections import defaultdict
from typing import Any

from . import battery, nodes
from .store import Store

LOW_PCT = 15
LOW_DAYS = 14
CONTACT, TAMPER, BATTERY = "s/contact", "s/tamper", "s/batt"
COLUMNS = (
    "id, eui, ep, title, kind, state, beat_s, heard, addr, fw, power, needs_key, "
    "EXISTS (SELECT 1 FROM key WHERE key.node = node.id AND key.state = 'good'), "
    "EXISTS (SELECT 1 FROM key WHERE key.node = node.id AND key.state = 'lost')"
)


class Forecasts:
    """The forecasts of batteries, computed anew once an hour: readings come no oftener."""

    AGE_S = 3600

    def __init__(self, store: Store):
        self.store = store
        self.known: dict[int, tuple[float, battery.Forecast | None]] = {}

    def of(self, node: int, now_s: float) -> battery.Forecast | None:
        """Return the forecast of a node."""
        made_s, found = self.known.get(node, (-1e12, None))
        if now_s - made_s < self.AGE_S:
            return found
        rows = self.store.read(
            "SELECT at, value FROM reading WHERE node = ? AND name = 'batt' AND at > ?",
            (node, now_s - battery.WINDOW_DAYS * battery.DAY_S),
        )
        found = battery.forecast(((row[0], row[1]) for row in rows), now_s)
        self.known[node] = (now_s, found)
        return found


def cards(
    store: Store, forecasts: Forecasts, now_s: float, node: int | None = None
) -> list[dict[str, Any]]:
    """Return what is known of each node that is not gone, or of one; by name.

    Args:
        now_s: seconds since 1970, for what is due and overdue.
    """
    one, names = ("", ()) if node is None else (" AND node.id = ?", (node,))
    rows = store.read(
        f"SELECT {COLUMNS} FROM node WHERE state != 'gone'{one} ORDER BY ep, id", names
    )
    last = _last(store, node)
    waiting = _pairs(
        store, "SELECT node, count(*) FROM wait WHERE state IN ('waiting', 'sent') GROUP BY node"
    )
    awake = {row[0] for row in store.read("SELECT ep FROM reg WHERE until > ?", (now_s,))}
    since = _pairs(
        store,
        "SELECT node, max(at) FROM event WHERE source = 'contact' GROUP BY node",
    )
    found = []
    for row in rows:
        card = _card(row, last[row[0]], row[2] in awake, now_s)
        card["waiting"] = waiting.get(row[0], 0)
        if CONTACT in card["last"]:
            card["since"] = since.get(row[0], card["last"][CONTACT]["at"])
        level = card["last"].get(BATTERY)
        if level is not None:
            card["battery"] = _battery(level["value"], forecasts.of(row[0], now_s))
        card["needs"] = needs(card)
        found.append(card)
    return found


def _card(row: Any, last: dict[str, Any], awake: bool, now_s: float) -> dict[str, Any]:
    number, eui, ep, title, kind, state, beat_s, heard, addr, fw, power, needs_key = row[:12]
    keys, lost = row[12:]
    late = heard is not None and now_s > nodes.overdue_s(heard, beat_s)
    return {
        "id": number,
        "ep": ep,
        "title": title or ep,
        "state": state,
        "kind": kind,
        "eui": eui,
        "heard": heard,
        "due": None if heard is None or awake else heard + beat_s,
        "beat": beat_s,
        "overdue": late,
        "awake": awake,
        "keys": bool(keys),
        "keys_lost": bool(lost) or bool(needs_key and not keys),
        "address": addr,
        "firmware": fw,
        "power": power,
        "last": last,
    }


def _last(store: Store, node: int | None) -> defaultdict[int, dict[str, Any]]:
    one, names = ("", ()) if node is None else (" WHERE node = ?", (node,))
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for number, path, value, unit, at in store.read(
        f"SELECT node, path, value, unit, at FROM last{one}", names
    ):
        found[number][path] = {"value": value, "unit": unit, "at": at}
    return found


def _pairs(store: Store, sql: str) -> dict[int, Any]:
    return {row[0]: row[1] for row in store.read(sql, ())}


def _battery(level_pct: float, found: battery.Forecast | None) -> dict[str, Any]:
    if found is None:
        return {"percent": level_pct, "days": None, "low": None, "high": None}
    return {"percent": level_pct, "days": found.days, "low": found.low, "high": found.high}


def needs(card: dict[str, Any]) -> list[str]:
    """Return what of a node needs a look, the most urgent first."""
    last, level = card["last"], card.get("battery")
    found = []
    if last.get(TAMPER, {}).get("value"):
        found.append("tamper")
    if card["overdue"]:
        found.append("overdue")
    if last.get(CONTACT, {}).get("value"):
        found.append("open")
    if level and (level["percent"] <= LOW_PCT or (level["days"] or LOW_DAYS) < LOW_DAYS):
        found.append("battery")
    if card["keys_lost"]:
        found.append("keys")
    return found
