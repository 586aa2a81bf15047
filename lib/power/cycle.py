"""One life of a sleeping node: wake, look, tell, linger, save, sleep.

    wake -> read the pin -> restore -> join -> report -> linger -> save -> arm -> sleep

All that it works with comes in, so a test runs it on a clock of its own:

    contact    is_open(), poll(), edges, open_level; see sensors.reed
    clock      ticks_ms(), sleep_ms(ms), and seconds(), which goes on in sleep
    chip       reason(), sleep(span_ms, level); see power.chips
    link       start(), poll(), stop(), state(), restore(); see power.fastjoin
    talk       open(), send(offer, on_done), step(ms), waiting(), close(), state(), restore(): the
               node with its report and observers, see firmware/talk.py
    journal, pace, slots, reserve: of their modules
    measure    measure(sending), called before the radio is switched on, and while it sends
    feed       calms the watchdog; called here and nowhere else, by a loop that is alive

Whatever the network does, a wake ends (errand.py). What failed is in the journal, and the pause
after it grows.
"""

from micropython import const

import journal as j
from power import sections
from power.chips import PIN, POWER_ON, RESET
from power.errand import Errand

_MASK = const(0x3FFFFFFF)
_SETTLE_MS = const(30)
_SKIP = const(16)  # numbers left out when an image that was lost may have used them
_PARTS = const(4)


class Cycle:
    """limits: join_ms, report_ms, linger_ms and awake_ms, see errand.py.

    told() is called when a report was taken; failed(failures) when so many wakes in a row were in
    vain; say takes a line for the log.
    """

    def __init__(self, parts, say=print, told=None, failed=None, **limits):
        self.contact = parts["contact"]
        self.clock = parts["clock"]
        self.chip = parts["chip"]
        self.link = parts["link"]
        self.talk = parts["talk"]
        self.journal = parts["journal"]
        self.pace = parts["pace"]
        self.slots = parts["slots"]
        self.reserve = parts["reserve"]
        self.feed = parts["feed"]
        self.say = say
        self.told = told
        self.failed = failed
        self._errand = Errand(parts, self, say, **limits)
        self._edges = 0  # of the contact that are in the journal

    def run(self):
        """Live for ever; on a chip whose deep sleep ends in a reset, until the first sleep."""
        self.restore(self.chip.reason())
        while True:
            self.wake()
            self.rest()

    # Waking

    def restore(self, reason):
        """Take up what was kept, and what the pin says: the first thing after a start."""
        self._errand.begin()
        now_s = self.clock.seconds()
        image = self.slots.load()
        parts = None if image is None else sections.split(image, _PARTS)
        known = parts is not None and self.journal.restore(parts[1])
        if known:
            if not self.pace.restore(parts[0]):
                self.pace.begin(now_s)
            self.link.restore(parts[2])
            self.talk.restore(parts[3])
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
        """What the pin says of the time in which nobody watched."""
        journal = self.journal
        level = self._level()
        changed = journal.level >= 0 and level != journal.level
        if reason in (POWER_ON, RESET):
            if known:
                journal.blank(journal.level)  # for how long was it off?
            if changed:
                journal.note(level, j.POWER_ON if reason == POWER_ON else j.RESET, now_s)
        elif changed:
            journal.note(level, reason, now_s)
        elif reason == PIN and journal.level >= 0:
            journal.catch_up(level, 2, PIN, now_s)  # it was quicker than the start
        journal.level = level
        if reason == PIN and self.pace.edge(now_s):
            journal.fault(j.UNSTEADY, now_s)
        if self.pace.look(now_s):
            journal.blank(level)
        self._edges = self.contact.edges

    def watch(self):
        """Note what the contact did since the last look; saved at once."""
        self.feed()
        if self.contact.poll():
            edges = (self.contact.edges - self._edges) & _MASK
            self._edges = self.contact.edges
            self.journal.catch_up(self._level(), edges, j.AWAKE, self.clock.seconds())
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
        what = self._errand.run()
        if what:
            self._failed(what)

    def owes(self):
        """Is there something that nobody has taken?"""
        return self.journal.pending or self.journal.dropped or self.journal.blanks

    def _failed(self, what):
        now_s = self.clock.seconds()
        self.journal.fault(what, now_s)
        self.pace.failed(now_s)
        self.say("{}; next try in {} s".format(j.FAULTS[what], self.pace.sleep_s(now_s, True)))
        if self.failed is not None:
            self.failed(self.pace.failures)

    def taken(self):
        """A report was released; for the errand."""
        self.pace.told(self.clock.seconds())
        self.save()
        if self.told is not None:
            self.told()

    # Sleeping

    def save(self):
        """Keep everything. What does not fit or can not be written is lost with the next reset."""
        try:
            self.keep()
        except (OSError, ValueError) as error:
            self.say("state: {}".format(error))

    def keep(self):
        """As save(), for who has to know: raises OSError, or ValueError for what does not fit."""
        self.reserve.cover(self.journal.number)
        self.slots.save(
            sections.join(
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
        # the level that the journal does not know: a contact that has just moved wakes at once
        opened = self.contact.open_level
        other = 1 - opened if self.journal.level else opened
        self.chip.sleep(span_ms, None if self.pace.resting else other)
        self.clock.sleep_ms(_SETTLE_MS)  # a level that has just come has to last the debounce
        self._errand.begin()
        if self.pace.look(self.clock.seconds()):
            self.journal.blank(self._level())
        if self.contact.edges != self._edges and self.pace.edge(self.clock.seconds()):
            self.journal.fault(j.UNSTEADY, self.clock.seconds())
