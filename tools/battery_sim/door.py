"""The door of a simulated node: its contact and the lid of the node's housing.

The contact moves EVENTS_PER_DAY times a day, once or in pairs (open and closed again), and
bounces. The lid is taken off once a day; where one wake source serves both contacts, the node may
notice that as late as its next heartbeat. Runs on MicroPython.
"""

EVENTS_PER_DAY = 20
PAIRS_PCT = 40
PAIR_MS = 300  # from opening to closing: longer than any debounce time
MAX_BOUNCES = 3  # of one move, after the first edge
BOUNCE_MS = 3  # the contact is open for this long and closed for this long
QUIET_MS = 90_000  # between two moves or pairs, so that reports can be assigned to events
DAY_MS = 86_400_000
# What drives the wire of an open contact: nothing, so that an internal or an external pull-up sets
# the level, or the other throw of a changeover contact
WIRINGS = {"internal": None, "external": None, "changeover": 1}


class Event:
    """An edge. outcome: set by ledger_check.py.

    contact: "contact" or "tamper", as in the node's SenML; level: 1 for open
    """

    def __init__(self, when_ms, level, contact="contact"):
        self.when_ms = when_ms
        self.level = level
        self.contact = contact
        self.outcome = ""


class Door:
    """Drives the wires of the contact and the lid. events, lid_events: lists of Event; unpowered:
    edges of either without power, which no node has to tell.

    wiring: WIRINGS says what an open contact does to its wire; a closed one connects it to ground
    lid_delay_ms: the longest time after which the node notices the lid
    """

    def __init__(self, clock, wire, lid_wire, wiring, end_ms):
        self.events = []
        self.lid_events = []
        self.unpowered = []
        self.lid_delay_ms = 0
        self._clock = clock
        self._wire = wire
        self._lid_wire = lid_wire
        self._powered = True
        self._level = 0
        self._moves = 0
        self._lid_free_ms = 0  # the lid is not taken off again before this time
        self._end_ms = end_ms
        self._open_level = WIRINGS[wiring]
        for each in (wire, lid_wire):
            each.has_resistor = wiring == "external"
            each.drive(0)
        self._schedule_moves()

    def schedule_lid(self, heartbeat_s):
        """Schedule the lid to be off once a day for two heartbeats."""
        self.lid_delay_ms = 2000 * heartbeat_s
        spare_ms = DAY_MS - 2 * self.lid_delay_ms
        for day_ms in range(0, self._end_ms - DAY_MS + 1, DAY_MS):
            if spare_ms > 0:
                since_ms = self._clock.random.below(spare_ms // 1000) * 1000
                self._clock.at(day_ms + since_ms, self._take_lid_off)

    def set_power(self, on):
        """Note whether the board has power; without power, edges do not count."""
        self._powered = on

    def _take_lid_off(self, _):
        now_ms = self._clock.now_ms
        # the lid is taken off while the door is closed, as a burglar of an empty house would do
        if self._level or now_ms < self._lid_free_ms:
            self._clock.at(now_ms + 1000, self._take_lid_off)
            return
        self._set_lid(1)
        self._clock.at(now_ms + self.lid_delay_ms, self._set_lid, 0)
        self._lid_free_ms = now_ms + 2 * self.lid_delay_ms

    def _set_lid(self, level):
        events = self.lid_events if self._powered else self.unpowered
        events.append(Event(self._clock.now_ms, level, "tamper"))
        self._set(self._lid_wire, level)

    def _set(self, wire, level):
        """Close a contact (0) or open it; a resistor takes a while to charge the capacitor."""
        wire.drive(self._open_level if level else 0)
        self._clock.at(self._clock.now_ms + wire.RISE_MS, _read, wire)

    def _set_contact(self, level):
        self._set(self._wire, level)

    def _schedule_moves(self):
        random = self._clock.random
        moves = EVENTS_PER_DAY * self._end_ms // DAY_MS
        when_ms = QUIET_MS
        spare_ms = 2 * (self._end_ms // moves - QUIET_MS)
        while moves > 0:
            pair = random.happens(PAIRS_PCT)
            self._clock.at(when_ms, self._move)
            if pair:
                self._clock.at(when_ms + PAIR_MS, self._move)
            moves -= 2 if pair else 1
            # a pair takes the time of two single moves
            when_ms += QUIET_MS + random.below(2 * spare_ms + QUIET_MS if pair else spare_ms)

    def _move(self, _):
        self._level = level = 1 - self._level
        now_ms = self._clock.now_ms
        events = self.events if self._powered else self.unpowered
        events.append(Event(now_ms, level))
        self._moves += 1
        self._set_contact(level)
        # the number of bounces is counted, not random: drawing would change the rest of the week
        for bounce in range(self._moves % (MAX_BOUNCES + 1)):
            back_ms = now_ms + (2 * bounce + 1) * BOUNCE_MS
            self._clock.at(back_ms, self._set_contact, 1 - level)
            self._clock.at(back_ms + BOUNCE_MS, self._set_contact, level)


def _read(wire):
    wire.read()  # handlers of a rise run
