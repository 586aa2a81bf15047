"""One errand of the radio: join, report until nothing is left to tell, linger, and off again.

Whatever the network does it ends: after `join_ms` without a link, `report_ms` without an answer,
and `awake_ms` after begin() in all. `linger_ms` is for what observers and queued requests take
once the report is out. Used by a door (cycle.py) and by a wearable (nap.py), which own it:

    owner.watch()   called all the time, for time goes by: the sensors, the watchdog
    owner.owes()    is there more to tell?
    owner.taken()   a report was released
"""

from micropython import const

from journal import AWAKE_TOO_LONG, JOIN_FAILED, REPORT_FAILED
from power.fastjoin import FAILED, UP

_MASK = const(0x3FFFFFFF)
_STEP_MS = const(20)


class Errand:
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
