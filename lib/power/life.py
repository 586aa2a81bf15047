"""What the lives of a door (cycle.py) and of a wearable (nap.py) have in common.

All that they work with comes in, so a test runs it on a clock of its own:

    clock      ticks_ms(), sleep_ms(ms), and seconds(), which goes on in sleep
    chip       sleep(span_ms, level, ...); see power.chips
    link       start(), poll(), stop(), state(), restore(); see power.fastjoin
    talk       open(), send(offer, on_done), step(ms), waiting(), close(), state(), and
               restore(blob, newest): the node with its report and observers, see firmware/talk.py
    journal    offer(), release(offer): what there is to tell
    pace, slots: of their modules
    measure    measure(sending), called before the radio is switched on, and while it sends
    feed       calms the watchdog; called by a loop that is alive, and nowhere else

Whatever the network does, a wake ends (errand.py), and after a failure the pause grows (pace.py).
"""

from journal import FAULTS
from power import sections
from power.errand import Errand


class Life:
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
        self.errand = Errand(parts, self, say, **limits)

    def recall(self, count):
        """The parts of what was kept last, where there are so many; None: nothing is known."""
        image = self.slots.load()
        return None if image is None else sections.split(image, count)

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
