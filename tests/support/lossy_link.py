"""A wire and a clock in memory: nodes exchange datagrams in virtual time, with loss.

    wire = Wire(loss_pct=30, duplicate_pct=10, delay_ms=(5, 400), seed=1)
    wire.join("node", node)
    wire.send("me", "node", datagram)
    wire.run(60000)

An end is a Node, or anything with datagram(), out(), due(), wait_ms() and peer.
"""

_MASK = 0x3FFFFFFF


class LossyLink:
    """Carries datagrams between named ends.

    Each datagram is lost with loss_pct, doubled with duplicate_pct, and takes a time between the
    two delay_ms; different delays reorder. The same seed does the same again.
    """

    def __init__(self, loss_pct=0, duplicate_pct=0, delay_ms=(1, 1), seed=1, now_ms=0):
        self.loss_pct = loss_pct
        self.duplicate_pct = duplicate_pct
        self.delay_ms = delay_ms
        self.state = seed & _MASK
        self.now_ms = now_ms & _MASK
        self.elapsed_ms = 0
        self.ends = {}
        self.flying = []  # (when in elapsed_ms, order, from, to, bytes), the next one last
        self.order = 0
        self.log = []  # (elapsed_ms, from, to, bytes) of everything that was sent

    def join(self, name, end):
        """Give an end its address."""
        self.ends[name] = end
        return end

    def random(self, below):
        """Return the next random number, 0 <= n < below."""
        self.state = (self.state * 1103515245 + 12345) & _MASK
        return (self.state >> 12) * below >> 18

    def send(self, sender, to, datagram):
        """Put bytes on the wire."""
        datagram = bytes(datagram)
        self.log.append((self.elapsed_ms, sender, to, datagram))
        if self.random(100) >= self.loss_pct:
            self._fly(sender, to, datagram)
        if self.random(100) < self.duplicate_pct:
            self._fly(sender, to, datagram)

    def run(self, span_ms):
        """Let span_ms pass: deliver, and call what is due, in the order of time."""
        end = self.elapsed_ms + span_ms
        while True:
            self._due()
            when = end
            if self.flying and self.flying[-1][0] < when:
                when = self.flying[-1][0]
            for other in self.ends.values():
                wait_ms = other.wait_ms(self.now_ms)
                if wait_ms >= 0 and self.elapsed_ms + wait_ms < when:
                    when = self.elapsed_ms + wait_ms
            self._pass(when)
            if self.flying and self.flying[-1][0] <= when:
                self._deliver(self.flying.pop())
            elif when >= end:
                self._due()
                return

    def _pass(self, when):
        self.now_ms = (self.now_ms + when - self.elapsed_ms) & _MASK
        self.elapsed_ms = when

    def _fly(self, sender, to, datagram):
        low, high = self.delay_ms
        self.order += 1
        when = self.elapsed_ms + low + self.random(high - low + 1)
        self.flying.append((when, self.order, sender, to, datagram))
        self.flying.sort(key=lambda one: (-one[0], -one[1]))

    def _deliver(self, item):
        _when, _order, sender, to, datagram = item
        end = self.ends.get(to)
        if end is not None:
            n = end.datagram(datagram, len(datagram), sender, self.now_ms)
            if n:
                self.send(to, sender, end.tx_view(n))

    def _due(self):
        for name, end in self.ends.items():
            n = end.due(self.now_ms)
            while n:
                self.send(name, end.peer, end.tx_view(n))
                n = end.due(self.now_ms)
