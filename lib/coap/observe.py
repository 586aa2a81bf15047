"""Observe (RFC 7641): clients that are notified when a resource changes.

Theory of operation. An observer is stored as its registration, byte for byte. A notification is
the response that this request would get now, so Accept, queries and the Block2 size of the
registration apply without further state. Resource.changed() only marks the observers; due() then
writes each notification from the state at that moment. So the newest state is sent, however often
it changed in between.

Observers whose registrations differ only in MID and token form a group. As long as nothing else is
received or sent in between, one notification is written for the whole group: only token, MID and
Observe value are replaced for each observer.

A confirmable notification is an exchange of the message layer, which calls transmit() for each
transmission and on_exchange_done() at the end. An observer that does not acknowledge is removed;
the first notification to an address that is not verified is confirmable, so that a forged
registration ends with it. A transmission that differs from the one before has a new MID.

coap.observers stores the registrations and says who leaves when there are too many.
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
    FIELD_MOST,
    FIELD_OBSERVE,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_NO_RESPONSE,
    IX_OBSERVE,
    MAX_PAYLOAD,
    MID,
    NOTIFY_MID,
    NOTIFY_OPTION_AT,
    NOTIFY_VALUE,
    OPTIONS_START,
    SAFE_BYTES,
    SIZE,
    copy,
    hash_bytes,
    readdress,
)
from coap.counters import COUNT_OBSERVERS_REFUSED
from coap.extension import Extension
from coap.messaging import ACKNOWLEDGED, GIVEN_UP, YIELDED
from coap.numbers import CLOCK_MASK, FETCH, GET, INTERNAL_SERVER_ERROR, NOT_ACCEPTABLE
from coap.observers import (
    FULL_WAIT_MS,
    OB_CON_MS,
    OB_CONTEXT,
    OB_EXCHANGE,
    OB_FORMAT,
    OB_GROUP,
    OB_HASH,
    OB_LAST,
    OB_MID,
    OB_NEW,
    OB_SENT,
    OB_SINCE_CON,
    OB_VALUE,
    OB_WORDS,
    Observers,
)

# The notification that lies in tx, after the cells that codec.readdress() uses
_W_GROUP = const(3)  # the group it may be reused for, 0: none
_W_LENGTH = const(4)
_W_COUNT = const(5)  # datagrams received when it was written
_W_MS = const(6)
_WRITTEN = const(7)

_REGISTER = const(0)
_DEREGISTER = const(1)
_NEWER = const(-2)
_JUMP = const(256)  # Observe values skipped at a restart: more than were used since the last save


class Observe(Extension, Observers):
    """The observers of a node's resources.

    slots: observers in all, beside a spare entry for a newcomer; request_bytes: the longest
    registration that can be stored (the response to a longer one has no Observe option);
    con_every: every so many notifications one is confirmable; con_ms: and at least one within this
    time, at most 24 h (RFC 7641 section 4.5).
    """

    option_mask = slow_path_mask = 1 << IX_OBSERVE
    scheduled = True

    def __init__(self, slots=8, request_bytes=64, con_every=20, con_ms=86400000):
        if con_ms > 86400000:
            raise ValueError("con_ms is at most 24 h: 86400000")
        Observers.__init__(self, slots, request_bytes)
        self.con_every = con_every
        self.con_ms = con_ms
        self.value = 0  # Observe value of the last notification, 24 bits
        self.notifying = 0  # the observer whose stored registration is being processed
        self.last_served = 0
        self.written = array("i", [0] * _WRITTEN)

    # Registration

    def after_handler(self, view, builder):
        """Complete a notification, or handle the Observe option of a GET or FETCH."""
        if view.is_stored and not view.group:
            self._notify(builder.fields)
        elif view.index[CODE] == GET or view.index[CODE] == FETCH:
            resource = self.node.resource
            if resource is not None and resource.observable:
                self._handle_option(view, builder.fields, self.find(view))

    def _handle_option(self, view, fields, i):
        option = view.index[IX_OBSERVE]
        if i >= 0 and (option == _DEREGISTER or fields[FIELD_CODE] > 0x5F):
            self.remove(i)
        elif option == _REGISTER and fields[FIELD_CODE] <= 0x5F and self._may_register(view):
            self._register(view, i, fields)

    def changed(self, resource):  # hot
        """Mark the observers of `resource`: due() notifies them."""
        self.written[_W_GROUP] = 0
        if self.used:
            words = self.words
            resources = self.resources
            found = False
            i = self.entries
            while i:
                i -= 1
                if resources[i] is resource:
                    found = True
                    words[i * OB_WORDS + OB_NEW] = (
                        1 if words[i * OB_WORDS + OB_GROUP] else self._is_triggered(i, resource)
                    )
            if found:
                self.node.reschedule()

    def measured(self, resource):  # hot
        """Mark those observers of `resource` whose conditions its present value meets."""
        i = self.entries if self.used else 0
        while i:
            i -= 1
            if self.resources[i] is resource and self.node.conditions.has_value_condition(i):
                self.words[i * OB_WORDS + OB_NEW] = self._is_triggered(i, resource)
                self.node.reschedule()

    def rejected(self, view):
        """Remove the observer that sent an RST for its last notification."""
        words = self.words
        for i in range(self.entries):
            at = i * OB_WORDS
            if words[at] and words[at + OB_MID] == view.index[MID] and self.peers[i] == view.peer:
                self.remove(i)
                return

    # Timed output

    def due(self, now_ms):  # hot
        """Write the next notification that is due; return its length in tx, 0 for none."""
        if not self._is_still_in_tx(self.written, now_ms):
            self.written[_W_GROUP] = 0
        words = self.words
        tries = self.entries if self.used else 0
        while tries:
            tries -= 1
            # round robin: a resource that changes all the time must not starve other observers
            i = self.last_served = (
                self.last_served + 1 if self.last_served + 1 < self.entries else 0
            )
            i *= OB_WORDS
            if words[i] and words[i + OB_EXCHANGE] < 0:
                if words[i + OB_NEW] or not words[i + OB_GROUP] or self._is_old(i, now_ms):
                    i = self._service(self.last_served, now_ms)
                    if i:
                        return i
        if self.used == self.entries:
            self.probe(now_ms)
        if self.leaving:
            self.written[_W_GROUP] = 0
            return self.tell_leaving()
        return 0

    def wait_ms(self, now_ms):  # hot
        """Return the milliseconds until due() has something to do."""
        nearest = FULL_WAIT_MS if self.used == self.entries else CLOCK_MASK
        if self.used:
            i = self.entries
            while i:
                i -= 1
                left = self._left_ms(i * OB_WORDS, now_ms)
                if left < nearest:
                    nearest = left
        return nearest

    def _left_ms(self, at, now_ms):  # hot
        words = self.words
        if words[at] == 0 or words[at + OB_EXCHANGE] >= 0:
            return CLOCK_MASK
        left = self._pause_ms(at, now_ms)
        if left <= 0:
            # without a free exchange nothing can be sent until one ends
            return self._exchange_wait_ms(at // OB_WORDS)
        return left

    def _exchange_wait_ms(self, i):  # hot
        free = self.node.messaging.has_free_exchange(self.rank_at(i), self.peers[i])
        return 0 if free else CLOCK_MASK

    def _is_triggered(self, i, resource):
        conditions = self.node.conditions
        return 1 if conditions is None or conditions.triggers(i, resource) else 0

    def _pause_ms(self, at, now_ms):  # hot
        """Return the ms until a notification is due without a change; <= 0: it is due."""
        left = self.con_ms - ((now_ms - self.words[at + OB_CON_MS]) & CLOCK_MASK)
        if self.node.conditions is not None:
            other = self.node.conditions.pause_ms(at // OB_WORDS, self.words[at + OB_NEW], now_ms)
        else:
            other = 0 if self.words[at + OB_NEW] else CLOCK_MASK
        return other if other < left else left

    # As an owner of exchanges

    def transmit(self, exchange, mid):  # hot
        """Write the notification of an exchange; return its length in tx."""
        i = self.observer_of(exchange)
        if self.is_given_up(i):
            return 0
        before = self._hash_before(i * OB_WORDS, mid)
        if before == _NEWER:
            # RFC 7641 section 4.5.2: the newer state replaces the one in flight
            mid = self.node.messaging.new_mid(exchange)
        n = self._send(i, mid)
        if n and before >= 0 and before != self.words[i * OB_WORDS + OB_HASH]:
            # the state has changed without a call of changed()
            mid = self.node.messaging.new_mid(exchange)
            self._next_value(i * OB_WORDS)
            n = self._send(i, mid)
        if not n:
            self.words[i * OB_WORDS + OB_EXCHANGE] = -1  # it can not be protected
        return n

    def _hash_before(self, at, mid):  # hot
        """Return the hash of the last transmission, -1 for the first one of an exchange, and
        _NEWER if there is a newer state to be sent.
        """
        words = self.words
        if words[at + OB_SENT] & 0xFFFF == 1:
            mid = -1
        elif words[at + OB_NEW] or words[at + OB_MID] != mid:
            mid = _NEWER
        else:
            return words[at + OB_HASH]
        self._next_value(at)
        return mid

    def on_exchange_done(self, exchange, outcome):
        """Keep an observer that acknowledged; remove one that rejected or did not respond."""
        i = self.observer_of(exchange)
        at = i * OB_WORDS
        self.words[at + OB_EXCHANGE] = -1
        if outcome == GIVEN_UP:
            self.remove_peer(self.peers[i])
        elif outcome == ACKNOWLEDGED:
            if self.words[at + OB_LAST]:
                self.remove(i)
        elif outcome == YIELDED:
            self.words[at + OB_NEW] = 1
            self.words[at + OB_SENT] = 0
        elif self.words[at + OB_MID] != ABSENT:  # else it has registered again since
            self.remove(i)

    # Across a restart

    def state(self):
        """Return the Observe value and, where node.pack_peer is set, the registrations, as bytes.

        Left out are an observer whose peer pack_peer() refuses with ValueError, since a serial
        line has no address that could be restored, and the newcomer in the spare entry.
        """
        out = bytes((self.value >> 16, self.value >> 8 & 255, self.value & 255))
        pack = self.node.pack_peer
        if pack is not None:
            for i in range(self.entries):
                n = self.words[i * OB_WORDS]
                if n and (i != self.newest or self.used < self.entries):
                    try:
                        peer = pack(self.peers[i])
                    except ValueError:
                        continue
                    context = self.words[i * OB_WORDS + OB_CONTEXT]
                    name = self.node.oscore.name_of(context) if context else b""
                    out += bytes((len(peer), n, len(name))) + name + peer + self.requests[i][:n]
        return out

    def restore(self, part):
        """Restore what state() returned: each registration is processed again."""
        self.value = (part[0] << 16 | part[1] << 8 | part[2]) + _JUMP & 0xFFFFFF
        self.written[_W_GROUP] = 0
        node = self.node
        at = 3
        while node.unpack_peer is not None and at + 3 < len(part) and self.used + 1 < self.entries:
            named = at + 3 + part[at + 2]
            start = named + part[at]
            end = start + part[at + 1]
            registration = part[start:end]
            try:
                peer = node.unpack_peer(part[named:start])
                if part[at + 2]:
                    node.view.context = node.oscore.index_of(part[at + 3 : named])
                node.datagram(registration, len(registration), peer, node.view.now_ms)
                node.view.index[DATAGRAM_COUNT] -= 1  # it was counted on arrival
            except (ValueError, AttributeError):
                pass  # a peer of another transport, or a context or all keys are gone
            finally:
                node.view.context = 0
            at = end

    def _service(self, i, now_ms):  # hot
        at = i * OB_WORDS
        words = self.words
        if words[at] == 0 or words[at + OB_EXCHANGE] >= 0:
            return 0
        old = (now_ms - words[at + OB_CON_MS]) & CLOCK_MASK >= self.con_ms
        if not old and not words[at + OB_GROUP] and self._pause_ms(at, now_ms) > 0:
            return 0
        if old or self._wants_con(i, at):
            self.confirm(i)
            return 0
        self._next_value(at)
        if words[at + OB_GROUP] and words[at + OB_GROUP] == self.written[_W_GROUP]:
            if self._reuse_for_group(i, at, self.node):
                return self.written[_W_LENGTH]
        return self._send(i, self.node.messaging.next_mid())

    def _is_still_in_tx(self, written, now_ms):
        """Return True if nothing was received or sent since the notification was written."""
        if self.node.active is not self or written[_W_MS] != now_ms:
            return False
        return written[_W_COUNT] == self.node.view.index[DATAGRAM_COUNT]

    def _reuse_for_group(self, i, at, node):  # hot
        """Turn the notification in tx into that of observer i. Return False if that fails."""
        words = self.words
        written = self.written
        if written[_W_LENGTH] > SAFE_BYTES and not node.messaging.is_verified(self.peers[i]):
            return False  # each counts: see ResponseBuilder
        written[NOTIFY_MID] = words[at + OB_MID] = node.messaging.next_mid()
        written[NOTIFY_VALUE] = words[at + OB_VALUE]
        if not readdress(node.tx, self.requests[i], written):
            return False
        node.peer = self.peers[i]
        words[at + OB_NEW] = words[at + OB_LAST] = 0
        words[at + OB_SINCE_CON] += 1
        return True

    def _remember_written(self, i, at, n):  # hot
        """Remember the n bytes in tx, of observer i: of a confirmable one the hash, of any other
        what is reused for its group, if they can be.
        """
        written = self.written
        builder = self.node.builder
        words = self.words
        written[_W_GROUP] = 0
        if words[at + OB_EXCHANGE] >= 0:
            self._hash(at + OB_HASH, n)
            return
        if (
            words[at + OB_LAST]
            or builder.extra_options
            or builder.fields[FIELD_MOST] < builder.index[MAX_PAYLOAD]
            or not words[at + OB_GROUP]
        ):
            return
        if self.node.view.uses_identity:
            return
        written[_W_GROUP] = words[at + OB_GROUP]
        i = builder.fields[FIELD_ETAG]
        written[NOTIFY_OPTION_AT] = self.node.view.index[OPTIONS_START] + (1 + i if i else 0)
        written[_W_LENGTH] = n
        written[_W_COUNT] = self.node.view.index[DATAGRAM_COUNT]
        written[_W_MS] = self.node.view.now_ms

    def _hash(self, at, n):  # hot
        self.words[at] = hash_bytes(self.node.tx, 4, n - 4, 1)

    def _is_old(self, at, now_ms):
        return (now_ms - self.words[at + OB_CON_MS]) & CLOCK_MASK >= self.con_ms

    def _wants_con(self, i, at):  # hot
        if self.words[at + OB_SINCE_CON] + 1 >= self.con_every:
            return True
        conditions = self.node.conditions
        if conditions is not None and not self.words[at + OB_GROUP] and conditions.confirmable(i):
            return True
        if self.resources[i].confirmable:
            return True
        # the first one verifies the address of the observer
        return not self.node.messaging.is_verified(self.peers[i])

    def _next_value(self, at):
        self.value = self.words[at + OB_VALUE] = (self.value + 1) & 0xFFFFFF

    def _send(self, i, mid):  # hot
        """Write the notification of observer i; return its length in tx."""
        view = self.node.view
        self.words[i * OB_WORDS + OB_NEW] = 0
        self.notifying = i
        view.uses_identity = False
        view.peer = self.peers[i]
        n = self._process(i, i * OB_WORDS)
        if self.node.conditions is not None:
            self.node.conditions.on_notified(i, self.resources[i])
        if self.node.tx[1] == 0:
            # the handler returned SEPARATE, but a notification cannot wait
            self.node.separate.cancel(view)
            n = self.node.write_code(INTERNAL_SERVER_ERROR)
        return self._finish(i, mid, n)

    def _process(self, i, at):  # hot
        words = self.words
        return self.node.process_stored(self.requests[i], words[at], words[at + OB_CONTEXT])

    def _finish(self, i, mid, n):
        """Stamp the notification in tx[0:n], protect it where needed; return its length."""
        context = self.words[i * OB_WORDS + OB_CONTEXT]
        self._stamp(i, mid, self.node.tx)
        self._remember_written(i, i * OB_WORDS, n)
        return self.node.oscore.protect_notification(context, n) if context else n

    def _stamp(self, i, mid, tx):  # hot
        """Give the notification its type and MID."""
        at = i * OB_WORDS
        words = self.words
        words[at + OB_MID] = mid
        tx[2] = mid >> 8
        tx[3] = mid & 255
        self.node.peer = self.peers[i]
        words[at + OB_LAST] = tx[1] > 0x5F
        if words[at + OB_EXCHANGE] >= 0:
            tx[0] = tx[0] & 0x4F | 0x40
            words[at + OB_SINCE_CON] = 0
            words[at + OB_CON_MS] = self.node.view.now_ms
        else:
            tx[0] = tx[0] & 0x4F | 0x50
            words[at + OB_SINCE_CON] += 1
            if words[at + OB_LAST]:
                self.remove(i)

    def _notify(self, fields):  # hot
        """Add the Observe option to the notification that is being written."""
        at = self.notifying * OB_WORDS
        words = self.words
        if fields[FIELD_CODE] <= 0x5F:
            if (
                fields[FIELD_CODE] == 0x45
                and fields[FIELD_CONTENT_FORMAT] != words[at + OB_FORMAT]
            ):
                self.node.builder.set_code(NOT_ACCEPTABLE)  # RFC 7641 section 4.2
            else:
                fields[FIELD_OBSERVE] = words[at + OB_VALUE]

    def _register(self, view, i, fields):
        n = view.index[SIZE]
        if n <= len(self.requests[0]) and i < 0:
            i = self.claim(view)
            if i < 0:
                i = self.yielded_by_host(view)
            if i >= 0 and self.words[i * OB_WORDS]:
                self.dismiss(i)
        if n > len(self.requests[0]) or i < 0:
            self.node.counters[COUNT_OBSERVERS_REFUSED] += 1
            if i >= 0:
                self.remove(i)
            return
        copy(self.requests[i], 0, view.buf, 0, n)
        self.requests[i][0] &= 0xCF  # stored as confirmable: then there is always a response
        self._store(view, i, n)
        self.words[i * OB_WORDS + OB_FORMAT] = fields[FIELD_CONTENT_FORMAT]
        self.words[i * OB_WORDS + OB_GROUP] = self.group_of(view, i, n)
        fields[FIELD_OBSERVE] = self.value
        self.node.reschedule()

    def _store(self, view, i, n):
        at = i * OB_WORDS
        words = self.words
        if words[at] == 0:
            self.used += 1
            self.newcomer_ms = view.now_ms
            words[at + OB_EXCHANGE] = -1
            words[at + OB_SINCE_CON] = words[at + OB_SENT] = 0
            words[at + OB_CON_MS] = view.now_ms
            words[at + OB_CONTEXT] = view.context
            self.peers[i] = view.peer
            self.newest = i
        words[at] = n
        self.resources[i] = self.node.resource
        words[at + OB_MID] = ABSENT
        words[at + OB_NEW] = 0
        words[at + OB_LAST] = 0
        if self.node.conditions is not None:
            self.node.conditions.on_registered(i, self, self.node.resource)
        self._next_value(at)

    def _may_register(self, view):
        # No registration by a later block, which belongs to a notification already sent; by a
        # request of several blocks, which cannot be processed again; or by a multicast request.
        # No-Response and Observe exclude each other.
        if view.group or view.has(IX_NO_RESPONSE):
            return False
        if view.has(IX_BLOCK1) and view.index[IX_BLOCK1] > 7:
            return False
        return not view.has(IX_BLOCK2) or view.index[IX_BLOCK2] < 16
