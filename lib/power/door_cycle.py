"""One life of a door's node: wake, look, tell, linger, save, sleep.

    wake -> read the pin -> restore -> join -> report -> linger -> save -> arm -> sleep

What it works with is that of life.py, and:

    contact    is_open(), poll(), edges, open_level; see sensors.reed
    lid        the same of the housing, where it is watched, else None
    chip       reason(), sleep(span_ms, level, lid_level)
    reserve    of its module

What failed is in the journal.
"""

from micropython import const

import power.event_log as j
from power import retained_state
from power.duty_cycle import DutyCycle
from power.sleep_modes import PIN, POWER_ON, RESET

_MASK = const(0x3FFFFFFF)
_SETTLE_MS = const(30)
_SKIP = const(16)  # numbers left out when an image that was lost may have used them
_PARTS = const(4)


class DoorCycle(DutyCycle):
    """As Life."""

    def __init__(self, parts, say=print, told=None, failed=None, **limits):
        super().__init__(parts, say, told, failed, **limits)
        self.contact = parts["contact"]
        self.lid = parts.get("lid")
        self.reserve = parts["reserve"]
        self._edges = 0  # of the contact that are in the journal
        self._lid_edges = 0

    def run(self):
        """Live for ever; on a chip whose deep sleep ends in a reset, until the first sleep."""
        self.restore(self.chip.reason())
        while True:
            self.wake()
            self.rest()

    # Waking

    def restore(self, reason):
        """Take up what was kept, and what the pin says: the first thing after a start."""
        self.errand.begin()
        now_s = self.clock.seconds()
        parts = self.recall(_PARTS)
        known = parts is not None and self.journal.restore(parts[1])
        if known:
            if not self.pace.restore(parts[0]):
                self.pace.begin(now_s)
            self.resume(parts[2], parts[3])
        else:
            self._forget(now_s)
        if self.slots.damaged:
            self.journal.skip(_SKIP)
            self.journal.blank(self.journal.level)
            self.journal.fault(j.MEMORY_TORN, now_s)
        self._look(reason, now_s, known)
        self.save()

    def _forget(self, now_s):
        """Nothing was kept: the first start, or the memory has had no power."""
        journal = self.journal
        self.pace.begin(now_s)
        if self.reserve.limit >= 0:
            journal.number = journal.released = self.reserve.limit
            journal.blank()
            journal.fault(j.MEMORY_LOST, now_s)

    def _look(self, reason, now_s, known):
        """What the pins say of the time in which nobody watched."""
        journal = self.journal
        level = self._level()
        changed = journal.level >= 0 and level != journal.level
        is_lids = self._look_at_lid(reason, now_s)
        if reason in (POWER_ON, RESET) and known:
            journal.blank(journal.level)  # for how long was it off?
            journal.rebase(now_s)
            self.pace.begin(now_s)
        if changed:
            journal.note(level, reason, now_s)
        elif reason == PIN and journal.level >= 0 and not is_lids:
            journal.catch_up(level, 2, PIN, now_s)  # it was quicker than the start
        journal.level = level
        if reason == PIN and self.pace.edge(now_s):
            journal.fault(j.UNSTEADY, now_s)
        if self.pace.look(now_s):
            journal.blank(level)
        self._edges = self.contact.edges

    def _look_at_lid(self, reason, now_s):
        """The same for the lid. Was it the lid that has woken the node?

        Where the chip can not tell and the lid is as it was, it was the contact: a door that shuts
        again within the start is common, a lid that does so is not.
        """
        journal, lid = self.journal, self.lid
        if lid is None:
            return False
        level = 1 if lid.is_open() else 0
        moved = journal.lid >= 0 and level != journal.lid
        woke = reason == PIN and self.chip.by_lid()
        if woke is None:  # one source for both, which can wait for one level only
            woke = moved and self._awaited() == self._awaited_of_lid()
        if moved:
            journal.note(level, reason | j.LID, now_s)
        elif woke and journal.lid >= 0:
            journal.catch_up(level, 2, PIN | j.LID, now_s)
        journal.lid = level
        self._lid_edges = lid.edges
        return woke

    def watch(self):
        """Note what contact and lid did since the last look; saved at once."""
        self.feed()
        moved = self.contact.poll()
        if moved:
            edges = (self.contact.edges - self._edges) & _MASK
            self._edges = self.contact.edges
            self.journal.catch_up(self._level(), edges, j.AWAKE, self.clock.seconds())
        lid = self.lid
        if lid is not None and lid.poll():
            moved = True
            edges = (lid.edges - self._lid_edges) & _MASK
            self._lid_edges = lid.edges
            level = 1 if lid.is_open() else 0
            self.journal.catch_up(level, edges, j.AWAKE | j.LID, self.clock.seconds())
        if moved:
            self.save()

    def _level(self):
        return 1 if self.contact.is_open() else 0

    # Telling

    def wake(self):
        """Tell what there is to tell, if it is time to."""
        self.watch()
        now_s = self.clock.seconds()
        if not self.pace.may_try(now_s):
            return
        if not self.owes() and not self.pace.beat_due(now_s):
            return
        what = self.errand.run()
        if what:
            self.journal.fault(what, self.clock.seconds())
            self.vain(what)

    def owes(self):
        """Is there something that nobody has taken?"""
        return self.journal.pending or self.journal.dropped or self.journal.blanks

    def taken(self):
        """A report was released; for the errand."""
        super().taken()
        self.save()

    # Sleeping

    def keep(self):
        """As in Life."""
        self.reserve.cover(self.journal.number)
        self.slots.save(
            retained_state.pack(
                self.pace.state(), self.journal.state(), self.link.state(), self.talk.state()
            )
        )

    def rest(self):
        """Sleep until there is something to do; the contact may have moved meanwhile."""
        self.watch()
        now_s = self.clock.seconds()
        waiting = self.owes()
        if waiting and self.pace.may_try(now_s):
            return  # it moved after the report: tell that first
        span_ms = self.pace.sleep_s(now_s, waiting) * 1000
        self.save()
        if self.pace.resting:
            self.chip.sleep(span_ms, None)
        else:
            self.chip.sleep(span_ms, self._awaited(), self._awaited_of_lid())
        self.clock.sleep_ms(_SETTLE_MS)  # a level that has just come has to last the debounce
        self.errand.begin()
        if self.pace.look(self.clock.seconds()):
            self.journal.blank(self._level())
        if self._has_moved() and self.pace.edge(self.clock.seconds()):
            self.journal.fault(j.UNSTEADY, self.clock.seconds())

    def _has_moved(self):
        self.contact.is_open()  # an edge counts when somebody looks and the level has lasted
        moved = self.contact.edges != self._edges
        lid = self.lid
        if lid is not None:
            lid.is_open()
            moved = moved or lid.edges != self._lid_edges
        return moved

    def _awaited(self):
        """The level that the journal does not know: a contact that just moved wakes at once."""
        return _other(self.contact, self.journal.level)

    def _awaited_of_lid(self):
        """Likewise; None where no pin tells of the lid."""
        if self.lid is None or self.lid.pin is None:
            return None
        return _other(self.lid, self.journal.lid)


def _other(contact, level):
    return 1 - contact.open_level if level else contact.open_level
