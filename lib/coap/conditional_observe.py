"""Conditions on notifications, each observer its own (draft-ietf-core-conditional-attributes).

    GET /s/temp?c.gt=37.5&c.pmin=10     Observe: 0

`c.pmin`, `c.pmax` (seconds) hold for every observable resource, `c.con` too; `c.gt`, `c.lt`,
`c.st`, `c.band` and `c.edge` for one whose value() is a number, an int scaled by its `decimals`.
The names are also taken without "c.". What is wrong is answered 4.00 with the parameter's name.

A limit is kept in halves of the resource's last digit, so that one between two values that the
resource can have compares as it should: twice the digits, and 1 for what lies beyond them.
"""

from array import array

from micropython import const

from coap.codec import ABSENT, IX_ENDS, IX_OBSERVE, IX_URI_QUERY, VALUE, equal, next_option
from coap.extension import Extension
from coap.extension import call_callback as guarded
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
_NUMBERS = const(8)  # how many parameters there are
_TOLD = const(8)  # the value in the last notification
_TOLD_MS = const(9)
_ARMED = const(10)  # the other side of the edge was seen since
_WORDS = const(11)
_NAMES = (b"pmin", b"pmax", b"gt", b"lt", b"st", b"band", b"edge", b"con")

_WRONG = const(-1 << 29)  # no number
_LARGEST = const(1 << 28)
_LONGEST_MS = const(200000000)


class ConditionalObserve(Extension):
    """least_ms: notifications of an unchanged value come no more often, whatever c.pmax says: a
    registration with a forged address must not become a stream. The feature Observe asks it.
    """

    # a query means something to others, too: it makes no request special by itself
    option_mask = slow_path_mask = 1 << IX_OBSERVE

    def __init__(self, least_ms=1000):
        self.least_ms = least_ms
        self.words = array("i")
        self.asked = array("i", [ABSENT] * _NUMBERS)  # by the request at hand
        self.named = -1  # the parameter that is looked at

    def attach(self, node):
        self.node = node
        node.conditions = self

    def before_handler(self, view, resource):  # hot
        if view.is_stored or not view.has(IX_URI_QUERY):
            return 0  # a notification, or one without conditions
        self._clear()
        if not resource.observable or view.index[IX_OBSERVE]:
            return 0
        why = self._parse(view, resource) or self._check(self.asked, resource)
        return self._refuse(why) if why else 0

    # What Observe asks; i is the number of an observer

    def registered(self, i, slots, resource):
        """The request at hand made observer i of `slots`."""
        if len(self.words) < slots * _WORDS:
            self.words = array("i", [ABSENT] * (slots * _WORDS))  # once: Observe has not more
        queried = self.node.view.has(IX_URI_QUERY)  # or before() was not called
        field = _NUMBERS
        while field:
            field -= 1
            self.words[i * _WORDS + field] = self.asked[field] if queried else ABSENT
        self.told(i, resource)

    def told(self, i, resource):  # hot
        """Observer i is told of the present state."""
        i *= _WORDS
        self.words[i + _TOLD_MS] = self.node.view.now_ms
        self.words[i + _ARMED] = 0
        if self._values(i):
            value = guarded(_value, resource, self.node)
            self.words[i + _TOLD] = ABSENT if value is None else value
            self._arm(i, value)

    def triggers(self, i, resource):  # hot
        """Is the change of the resource one that observer i wants to hear of?"""
        i *= _WORDS
        if not self._values(i):
            return True
        value = guarded(_value, resource, self.node)
        if value is None or self.words[i + _TOLD] == ABSENT:
            return True
        return self._is_edge(i, value) or self._moves(i, value)

    def left_ms(self, i, changed, now_ms):  # hot
        """How long observer i must wait for a notification; MASK: until there is a change."""
        i *= _WORDS
        if changed:
            least = self.words[i + _PMIN]
            if least == ABSENT:
                return 0
        else:
            least = self.words[i + _PMAX]
            if least == ABSENT:
                return CLOCK_MASK
            if least < self.least_ms:
                least = self.least_ms
        now_ms = (now_ms - self.words[i + _TOLD_MS]) & CLOCK_MASK
        return least - now_ms if now_ms < least else 0

    def confirmable(self, i):  # hot
        """Does observer i want confirmable notifications?"""
        return self.words[i * _WORDS + _CON] == 1

    def _values(self, at):  # hot
        words = self.words
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
            if self._crosses(at, 2 * value, 2 * self.words[at + _TOLD]):
                return True
        elif self._in_band(at, 2 * value):
            return True
        value -= self.words[at + _TOLD]
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

    # At a registration

    def _clear(self):
        i = _NUMBERS
        while i:
            i -= 1
            self.asked[i] = ABSENT

    def _refuse(self, why):
        builder = self.node.builder
        builder.set_code(BAD_REQUEST)
        builder.write(b"c.")
        builder.write(_NAMES[self.named])
        builder.write(why)
        return BAD_REQUEST

    def _parse(self, view, resource):
        """Read the queries into `asked`: what is wrong with the one `named`, None when nothing."""
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
            return self._flag(_boolean(buf, at + 1, end))
        if self.named < _GT:
            decimals = 3
        return self._number(_decimal(buf, at + 1, end, decimals))

    def _flag(self, value):
        self.asked[self.named] = value
        return b": is 0 or 1" if value < 0 else None

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
        """What is wrong with the parameters taken together."""
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
    """Which parameter is named in buf[start:end], before "=" or the end; -1: none."""
    i = len(_NAMES)
    while i:
        i -= 1
        n = len(_NAMES[i])
        if end - start >= n and equal(buf, start, _NAMES[i], 0, n):
            if end - start == n or buf[start + n] == 61:
                return i
    return -1


def _boolean(buf, at, end):
    """1 or 0 for what stands in buf[at:end], also as true and false; -1 for anything else."""
    if end - at == 1 and 48 <= buf[at] <= 49:
        return buf[at] - 48
    if end - at == 4 and equal(buf, at, b"true", 0, 4):
        return 1
    if end - at == 5 and equal(buf, at, b"false", 0, 5):
        return 0
    return -1


def _decimal(buf, at, end, decimals):
    """The number in buf[at:end] in halves of its last digit; _WRONG: it is none, or too large."""
    negative = at < end and buf[at] == 45
    if at < end and (negative or buf[at] == 43):
        at += 1
    value = _magnitude(buf, at, end, decimals)
    return -value if negative and value != _WRONG else value


def _magnitude(buf, at, end, decimals):
    value = 0
    point = -1  # digits behind the point; -1: it has not come
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
    return _scaled(value, decimals - max(point, 0), beyond) if digits else _WRONG


def _scaled(value, decimals, beyond):
    while decimals:
        value *= 10
        decimals -= 1
        if value > _LARGEST:
            return _WRONG
    return 2 * value + (1 if beyond else 0)
