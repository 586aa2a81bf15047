"""What a node that is awake for a moment has to say: its report, and news for its observers.

The report goes first. Observers hear once it is on its way, by CON, for after a restart their
addresses are not verified; one that has not acknowledged in three wakes is forgotten, or it would
cost a few seconds of radio at every wake for ever.
"""

from coap.exchange import GIVEN_UP
from coap.observe import Observe
from coap.transports import address

STRIKES = 3


class Talk:
    """node: with a coap.report.Report; open_transport: makes what has step(ms) and close().

    pack(offer): the payload of a report; told: the resources that observers hear of at each one;
    others tell their changes themselves.
    """

    def __init__(self, node, report, open_transport, pack, told):
        self._node = node
        self._report = report
        self._open_transport = open_transport
        self._pack = pack
        self._told = told
        self._transport = None
        self._owed = False  # to observers
        self._strikes = 0  # wakes in a row in which somebody did not acknowledge
        self.datagrams = 0
        node.pack_peer, node.unpack_peer = address.pack, address.unpack

    def open(self):
        """The link is up. Raises OSError."""
        exchange = self._node.exchange
        mid = exchange.mid
        self._transport = self._open_transport()
        if mid:
            exchange.mid = mid  # the transport has seeded the node: go on with those we had

    def close(self):
        """The link goes down; a report that is still under way has failed."""
        self._report.stop()
        self._strike()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._node.secure is not None:
            self._node.secure.retain()  # nothing is sent or taken until the link is up again

    def send(self, offer, on_done):
        """Report what a journal offers; on_done(taken) is called once."""
        self._owed = True
        self._report.send(self._pack(offer), lambda report: on_done(report.released))

    def step(self, max_ms):
        """Send and take what there is. Raises OSError."""
        self._transport.step(max_ms)
        if self._owed:
            self._owed = False
            for resource in self._told:
                resource.changed()
            self._transport.step(0)

    def waiting(self):
        """Is there a reason to stay awake?"""
        return self._owed or self._report.busy or self._node.exchange.open > 0

    def state(self):
        """What must outlive a sleep, as bytes."""
        return bytes((self._strikes,)) + self._node.state()

    def restore(self, blob, newest=True):
        """Go on from what state() gave. False: it is not usable.

        newest: nothing was used up after that. Else the exact sequence numbers are not taken.
        """
        if self._node.secure is not None:
            self._node.secure.ledger.exact = newest
        if not self._node.restore(blob[1:]):
            return False
        self._strikes = min(blob[0], STRIKES)
        return True

    def _strike(self):
        exchange = self._node.exchange
        late = [slot for slot, owner in enumerate(exchange.owners) if isinstance(owner, Observe)]
        self._strikes = self._strikes + 1 if late else 0
        if self._strikes >= STRIKES:
            self._strikes = 0
            for slot in late:
                owner = exchange.owners[slot]
                if owner is not None:  # the first one's end may have been the second one's
                    exchange.end(slot)
                    owner.settled(slot, GIVEN_UP)
