"""Compares what happened to the node with what the gateway received, event by event.

Outcomes of an event of the door, or of a row of measurements of a wearable:
  reported    received, once, with its time
  unknown     it fell between the last report before a loss of memory and the moment from which
              the contact was watched again, and the node has said since that events are missing
  unseen      two edges within one boot that no edge had caused: Python did not run yet
  waiting     (rows) measured after the last report: the pack is not full yet
  discarded   (rows) pushed out of the node's memory during an outage, and counted in a report
  lost        everything else
Duplicated: the gateway received an event or a row that did not happen.

A Pico's clock ends with the power, so an event that it had not reported by then may be reported
with any time up to the next start. Runs on MicroPython and on CPython; imports nothing.
"""

DOOR_TOLERANCE_MS = 60_000  # ages are whole seconds, and a report may need many retransmissions
ROW_TOLERANCE_MS = 25_000  # times count from the first transmission


def check_events(simulation):
    """Return the counts of a door's events as a dict."""
    door = simulation.door
    events = door.events + door.lid_events
    # a Pico, whose log outlives the power, sees at its start what moved without power
    possible = events + door.unpowered
    duplicated = 0
    for name in sorted(simulation.gateway.events):
        contact, level, when_ms, _ = simulation.gateway.events[name]
        match = None
        for event in possible:
            if (
                event.outcome == ""
                and (event.contact, event.level) == (contact, level)
                and _may_be(event, when_ms, simulation)
            ):
                match = event
                break
        if match is None:
            duplicated += 1
        else:
            match.outcome = "reported"
    for event in events:
        if event.outcome == "":
            event.outcome = _why_missing(simulation, event.when_ms)
    counts = {}
    for outcome in ("reported", "unknown", "unseen", "lost"):
        counts[outcome] = sum([1 for event in events if event.outcome == outcome])
    counts["lost_at_ms"] = [event.when_ms for event in events if event.outcome == "lost"]
    counts["happened"] = len(events)
    counts["lid_events"] = len(door.lid_events)
    counts["last_level"] = door.events[-1].level
    counts["duplicated"] = duplicated
    return counts


def check_rows(simulation):
    """Return the counts of a wearable's rows as a dict."""
    gateway = simulation.gateway
    produced = simulation.wearer.produced
    counts = {"produced": len(produced), "reported": 0, "unknown": 0, "waiting": 0}
    missing = 0
    newest_ms = max([when_ms for _, when_ms, _ in gateway.rows.values()] or [0])
    measured_ms = {}
    rows = {number: row for (_, number), row in gateway.rows.items()}
    for number, when_ms in produced:
        measured_ms[number] = when_ms
        row = rows.get(number)
        if row is not None and abs(row[1] - when_ms) < ROW_TOLERANCE_MS:
            counts["reported"] += 1
        elif when_ms > newest_ms:
            counts["waiting"] += 1
        elif _is_unknown_row(simulation, when_ms):
            counts["unknown"] += 1
        else:
            missing += 1
    counts["discarded"] = min(gateway.discarded, missing)
    counts["lost"] = missing - counts["discarded"]
    counts["duplicated"] = 0
    for (_, number), (_, when_ms, _) in gateway.rows.items():
        known_ms = measured_ms.get(number)
        if known_ms is None or abs(known_ms - when_ms) >= ROW_TOLERANCE_MS:
            counts["duplicated"] += 1
    counts["pulses"] = sum([1 for names, _, _ in gateway.rows.values() if "hr" in names])
    counts["radio_wakes"] = simulation.access_point.radio_wakes
    counts["naps"] = simulation.chip.naps
    counts["samples_lost"] = simulation.wearer.oximeter.dropped
    return counts


def _may_be(event, reported_ms, simulation):
    """Return True if the event may have been reported with that time."""
    delay_ms = simulation.door.lid_delay_ms if event.contact == "tamper" else 0
    for since_ms, until_ms in simulation.unwatched:
        if since_ms <= event.when_ms <= until_ms:
            delay_ms = max(delay_ms, until_ms - event.when_ms)
    return -DOOR_TOLERANCE_MS < reported_ms - event.when_ms < delay_ms + DOOR_TOLERANCE_MS


def _why_missing(simulation, when_ms):
    """Return the outcome of an event that was not reported."""
    for since_ms, until_ms in simulation.unwatched:
        announced = any(said_ms > when_ms for said_ms in simulation.gateway.unknown_ms)
        if since_ms <= when_ms <= until_ms and announced:
            return "unknown"
    for since_ms, until_ms in simulation.blind:
        if since_ms <= when_ms <= until_ms:
            return "unseen"
    return "lost"


def _is_unknown_row(simulation, when_ms):
    gateway = simulation.gateway
    for since_ms, until_ms in simulation.unwatched:
        if since_ms <= when_ms <= until_ms:
            return any(said_ms > when_ms for said_ms in gateway.unknown_ms)
    # pushed out in an outage after a loss of power: the first report since then has said so
    later_ms = [came_ms for _, _, came_ms in gateway.rows.values() if came_ms > when_ms]
    return bool(later_ms) and min(later_ms) in gateway.unknown_ms
