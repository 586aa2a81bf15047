"""Conditional attributes: each observer says when it wants to be notified.

draft-ietf-core-conditional-attributes:

    GET /s/temp?c.gt=37.5&c.pmin=10     Observe: 0

`c.pmin`, `c.pmax` (seconds) and `c.con` apply to every observable resource; `c.gt`, `c.lt`,
`c.st`, `c.band` and `c.edge` to a resource whose value() is a number: an int scaled by `decimals`.
The names are also accepted without "c.". A 4.00 response names an invalid parameter.

A limit is stored as twice its value in units of the resource's last digit, plus 1 if it has
further digits: so a limit between two possible values compares correctly.

observe.py calls on_registered(), on_notified(), triggers(), pause_ms(), confirmable() and
has_value_condition().
"""

from array import array

from micropython import const

from coap.codec import ABSENT, IX_ENDS, IX_OBSERVE, IX_URI_QUERY, VALUE, equal, next_option
from coap.extension import Extension, call_callback
from coap.numbers import BAD_REQUEST, CLOCK_MASK

# Words of an observer
_PMIN = const(0)  # in ms
_PMAX = const(1)
_GT = const(2)
_LT = const(3)
_ST = const(4)
_BAND = const(5)
_EDGE = const(6)
_CON = const(7)
_PARAMETERS = const(8)  # how many there are
_NOTIFIED = const(8)  # the value in the last notification
_NOTIFIED_MS = const(9)
_ARMED = const(10)  # the other side of the edge was seen since
_WORDS = const(11)
_NAMES = (b"pmin", b"pmax", b"gt", b"lt", b"st", b"band", b"edge", b"con")

_WRONG = const(-1 << 29)  # not a number
_LARGEST = const(1 << 28)
_LONGEST_MS = const(200000000)


class ConditionalObserve(Extension):
    """The conditions of all observers.

    least_ms: shortest interval of notifications of an unchanged value, whatever c.pmax says: a
    registration with a forged address must not become a stream.
    """

    # A query alone does not make a request leave the short path: other resources use it too.
    option_mask = slow_path_mask = 1 << IX_OBSERVE

    def __init__(self, least_ms=1000):
        self.least_ms = least_ms
        self.words = array("i")
        self.asked = array("i", [ABSENT] * _PARAMETERS)  # of the request being processed
        self.named = -1  # index of the parameter being parsed
        self.observe = None  # the Observe, once it has an observer

    def attach(self, node):
        """Register as the conditions of Observe."""
        self.node = node
        node.conditions = self

    def before_handler(self, view, resource):  # hot
        """Parse the parameters of a registration. Return 0, or 4.00 for a wrong one."""
        if view.is_stored or not view.has(IX_URI_QUERY):
            return 0  # a notification, or a registration without conditions
        i = _PARAMETERS
        while i:
            i -= 1
            self.asked[i] = ABSENT
        if not resource.observable or view.index[IX_OBSERVE]:
            return 0
        why = self._parse(view, resource) or self._check(self.asked, resource)
        return self._refuse(why) if why else 0

    def measured(self, resource):
        """Notify the observers whose conditions the value meets; others wait for changed().

        For a resource whose value was measured and hardly differs from the last notification.
        """
        if self.observe is not None:
            self.observe.measured(resource)

    # Called by Observe; i: index of an observer

    def on_registered(self, i, observe, resource):
        """Store the parameters of the present request for observer i of `observe`."""
        self.observe = observe
        if not self.words:
            self.words = array("i", [ABSENT] * (observe.entries * _WORDS))
        queried = self.node.view.has(IX_URI_QUERY)  # otherwise before_handler() was not called
        field = _PARAMETERS
        while field:
            field -= 1
            self.words[i * _WORDS + field] = self.asked[field] if queried else ABSENT
        self.on_notified(i, resource)

    def on_notified(self, i, resource):  # hot
        """Remember time and value: observer i gets a notification now."""
        has_value_condition = self.has_value_condition(i)
        i *= _WORDS
        self.words[i + _NOTIFIED_MS] = self.node.view.now_ms
        self.words[i + _ARMED] = 0
        if has_value_condition:
            value = call_callback(_value, resource, self.node)
            self.words[i + _NOTIFIED] = ABSENT if value is None else value
            self._arm(i, value)

    def triggers(self, i, resource):  # hot
        """Return True if the change of the resource meets the conditions of observer i."""
        if not self.has_value_condition(i):
            return True
        i *= _WORDS
        value = call_callback(_value, resource, self.node)
        if value is None or self.words[i + _NOTIFIED] == ABSENT:
            return True
        return self._is_edge(i, value) or self._moves(i, value)

    def pause_ms(self, i, is_changed, now_ms):  # hot
        """Return the ms until observer i may be notified; CLOCK_MASK: not before a change."""
        i *= _WORDS
        if is_changed:
            least = self.words[i + _PMIN]
            if least == ABSENT:
                return 0
        else:
            least = self.words[i + _PMAX]
            if least == ABSENT:
                return CLOCK_MASK
            if least < self.least_ms:
                least = self.least_ms
        now_ms = (now_ms - self.words[i + _NOTIFIED_MS]) & CLOCK_MASK
        return least - now_ms if now_ms < least else 0

    def confirmable(self, i):  # hot
        """Return True if observer i wants confirmable notifications (c.con=1)."""
        return self.words[i * _WORDS + _CON] == 1

    def has_value_condition(self, i):  # hot
        """Return True if observer i wants to be notified of some values only."""
        words = self.words
        at = i * _WORDS
        return not (
            words[at + _GT] == ABSENT
            and words[at + _LT] == ABSENT
            and words[at + _ST] == ABSENT
            and words[at + _EDGE] == ABSENT
        )

    def _arm(self, at, value):  # hot
        edge = self.words[at + _EDGE]
        if edge != ABSENT and value is not None and (value != 0) != (edge == 1):
            self.words[at + _ARMED] = 1

    def _is_edge(self, at, value):  # hot
        if self.words[at + _EDGE] == ABSENT:
            return False
        self._arm(at, value)
        return self.words[at + _ARMED] == 1 and (value != 0) == (self.words[at + _EDGE] == 1)

    def _moves(self, at, value):  # hot
        if self.words[at + _BAND] == ABSENT:
            if self._crosses(at, 2 * value, 2 * self.words[at + _NOTIFIED]):
                return True
        elif self._in_band(at, 2 * value):
            return True
        value -= self.words[at + _NOTIFIED]
        return self.words[at + _ST] <= (2 * value if value > 0 else -2 * value)

    def _in_band(self, at, value):  # hot
        gt = self.words[at + _GT]
        lt = self.words[at + _LT]
        if gt == ABSENT:
            return value >= lt
        if lt == ABSENT:
            return value <= gt
        if gt <= lt:
            return gt <= value <= lt
        return value > gt or value < lt

    def _crosses(self, at, value, before):  # hot
        limit = self.words[at + _GT]
        if limit != ABSENT and (value > limit) != (before > limit):
            return True
        limit = self.words[at + _LT]
        return limit != ABSENT and (value < limit) != (before < limit)

    # Parsing

    def _refuse(self, why):
        builder = self.node.builder
        builder.set_code(BAD_REQUEST)
        builder.write(b"c.")
        builder.write(_NAMES[self.named])
        builder.write(why)
        return BAD_REQUEST

    def _parse(self, view, resource):
        """Parse the queries into `asked`. Return what is wrong with parameter `named`, or None."""
        at = view.index[IX_URI_QUERY]
        while at < view.index[IX_ENDS + IX_URI_QUERY]:
            at = next_option(view.buf, at, view.index)
            why = self._query(view.buf, view.index[VALUE], at, resource.decimals)
            if why:
                return why
        return None

    def _query(self, buf, at, end, decimals):
        if end - at > 2 and equal(buf, at, b"c.", 0, 2):
            at += 2
        self.named = _find(buf, at, end)
        if self.named < 0:
            return None
        at += len(_NAMES[self.named])
        if self.named == _BAND:
            self.asked[_BAND] = 1
            return b": takes no value" if at < end else None
        if self.named > _BAND:
            value = self.asked[self.named] = _boolean(buf, at + 1, end)
            return b": is 0 or 1" if value < 0 else None
        if self.named < _GT:
            decimals = 3
        return self._number(_decimal(buf, at + 1, end, decimals))

    def _number(self, value):
        name = self.named
        if value == _WRONG:
            return b": is a decimal number, and not too large"
        if value <= 0 and name != _GT and name != _LT:
            return b": is more than 0"
        if name < _GT:
            value = value + 1 >> 1  # periods: whole milliseconds
            if value > _LONGEST_MS:
                return b": is at most 200000"
        self.asked[name] = value
        return None

    def _check(self, asked, resource):
        """Return what is wrong with the combination of parameters, or None."""
        self.named = _PMAX
        if asked[_PMAX] != ABSENT and asked[_PMIN] != ABSENT and asked[_PMAX] < asked[_PMIN]:
            return b": is at least c.pmin"
        self.named = _BAND
        if asked[_BAND] != ABSENT and asked[_GT] == ABSENT and asked[_LT] == ABSENT:
            return b": needs c.gt or c.lt"
        if not callable(getattr(resource, "value", None)):
            self.named = _GT
            while self.named < _CON:
                if asked[self.named] != ABSENT:
                    return b": needs a resource that is a number"
                self.named += 1
        return None


def _value(resource):
    return resource.value()


def _find(buf, start, end):
    """Return the index of the parameter named in buf[start:end] before "=" or the end, or -1."""
    i = len(_NAMES)
    while i:
        i -= 1
        n = len(_NAMES[i])
        if end - start >= n and equal(buf, start, _NAMES[i], 0, n):
            if end - start == n or buf[start + n] == 61:
                return i
    return -1


def _boolean(buf, at, end):
    """Return 1 or 0 for "1", "0", "true" or "false" in buf[at:end], -1 for anything else."""
    if end - at == 1 and 48 <= buf[at] <= 49:
        return buf[at] - 48
    if end - at == 4 and equal(buf, at, b"true", 0, 4):
        return 1
    if end - at == 5 and equal(buf, at, b"false", 0, 5):
        return 0
    return -1


def _decimal(buf, at, end, decimals):
    """Return twice the number in buf[at:end], in its last digit; _WRONG if it is not valid."""
    negative = at < end and buf[at] == 45
    if at < end and (negative or buf[at] == 43):
        at += 1
    value = _magnitude(buf, at, end, decimals)
    return -value if negative and value != _WRONG else value


def _magnitude(buf, at, end, decimals):
    value = 0
    point = -1  # digits after the decimal point; -1: no point yet
    digits = 0
    beyond = 0
    while at < end:
        digit = buf[at] - 48
        at += 1
        if digit == -2 and point < 0:
            point = 0
            continue
        if not 0 <= digit <= 9:
            return _WRONG
        digits += 1
        if point == decimals:
            beyond |= digit
            continue
        value = value * 10 + digit
        if value > _LARGEST:
            return _WRONG
        if point >= 0:
            point += 1
    decimals -= max(point, 0)
    while decimals:
        value *= 10
        decimals -= 1
        if value > _LARGEST:
            return _WRONG
    return 2 * value + (1 if beyond else 0) if digits else _WRONG
