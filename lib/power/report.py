"""The report of a node that sleeps, and the requests that its receiver has queued for it.

A sleeping node receives no requests, so it reports: a confirmable POST to /r/<node> of its
receiver. A 2.04 response acknowledges the report. Its payload, one CBOR unsigned integer, is the
number of requests that the receiver has queued: the node stays awake for them. An empty ACK alone
acknowledges nothing; it only says that the datagram has arrived.

    report = Report(peer("192.168.1.2"), "door-1")
    node = Node(*default_extensions(requests=1), report)
    report.send(pack, done)
    ... udp.step() while report.busy
"""

from coap.codec import MID, REQUEST, SLOW_PATH
from coap.extension import Extension
from coap.numbers import CHANGED, CLOCK_HALF, CLOCK_MASK, SENML_CBOR


class Report(Extension):
    """Send reports to one receiver, one at a time.

    peer: the receiver; name: of the node at the receiver; limit_ms: a report without a response by
    then has failed; linger_ms: time to wait for the next queued request.
    """

    scheduled = True

    def __init__(self, peer, name, limit_ms=30000, linger_ms=5000):
        self.peer = peer
        self.path = "r/" + name
        self.limit_ms = limit_ms
        self.linger_ms = linger_ms
        self.released = False  # the receiver acknowledged the last report
        self.error = ""  # else the reason why not
        self.queued = 0  # requests that are still expected
        self.until_ms = 0
        self.mid = -1  # of the last queued request
        self.call = None
        self.on_done = None
        self.plain = (0, 0)  # the node's masks while nothing is queued

    @property
    def busy(self):
        """Return True if a response or a queued request is still expected."""
        return self.call is not None or self.queued > 0

    def send(self, payload, on_done=None, content_format=SENML_CBOR):
        """Send a report; on_done(report) is called once, with `released` or `error` set.

        The payload must not change until then. Raises ValueError while a report is under way,
        CoapError if the node's client has no free request.
        """
        if self.call is not None:
            raise ValueError("a report is under way: wait until it is done")
        self.released = False
        self.error = ""
        self.on_done = on_done
        call = self.node.client.post(self.peer, self.path, payload, self._on_response)
        call.content_format = content_format
        call.timeout_ms = self.limit_ms
        self.call = call

    def stop(self):
        """Cancel a report in progress and expect no further requests: the link goes down."""
        if self.call is not None:
            self.node.client.cancel(self.call)
            self.call = None
        if self.queued:
            self._expect(0, self.until_ms)

    def before_handler(self, view, resource):
        """Count a queued request; a duplicate of the last one does not count."""
        if self.queued and view.peer == self.peer and view.index[MID] != self.mid:
            if not view.is_stored:
                self.mid = view.index[MID]
                self._expect(self.queued - 1, view.now_ms)
        return 0

    def due(self, now_ms):
        """Stop expecting requests when `linger_ms` is over. Return 0: nothing to send."""
        if self.queued and (now_ms - self.until_ms) & CLOCK_MASK < CLOCK_HALF:
            self._expect(0, now_ms)
        return 0

    def wait_ms(self, now_ms):
        """Return the milliseconds until due() has something to do."""
        if not self.queued:
            return CLOCK_MASK
        left = (self.until_ms - now_ms) & CLOCK_MASK
        return left if left < CLOCK_HALF else 0

    def _on_response(self, response):
        if response.more:  # a count has no second block
            self.node.client.cancel(self.call)
        self.call = None
        if response.code == CHANGED:
            self.released = True
            self._expect(unsigned(response.payload), self.node.view.now_ms)
        else:
            self.error = str(response)
        if self.on_done is not None:
            self.on_done(self)

    def _expect(self, queued, now_ms):
        """Expect `queued` requests: meanwhile before_handler() has to see every request."""
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
    """Return the CBOR unsigned integer in `payload`, 0 for anything else or nothing."""
    n = len(payload)
    if n == 1 and payload[0] < 24:
        return payload[0]
    if n == 2 and payload[0] == 0x18:
        return payload[1]
    if n == 3 and payload[0] == 0x19:
        return payload[1] << 8 | payload[2]
    return 0
