"""What the door did, and what became of it: happened, reported, unknown, unseen, lost, duplicated.

An event counts if the power was on; between the bounces of its contact, which are part of it, no
level is shorter than the debounce. Reported: the receiver
has it, once. Unknown: it fell into a time after the last report before the memory was lost, or
before the contact was watched again, and the node has said since that nobody knows what is
missing. Unseen: two edges within one start that no edge had caused; nobody can see these. Lost is
all the rest. Duplicated: the receiver has an event that did not happen.

A Pico's clock ends with the power: what it had not told by then it may tell as of any time up to
the start after that.

The lid of the housing is taken off once a day. Where one source wakes the chip for both contacts,
it may be noticed late: at the next wake, which a heartbeat brings.
"""

from receiver import LID

PER_DAY = 20
PAIRS_PCT = 40
PAIR_MS = 300  # longer than any debounce
BOUNCES_MAX = 3  # of one move, of which the first comes at once and clean
BOUNCE_MS = 3  # for so long the contact parts, and for so long it meets
CALM_MS = 90_000  # between two visits to the door, so that the account is unmistakable
TOLERANCE_MS = 60_000  # ages are whole seconds, and a report may take many tries
DAY_MS = 86_400_000


class Door:
    """Moves PER_DAY times a day: in pairs, open and closed again, or once.

    happened: [when, level, what became of it], of those that count; lifts: likewise of the lid;
    late_ms: so late it may be noticed
    """

    def __init__(self, world, wire, lid, start_ms, end_ms):
        self.happened = []
        self.lifts = []
        self.late_ms = 0
        self._world = world
        self._wire = wire
        self._lid = lid
        self._power = True
        self._level = 0
        self._moves = 0
        self._lid_rests_ms = 0  # until then nobody comes for it
        self._end_ms = end_ms
        wire.drive(0)
        lid.drive(0)
        self._visits(start_ms, end_ms)

    def lift(self, heartbeat_s):
        """Have the lid off once a day, for longer than it may take to be noticed."""
        self.late_ms = 2000 * heartbeat_s
        spare_ms = DAY_MS - 2 * self.late_ms
        for day_ms in range(0, self._end_ms - DAY_MS + 1, DAY_MS):
            if spare_ms > 0:
                since_ms = self._world.chance.below(spare_ms // 1000) * 1000
                self._world.at(day_ms + since_ms, self._off)

    def _off(self, _):
        now_ms = self._world.now_ms
        # who comes to tamper comes while nobody is at home
        if self._level or now_ms < self._lid_rests_ms:
            self._world.at(now_ms + 1000, self._off)
            return
        self._turn_lid(1)
        self._world.at(now_ms + self.late_ms, self._turn_lid, 0)
        self._lid_rests_ms = now_ms + 2 * self.late_ms

    def _turn_lid(self, level):
        if self._power:
            self.lifts.append([self._world.now_ms, LID + level, ""])
        self._lid.drive(level)

    def _visits(self, start_ms, end_ms):
        chance = self._world.chance
        moves = PER_DAY * (end_ms - start_ms) // DAY_MS
        when_ms = start_ms + CALM_MS
        spare_ms = 2 * ((end_ms - start_ms) // moves - CALM_MS)
        while moves > 0:
            # two moves of a pair take the time of two
            pair = chance.percent(PAIRS_PCT)
            self._world.at(when_ms, self._move)
            if pair:
                self._world.at(when_ms + PAIR_MS, self._move)
            moves -= 2 if pair else 1
            when_ms += CALM_MS + chance.below(2 * spare_ms + CALM_MS if pair else spare_ms)

    def powered(self, on):
        self._power = on

    def _move(self, _):
        self._level = level = 1 - self._level
        now_ms = self._world.now_ms
        if self._power:
            self.happened.append([now_ms, level, ""])
        self._moves += 1
        self._wire.drive(level)
        # not by chance, which would make another week of the same seed
        for bounce in range(self._moves % (BOUNCES_MAX + 1)):
            back_ms = now_ms + (2 * bounce + 1) * BOUNCE_MS
            self._world.at(back_ms, self._wire.drive, 1 - level)
            self._world.at(back_ms + BOUNCE_MS, self._wire.drive, level)


def judge(week):
    """The accounts of a week that is over, as a dict."""
    happened = week.door.happened + week.door.lifts
    duplicated = 0
    for number in sorted(week.receiver.told):
        level, when_ms, _ = week.receiver.told[number]
        match = None
        for event in happened:
            if event[2] == "" and event[1] == level and _is(event, when_ms, week):
                match = event
                break
        if match is None:
            duplicated += 1
        else:
            match[2] = "reported"
    for event in happened:
        if event[2] == "":
            event[2] = _why(week, event[0])
    counts = {}
    for name in ("reported", "unknown", "unseen", "lost"):
        counts[name] = sum([1 for event in happened if event[2] == name])
    counts["lost_at_ms"] = [event[0] for event in happened if event[2] == "lost"]
    counts["happened"] = len(happened)
    counts["lifts"] = len(week.door.lifts)
    counts["last_level"] = week.door.happened[-1][1]
    counts["duplicated"] = duplicated
    return counts


def troubles(week):
    """What the world did to the node, and what it cost, as a dict."""
    air = week.air
    return {
        "repeats": week.receiver.repeats,
        "pushed_out": week.receiver.lost,
        "reports": week.receiver.reports,
        "longest_report_bytes": week.receiver.longest,
        "wakes": week.wakes,
        "restarts": week.restarts,
        "safe_modes": week.safe_modes,
        "cuts": week.splits_payload,
        "brownouts": week.brownouts,
        "outages": week.outages_all,
        "stuck_joins": air.stuck,
        "linked_ms": air.linked_ms,
        "sent": air.sent,
        "sent_bytes": air.sent_bytes,
        "came": air.came,
        "came_bytes": air.came_bytes,
        "spent_ms": week.world.spent,
    }


def _is(event, when_ms, week):
    """May that event have been told as one of that time?"""
    late_ms = week.door.late_ms if event[1] >= LID else 0
    for since_ms, until_ms in week.unwatched:
        if since_ms <= event[0] <= until_ms:
            late_ms = max(late_ms, until_ms - event[0])
    return -TOLERANCE_MS < when_ms - event[0] < late_ms + TOLERANCE_MS


def _why(week, when_ms):
    for since_ms, until_ms in week.unwatched:
        said = any(said_ms > when_ms for said_ms in week.receiver.unknowns)
        if since_ms <= when_ms <= until_ms and said:
            return "unknown"
    for since_ms, until_ms in week.blind:
        if since_ms <= when_ms <= until_ms:
            return "unseen"
    return "lost"
