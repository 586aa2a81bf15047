"""Observe (RFC 7641): clients that are told when a resource changes.

An observer is its registration, kept as it came, and a notification is the answer that this
request would get now: Accept, queries and the Block2 size of the registration hold by themselves.
A change only marks observers; due() writes the notification from the state that then is, so that
the newest state is what gets sent, however often it changed.

Observers who asked the same are a group: while nothing else is sent or comes, one notification is
written for all of them, and only the token, the MID and the number in it are each one's own.
"""

from array import array

from micropython import const

from coap.codec import (
    ABSENT,
    CODE,
    DATAGRAM_COUNT,
    FIELD_CODE,
    FIELD_CONTENT_FORMAT,
    FIELD_ETAG,
    FIELD_OBSERVE,
    FLAGS,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_NO_RESPONSE,
    IX_OBSERVE,
    MID,
    NOTIFY_MID,
    NOTIFY_OPTION_AT,
    NOTIFY_VALUE,
    OPTIONS_START,
    PAYLOAD,
    SIZE,
    copy,
    readdress,
    same_request,
    same_token,
)
from coap.counters import COUNT_OBSERVERS_EVICTED, COUNT_OBSERVERS_REFUSED
from coap.extension import Extension
from coap.messaging import ACKNOWLEDGED, GIVEN_UP
from coap.numbers import CLOCK_MASK, FETCH, GET, INTERNAL_SERVER_ERROR, NOT_ACCEPTABLE

# Words of an observer
_LENGTH = const(0)  # of the registration; 0: nobody
_NUMBER = const(1)  # of the last notification
_MID = const(2)  # of the last notification
_NEW = const(3)  # the state is newer than the last notification
_SLOT = const(4)  # in the message layer while a confirmable one is in flight; -1
_SINCE_CON = const(5)  # notifications since a confirmable one
_CON_MS = const(6)  # when the last confirmable one was sent
_FORMAT = const(7)  # Content-Format of the first answer
_LAST = const(8)  # the notification in flight is an error: the observer's last
_CONTEXT = const(9)  # of its registration, 0 for none
_GROUP = const(10)  # the same for all who asked the same and are answered alike; 0 for none
_WORDS = const(11)

# What is known of the notification that lies in tx
_W_GROUP = const(3)  # whose it is; 0: of nobody, or it can not be given to others
_W_LENGTH = const(4)
_W_COUNT = const(5)  # datagrams that had come when it was written
_W_MS = const(6)
_WRITTEN = const(7)

# Options of a registration that are as good for one observer as for another: beside them it has no
# condition, no block and no wish of its own
_COMMON = const(1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 25)

_REGISTER = const(0)
_DEREGISTER = const(1)
_JUMP = const(256)  # numbers skipped on a restart: more than were sent since the state was saved


class Observe(Extension):
    """slots: observers in all; request_bytes: the longest registration that is kept (a longer one
    is answered without Observe); con_every: so many notifications bring a confirmable one;
    con_ms: and so does so much time, at most 24 h (RFC 7641 section 4.5).
    """

    option_mask = slow_path_mask = 1 << IX_OBSERVE
    scheduled = True

    def __init__(self, slots=8, request_bytes=64, con_every=20, con_ms=86400000):
        if con_ms > 86400000:
            raise ValueError("con_ms is at most 24 h: 86400000")
        self.slots = slots
        self.request_bytes = request_bytes
        self.con_every = con_every
        self.con_ms = con_ms
        self.words = array("i", [0] * (_WORDS * slots))
        self.peers = [None] * slots
        self.resources = [None] * slots
        self.requests = [bytearray(request_bytes) for _ in range(slots)]
        self.number = 0  # of the last notification to anybody; 24 bits
        self.used = 0
        self.notifying = -1  # the observer whose notification is being written
        self.turn = 0
        self.groups = 0  # that were ever made, modulo 2**30
        self.written = array("i", [0] * _WRITTEN)

    def count(self, resource=None):
        """How many observe `resource`, or anything."""
        if resource is None:
            return self.used
        return sum([1 for other in self.resources if other is resource])

    # At a request

    def after_handler(self, view, builder):
        if self.notifying >= 0:
            self._notify(builder.fields)
        elif view.index[CODE] == GET or view.index[CODE] == FETCH:
            resource = self.node.resource
            if resource is not None and resource.observable:
                self._wish(view, builder.fields, self._find(view))

    def _wish(self, view, fields, i):
        wish = view.index[IX_OBSERVE]
        if i >= 0 and (wish == _DEREGISTER or fields[FIELD_CODE] > 0x5F):
            self._remove(i)
        elif wish == _REGISTER and fields[FIELD_CODE] <= 0x5F and self._may(view):
            self._register(view, i, fields)

    def changed(self, resource):  # hot
        self.written[_W_GROUP] = 0
        if self.used:
            words = self.words
            resources = self.resources
            found = False
            i = self.slots
            while i:
                i -= 1
                if resources[i] is resource:
                    found = True
                    words[i * _WORDS + _NEW] = (
                        1 if words[i * _WORDS + _GROUP] else self._concerns(i, resource)
                    )
            if found:
                self.node.reschedule()

    def rejected(self, view):
        words = self.words
        for i in range(self.slots):
            at = i * _WORDS
            if words[at] and words[at + _MID] == view.index[MID] and self.peers[i] == view.peer:
                self._remove(i)
                return

    # In its own time

    def due(self, now_ms):  # hot
        if not self._is_there(self.written, now_ms):
            self.written[_W_GROUP] = 0
        words = self.words
        tries = self.slots if self.used else 0
        while tries:
            tries -= 1
            # in turns, so that one whose resource changes all the time does not starve others
            i = self.turn = self.turn + 1 if self.turn + 1 < self.slots else 0
            i *= _WORDS
            if words[i] and words[i + _SLOT] < 0:
                if words[i + _NEW] or not words[i + _GROUP] or self._is_old(i, now_ms):
                    i = self._attend(self.turn, now_ms)
                    if i:
                        return i
        return 0

    def wait_ms(self, now_ms):  # hot
        nearest = CLOCK_MASK
        if self.used:
            i = self.slots
            while i:
                i -= 1
                left = self._left_ms(i * _WORDS, now_ms)
                if left < nearest:
                    nearest = left
        return nearest

    def _left_ms(self, at, now_ms):
        words = self.words
        if words[at] == 0 or words[at + _SLOT] >= 0:
            return CLOCK_MASK
        left = self._pause_ms(at, now_ms)
        if left <= 0:
            # without a free exchange there is nothing to do before one ends
            return 0 if self.node.messaging.has_free_exchange() else CLOCK_MASK
        return left

    def _concerns(self, i, resource):
        conditions = self.node.conditions
        return 1 if conditions is None or conditions.triggers(i, resource) else 0

    def _pause_ms(self, at, now_ms):  # hot
        """How long until a notification is owed, if nothing changes; 0 or less: it is."""
        left = self.con_ms - ((now_ms - self.words[at + _CON_MS]) & CLOCK_MASK)
        if self.node.conditions is not None:
            other = self.node.conditions.left_ms(at // _WORDS, self.words[at + _NEW], now_ms)
        else:
            other = 0 if self.words[at + _NEW] else CLOCK_MASK
        return other if other < left else left

    # As an owner of exchanges

    def transmit(self, slot, mid):
        i = self._holder(slot)
        at = i * _WORDS
        words = self.words
        if words[at + _MID] != mid:
            self._next_number(at)
        elif words[at + _NEW]:
            # RFC 7641 section 4.5.2: the newer state takes the place of the one in flight
            mid = self.node.messaging.new_mid(slot)
            self._next_number(at)
        return self._send(i, mid)

    def on_exchange_done(self, slot, how):
        i = self._holder(slot)
        at = i * _WORDS
        self.words[at + _SLOT] = -1
        if how == GIVEN_UP:
            self._remove_peer(self.peers[i])  # nobody is there any more
        elif how != ACKNOWLEDGED or self.words[at + _LAST]:
            self._remove(i)

    # Across a restart

    def state(self):
        """The last number; and the observers, as they registered, where node.pack_peer is set.

        Those that it refuses with ValueError are left out: a serial line has no address.
        """
        out = bytes((self.number >> 16, self.number >> 8 & 255, self.number & 255))
        pack = self.node.pack_peer
        if pack is not None:
            for i in range(self.slots):
                n = self.words[i * _WORDS]
                if n:
                    try:
                        peer = pack(self.peers[i])
                    except ValueError:
                        continue
                    context = self.words[i * _WORDS + _CONTEXT]
                    name = self.node.oscore.name_of(context) if context else b""
                    out += bytes((len(peer), n, len(name))) + name + peer + self.requests[i][:n]
        return out

    def restore(self, part):
        """Go on with these observers: each registers as it did; what is refused is left out."""
        self.number = (part[0] << 16 | part[1] << 8 | part[2]) + _JUMP & 0xFFFFFF
        self.written[_W_GROUP] = 0
        node = self.node
        at = 3
        while node.unpack_peer is not None and at + 3 < len(part):
            named = at + 3 + part[at + 2]
            start = named + part[at]
            end = start + part[at + 1]
            registration = part[start:end]
            try:
                peer = node.unpack_peer(part[named:start])
                if part[at + 2]:
                    node.view.context = node.oscore.index_of(part[at + 3 : named])
                node.datagram(registration, len(registration), peer, node.view.now_ms)
                node.view.index[DATAGRAM_COUNT] -= 1  # it has been counted when it came
            except (ValueError, AttributeError):
                pass  # a peer of another transport, or keys that are gone, or all of them
            node.view.context = 0
            at = end

    def _attend(self, i, now_ms):  # hot
        at = i * _WORDS
        words = self.words
        if words[at] == 0 or words[at + _SLOT] >= 0:
            return 0
        old = (now_ms - words[at + _CON_MS]) & CLOCK_MASK >= self.con_ms
        if not old and not words[at + _GROUP] and self._pause_ms(at, now_ms) > 0:
            return 0
        if old or self._wants_con(i, at):
            # without a free exchange it stays due: whoever ends one hurries the node
            words[at + _SLOT] = self.node.messaging.open_exchange(self, self.peers[i])
            return 0
        self._next_number(at)
        if words[at + _GROUP] and words[at + _GROUP] == self.written[_W_GROUP]:
            if self._share(i, at, self.node):
                return self.written[_W_LENGTH]
        return self._send(i, self.node.messaging.next_mid())

    def _is_there(self, written, now_ms):
        """Is in tx still what was written: has nobody come or had a turn since?"""
        if self.node.active is not self or written[_W_MS] != now_ms:
            return False
        return written[_W_COUNT] == self.node.view.index[DATAGRAM_COUNT]

    def _share(self, i, at, node):  # hot
        """Make the notification in tx that of observer i, too; False: it can not be."""
        words = self.words
        written = self.written
        written[NOTIFY_MID] = node.messaging.mid + 1 & 0xFFFF
        written[NOTIFY_VALUE] = words[at + _NUMBER]
        if not readdress(node.tx, self.requests[i], written):
            return False
        node.messaging.mid = words[at + _MID] = written[NOTIFY_MID]
        node.peer = self.peers[i]
        words[at + _NEW] = words[at + _LAST] = 0
        words[at + _SINCE_CON] += 1
        return True

    def _note(self, i, at, n):  # hot
        """Observer i gets the n bytes in tx: note what it takes to give them to others."""
        written = self.written
        builder = self.node.builder
        words = self.words
        written[_W_GROUP] = 0
        if (
            words[at + _SLOT] >= 0
            or words[at + _LAST]
            or builder.extra_options
            or not words[at + _GROUP]
        ):
            return
        if self.node.view.uses_identity:
            return
        written[_W_GROUP] = words[at + _GROUP]
        i = builder.fields[FIELD_ETAG]
        written[NOTIFY_OPTION_AT] = self.node.view.index[OPTIONS_START] + (1 + i if i else 0)
        written[_W_LENGTH] = n
        written[_W_COUNT] = self.node.view.index[DATAGRAM_COUNT]
        written[_W_MS] = self.node.view.now_ms

    def _is_old(self, at, now_ms):
        return (now_ms - self.words[at + _CON_MS]) & CLOCK_MASK >= self.con_ms

    def _wants_con(self, i, at):  # hot
        if self.words[at + _SINCE_CON] + 1 >= self.con_every:
            return True
        conditions = self.node.conditions
        if conditions is not None and not self.words[at + _GROUP] and conditions.confirmable(i):
            return True
        confirmable = self.resources[i].confirmable
        if confirmable is None:
            # the first one tells whether the address is the asker's own
            return not self.node.messaging.is_verified(self.peers[i])
        return confirmable

    def _next_number(self, at):
        self.number = self.words[at + _NUMBER] = (self.number + 1) & 0xFFFFFF

    def _send(self, i, mid):  # hot
        """Write the notification for observer i; it is confirmable when it has an exchange."""
        view = self.node.view
        self.words[i * _WORDS + _NEW] = 0
        self.notifying = i
        view.uses_identity = False
        view.peer = self.peers[i]
        n = self._process(i, i * _WORDS)
        self.notifying = -1
        if self.node.conditions is not None:
            self.node.conditions.told(i, self.resources[i])
        if self.node.tx[1] == 0:
            # the handler said LATER, which there is nobody to wait for
            self.node.separate.cancel(view)
            n = self.node.write_code(INTERNAL_SERVER_ERROR)
        return self._seal(i, mid, n)

    def _process(self, i, at):  # hot
        words = self.words
        return self.node.process_stored(self.requests[i], words[at], words[at + _CONTEXT])

    def _seal(self, i, mid, n):
        context = self.words[i * _WORDS + _CONTEXT]
        self._stamp(i, mid, self.node.tx)
        self._note(i, i * _WORDS, n)
        return self.node.oscore.protect_notification(context, n) if context else n

    def _stamp(self, i, mid, tx):  # hot
        at = i * _WORDS
        words = self.words
        words[at + _MID] = mid
        tx[2] = mid >> 8
        tx[3] = mid & 255
        self.node.peer = self.peers[i]
        words[at + _LAST] = tx[1] > 0x5F
        if words[at + _SLOT] >= 0:
            tx[0] = tx[0] & 0x4F | 0x40
            words[at + _SINCE_CON] = 0
            words[at + _CON_MS] = self.node.view.now_ms
        else:
            tx[0] = tx[0] & 0x4F | 0x50
            words[at + _SINCE_CON] += 1
            if words[at + _LAST]:
                self._remove(i)

    def _notify(self, fields):  # hot
        at = self.notifying * _WORDS
        words = self.words
        if fields[FIELD_CODE] <= 0x5F:
            if fields[FIELD_CODE] == 0x45 and fields[FIELD_CONTENT_FORMAT] != words[at + _FORMAT]:
                self.node.builder.set_code(NOT_ACCEPTABLE)  # RFC 7641 section 4.2
            else:
                fields[FIELD_OBSERVE] = words[at + _NUMBER]

    def _register(self, view, i, fields):
        n = view.index[SIZE]
        if n <= self.request_bytes and i < 0:
            i = self._room(view)
        if n > self.request_bytes or i < 0:
            self.node.counters[COUNT_OBSERVERS_REFUSED] += 1
            if i >= 0:
                self._remove(i)
            return
        copy(self.requests[i], 0, view.buf, 0, n)
        self.requests[i][0] &= 0xCF  # as if confirmable: then no answer is silence
        self._enter(view, i, n)
        self.words[i * _WORDS + _FORMAT] = fields[FIELD_CONTENT_FORMAT]
        self.words[i * _WORDS + _GROUP] = self._group(view, i, n)
        fields[FIELD_OBSERVE] = self.number
        self.node.reschedule()

    def _enter(self, view, i, n):
        at = i * _WORDS
        words = self.words
        if words[at] == 0:
            self.used += 1
            words[at + _SLOT] = -1
            words[at + _SINCE_CON] = 0
            words[at + _CON_MS] = view.now_ms
            words[at + _CONTEXT] = view.context
            self.peers[i] = view.peer
        words[at] = n
        self.resources[i] = self.node.resource
        words[at + _MID] = ABSENT
        words[at + _NEW] = 0
        words[at + _LAST] = 0
        if self.node.conditions is not None:
            self.node.conditions.registered(i, self.slots, self.node.resource)
        self._next_number(at)

    def _group(self, view, i, n):
        """The number of those who asked the same as observer i in the n bytes that are kept."""
        index = view.index
        if view.context or index[FLAGS] & ~_COMMON or index[PAYLOAD] < index[SIZE]:
            return 0
        if index[CODE] != GET or index[OPTIONS_START] > 12:
            return 0
        other = self.slots
        while other:
            other -= 1
            if other != i and self._is_alike(i, other, n):
                return self.words[other * _WORDS + _GROUP]
        self.groups = self.groups + 1 & CLOCK_MASK or 1
        return self.groups

    def _is_alike(self, i, other, n):
        at = other * _WORDS
        if self.words[at] != n or not self.words[at + _GROUP]:
            return False
        if self.words[at + _FORMAT] != self.words[i * _WORDS + _FORMAT]:
            return False
        if self.resources[other] is not self.resources[i]:
            return False
        return same_request(self.requests[i], self.requests[other], n) == 1

    def _room(self, view):
        for i in range(self.slots):
            if self.words[i * _WORDS] == 0:
                return i
        exchange = self.node.messaging
        if exchange.is_verified(view.peer):
            for i in range(self.slots):
                if not exchange.is_verified(self.peers[i]):
                    self.node.counters[COUNT_OBSERVERS_EVICTED] += 1
                    self._remove(i)
                    return i
        return -1

    def _find(self, view):
        i = self.slots
        while i:
            i -= 1
            if self.words[i * _WORDS] and self.peers[i] == view.peer:
                if self.words[i * _WORDS + _CONTEXT] == view.context:
                    if same_token(self.requests[i], view.buf, view.index):
                        return i
        return -1

    def _may(self, view):
        # a later block belongs to a notification that was sent; a request of several blocks can
        # not be answered anew; a group is not observed; who wants no answers needs no more of them
        if view.group or view.has(IX_NO_RESPONSE):
            return False
        if view.has(IX_BLOCK1) and view.index[IX_BLOCK1] > 7:
            return False
        return not view.has(IX_BLOCK2) or view.index[IX_BLOCK2] < 16

    def _holder(self, slot):
        for i in range(self.slots):
            if self.words[i * _WORDS] and self.words[i * _WORDS + _SLOT] == slot:
                return i
        raise ValueError("no observer has this exchange")

    def _remove(self, i):
        at = i * _WORDS
        slot = self.words[at + _SLOT]
        self.words[at] = 0
        self.words[at + _SLOT] = -1
        self.peers[i] = self.resources[i] = None
        self.used -= 1
        if slot >= 0 and self.node.messaging.owners[slot] is self:
            self.node.messaging.close_exchange(slot)

    def _remove_peer(self, peer):
        for i in range(self.slots):
            if self.words[i * _WORDS] and self.peers[i] == peer:
                self._remove(i)
