"""What the lives of a door (cycle.py) and of a wearable (nap.py) have in common.

All that they work with comes in, so a test runs it on a clock of its own:

    clock      ticks_ms(), sleep_ms(ms), and seconds(), which goes on in sleep
    chip       sleep(span_ms, level, ...); see power.sleep_modes
    link       start(), poll(), stop(), state(), restore(); see power.wifi_fast
    talk       open(), send(offer, on_done), step(ms), waiting(), close(), state(), and
               restore(blob, newest): the node with its report and observers, see firmware/talk.py
    journal    offer(), release(offer): what there is to tell
    pace, slots: of their modules
    measure    measure(sending), called before the radio is switched on, and while it sends
    feed       calms the watchdog; called by a loop that is alive, and nowhere else

Whatever the network does, a wake ends (errand.py), and after a failure the pause grows (pace.py).
"""

from micropython import const

from power import retained_state
from power.event_log import AWAKE_TOO_LONG, FAULTS, JOIN_FAILED, REPORT_FAILED
from power.wifi_fast import FAILED, UP


class DutyCycle:
    """limits: join_ms, report_ms, linger_ms and awake_ms, see errand.py.

    told() is called when a report was taken; failed(failures) when so many wakes in a row were in
    vain; say takes a line for the log.
    """

    def __init__(self, parts, say=print, told=None, failed=None, **limits):
        self.clock = parts["clock"]
        self.chip = parts["chip"]
        self.link = parts["link"]
        self.talk = parts["talk"]
        self.journal = parts["journal"]
        self.pace = parts["pace"]
        self.slots = parts["slots"]
        self.feed = parts["feed"]
        self.say = say
        self.told = told
        self.failed = failed
        self.errand = RadioSession(parts, self, say, **limits)

    def recall(self, count):
        """The parts of what was kept last, where there are so many; None: nothing is known."""
        image = self.slots.load()
        return None if image is None else retained_state.unpack(image, count)

    def resume(self, link, talk):
        """Link and talk go on from their parts. What a newer image that was lost has used up must
        not be used again.
        """
        self.link.restore(link)
        self.talk.restore(talk, not self.slots.damaged)

    def vain(self, what):
        """An errand has failed."""
        now_s = self.clock.seconds()
        self.pace.failed(now_s)
        self.say("{}; next try in {} s".format(FAULTS[what], self.pace.sleep_s(now_s, True)))
        if self.failed is not None:
            self.failed(self.pace.failures)

    def taken(self):
        """A report was released; for the errand."""
        self.pace.told(self.clock.seconds())
        if self.told is not None:
            self.told()

    def keep(self):
        """Keep what a reset would lose; each kind of life has its own parts.

        Raises OSError, or ValueError for what does not fit.
        """
        raise NotImplementedError

    def save(self):
        """Keep everything. What does not fit or can not be written is lost with the next reset."""
        try:
            self.keep()
        except (OSError, ValueError) as error:
            self.say("state: {}".format(error))


# One errand of the radio: join, report until nothing is left to tell, linger, and off again.
#
# Whatever the network does it ends: after `join_ms` without a link, `report_ms` without an answer,
# and `awake_ms` after begin() in all. `linger_ms` is for what observers and queued requests take
# once the report is out. Used by a door (cycle.py) and by a wearable (nap.py), which own it:
#
#     owner.watch()   called all the time, for time goes by: the sensors, the watchdog
#     owner.owes()    is there more to tell?
#     owner.taken()   a report was released

_MASK = const(0x3FFFFFFF)
_STEP_MS = const(20)


class RadioSession:
    """parts: clock, link, talk and measure as life.py has them; and journal, of which only
    offer() and release(offer) are used.
    """

    def __init__(
        self,
        parts,
        owner,
        say=print,
        join_ms=18000,
        report_ms=20000,
        linger_ms=8000,
        awake_ms=45000,
    ):
        self.owner = owner
        self.clock = parts["clock"]
        self.link = parts["link"]
        self.talk = parts["talk"]
        self.journal = parts["journal"]
        self.measure = parts["measure"]
        self.say = say
        self.join_ms = join_ms
        self.report_ms = report_ms
        self.linger_ms = linger_ms
        self.awake_ms = awake_ms
        self._began_ms = self._sent_ms = 0
        self._done = self._taken = False  # the report is over; it was taken
        self._offer = None

    def begin(self):
        """The node has woken."""
        self._began_ms = self.clock.ticks_ms()

    def run(self):
        """Tell what there is to tell: 0, or the fault that the journal has a number for."""
        self.measure(False)
        what = 0
        if not self._join():
            what = JOIN_FAILED
        elif not self._tell():
            what = REPORT_FAILED
        self.link.stop()
        return AWAKE_TOO_LONG if what and self._awake_ms() >= self.awake_ms else what

    def _join(self):
        since_ms = self.clock.ticks_ms()
        try:
            self.link.start(since_ms, self.clock.seconds())
            while self._elapsed_ms(since_ms) < self.join_ms:
                now_ms = self.clock.ticks_ms()
                how = self.link.poll(now_ms, self.clock.seconds())
                if how == UP:
                    return True
                if how == FAILED:
                    self.link.start(now_ms, self.clock.seconds())
                self.clock.sleep_ms(_STEP_MS)
                self.owner.watch()
        except OSError as error:
            self.say("Wi-Fi: {}".format(error))
        return False

    def _tell(self):
        try:
            self.talk.open()
            return self._talk()
        except OSError as error:
            self.say("CoAP: {}".format(error))
            return False
        finally:
            self.talk.close()

    def _talk(self):
        """Report until nothing is left to tell, and answer what was waiting. False: no answer."""
        self._send()
        self.talk.step(0)
        self.measure(True)  # the radio is sending
        while self._awake_ms() < self.awake_ms:
            self.talk.step(_STEP_MS)
            self.owner.watch()
            if not self._done:
                if self._elapsed_ms(self._sent_ms) >= self.report_ms:
                    return False
            elif not self._taken:
                return False
            elif self.owner.owes():
                self._send()
            elif not self.talk.waiting() or self._elapsed_ms(self._sent_ms) >= self.linger_ms:
                return True
        return self._done and self._taken

    def _send(self):
        self._offer = self.journal.offer()
        self._done = self._taken = False
        self._sent_ms = self.clock.ticks_ms()
        self.talk.send(self._offer, self._answered)

    def _answered(self, taken):
        self._done = True
        self._taken = taken
        if taken:
            self.journal.release(self._offer)
            self._sent_ms = self.clock.ticks_ms()  # lingering counts from here
            self.owner.taken()

    def _elapsed_ms(self, since_ms):
        return (self.clock.ticks_ms() - since_ms) & _MASK

    def _awake_ms(self):
        return self._elapsed_ms(self._began_ms)
