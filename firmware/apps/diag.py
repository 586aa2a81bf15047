"""How the node is doing: /diag counts since the start, /diag/log has the last lines.

Both allocate while they answer: they are for people and monitors that ask now and then.
"""

import gc
from array import array

import coap.scan as s
import senml
from coap import Resource
from coap.counters import NAMES
from coap.numbers import SENML_CBOR, SENML_JSON, TEXT

_LINES = 8
_LINE_MAX = 80  # bytes
_ERROR_MAX = 80
_UPTIME = 0
_HEAP_FREE = 1
_DATAGRAMS = 2
_COUNTERS = 3
_UNKNOWN = -1


class Diag(Resource):
    """The counters of the node, time and memory, resets and the last error.

    Text has a line for each, `name: value`; SenML has a record. The numbers are taken when the
    first block is asked for, so that the blocks of one answer belong together.
    """

    content_formats = (TEXT, SENML_JSON, SENML_CBOR)
    rt = "mote.diag"
    interface = "core.rp"
    multicast = False

    def __init__(self, uptime, resets, base_name):
        super().__init__()
        self._uptime = uptime
        self._resets = resets
        self._base_name = base_name
        self._numbers = array("i", [_UNKNOWN] * (_COUNTERS + len(NAMES)))
        self._last_error = ""

    def get(self, request, reply):
        if not reply.offset or self._numbers[_UPTIME] == _UNKNOWN:
            self._take(request.now_ms)
        facts = self._facts()
        if reply.content_format == TEXT:
            for name, unit, value in facts:
                reply.write("{}: {}{}\n".format(name, value, unit and " " + unit).encode())
        else:
            self._write_pack(reply, facts)

    def _take(self, now_ms):
        numbers = self._numbers
        numbers[_UPTIME] = self._uptime.tick(now_ms)
        numbers[_HEAP_FREE] = gc.mem_free() if hasattr(gc, "mem_free") else _UNKNOWN
        numbers[_DATAGRAMS] = self.node.view.r[s.COUNT]
        for i in range(len(NAMES)):
            numbers[_COUNTERS + i] = self.node.counters[i]
        self._last_error = self.node.last_error[:_ERROR_MAX]

    def _facts(self):
        """[(name, unit, value)]; without a unit it is a count, or a text."""
        facts = [("uptime", "s", self._numbers[_UPTIME])]
        if self._numbers[_HEAP_FREE] != _UNKNOWN:
            facts.append(("heap_free", "B", self._numbers[_HEAP_FREE]))
        facts.append(("datagrams", "", self._numbers[_DATAGRAMS]))
        for i, name in enumerate(NAMES, _COUNTERS):
            facts.append((name, "", self._numbers[i]))
        facts.append(("reset", "", self._resets.cause))
        for cause, count in sorted(self._resets.counts.items()):
            facts.append(("resets_" + cause, "", count))
        facts.append(("last_error", "", self._last_error))
        return facts

    def _write_pack(self, reply, facts):
        pack = senml.Pack(self._base_name, "count")
        pack.begin(reply, reply.content_format, len(facts))
        for name, unit, value in facts:
            field = pack.field(name, unit)
            if isinstance(value, str):
                pack.string(field, value)
            else:
                pack.number(field, value)
        pack.end()


class Log(Resource):
    """The last lines, oldest first, each with the second of the uptime at which it came."""

    content_formats = (TEXT,)
    rt = "mote.log"
    interface = "core.rp"
    multicast = False

    def __init__(self, uptime):
        super().__init__()
        self._uptime = uptime
        self._lines = [b""] * _LINES
        self._next = 0
        self._error = ""  # the last one that is among the lines

    def get(self, request, reply):
        self.look(request.now_ms)
        reply.write(b"")
        for i in range(_LINES):
            reply.write(self._lines[(self._next + i) % _LINES])

    def listen(self):
        """Keep the exceptions of handlers and timers, which the node prints."""
        print_error = self.node.log

        def log(error):
            print_error(error)
            try:
                self.look(self.node.view.now_ms)
            except MemoryError:
                pass  # that may have been the error

        self.node.log = log

    def look(self, now_ms):
        """Keep the node's last error if it is a new one; transports only leave it there."""
        self._uptime.tick(now_ms)
        error = self.node.last_error
        if error is not self._error:
            self._error = error
            self.keep(error)

    def say(self, line):
        """Print a line, and keep it."""
        print(line)
        self.keep(line)

    def keep(self, line):
        """Put a line into the place of the oldest one."""
        line = "{} {}".format(self._uptime.s, line).replace("\n", " ")
        self._lines[self._next] = line.encode()[:_LINE_MAX] + b"\n"
        self._next = (self._next + 1) % _LINES
