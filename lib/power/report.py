"""The report of a node that sleeps: what it has to say, and what is waiting for it.

A sleeping node can not be asked, so it tells: a confirmable POST to /r/<node> of its receiver. A
2.04 releases what was reported; its payload, one CBOR unsigned integer, says how many requests the
receiver has queued, and the node stays awake for them. A bare ACK releases nothing, for it says
only that the report has come.

    report = Report(peer("192.168.1.2"), "door-1")
    node = Node(*usual(requests=1), report)
    report.send(pack, done)
    ... udp.step() while report.busy
"""

from coap.codec import MID, REQUEST, SLOW_PATH
from coap.extension import Extension
from coap.numbers import CHANGED, CLOCK_HALF, CLOCK_MASK, SENML_CBOR


class Report(Extension):
    """peer: the receiver; name: what it calls the node; limit_ms: a report that is not released by
    then has failed; linger_ms: queued requests are awaited for so long since the last one came.
    """

    scheduled = True

    def __init__(self, peer, name, limit_ms=30000, linger_ms=5000):
        self.peer = peer
        self.path = "r/" + name
        self.limit_ms = limit_ms
        self.linger_ms = linger_ms
        self.released = False  # the last report was taken
        self.error = ""  # or why not
        self.queued = 0  # requests that are still to come
        self.until_ms = 0
        self.mid = -1  # of the last request that came
        self.call = None
        self.on_done = None
        self.plain = (0, 0)  # what of requests the node looks at when none are queued

    @property
    def busy(self):
        """Is there a reason to stay awake?"""
        return self.call is not None or self.queued > 0

    def send(self, payload, on_done=None, content_format=SENML_CBOR):
        """Report; on_done(report) is called once, with `released` or `error`.

        The payload stays as it is until then. Raises ValueError while a report is under way, and
        CoapError when the node's requests are all taken.
        """
        if self.call is not None:
            raise ValueError("a report is under way: wait until it is done")
        self.released = False
        self.error = ""
        self.on_done = on_done
        call = self.node.client.post(self.peer, self.path, payload, self._answered)
        call.content_format = content_format
        call.timeout_ms = self.limit_ms
        self.call = call

    def stop(self):
        """The link goes down: a report under way has failed, and no request is awaited."""
        if self.call is not None:
            self.node.client.cancel(self.call)
            self.call = None
        if self.queued:
            self._linger(0, self.until_ms)

    def before_handler(self, view, resource):
        # a repeat of the last request is no new one
        if self.queued and view.peer == self.peer and view.index[MID] != self.mid:
            if not view.is_stored:
                self.mid = view.index[MID]
                self._linger(self.queued - 1, view.now_ms)
        return 0

    def due(self, now_ms):
        if self.queued and (now_ms - self.until_ms) & CLOCK_MASK < CLOCK_HALF:
            self._linger(0, now_ms)
        return 0

    def wait_ms(self, now_ms):
        if not self.queued:
            return CLOCK_MASK
        left = (self.until_ms - now_ms) & CLOCK_MASK
        return left if left < CLOCK_HALF else 0

    def _answered(self, response):
        self.call = None
        if response.code == CHANGED:
            self.released = True
            self._linger(unsigned(response.payload), self.node.view.now_ms)
        else:
            self.error = str(response)
        if self.on_done is not None:
            self.on_done(self)

    def _linger(self, queued, now_ms):
        """Look at all requests while some are queued."""
        node = self.node
        if queued and not self.queued:
            self.plain = (node.option_mask, node.view.index[SLOW_PATH])
            self.option_mask = REQUEST
            node.option_mask |= REQUEST
            node.view.index[SLOW_PATH] |= REQUEST
        elif self.queued and not queued:
            self.option_mask = 0
            node.option_mask, node.view.index[SLOW_PATH] = self.plain
        node.update_hooks()
        self.queued = queued
        self.until_ms = (now_ms + self.linger_ms) & CLOCK_MASK
        node.reschedule()


def unsigned(payload):
    """The CBOR unsigned integer that the payload is; 0 for anything else, or nothing."""
    n = len(payload)
    if n == 1 and payload[0] < 24:
        return payload[0]
    if n == 2 and payload[0] == 0x18:
        return payload[1]
    if n == 3 and payload[0] == 0x19:
        return payload[1] << 8 | payload[2]
    return 0
