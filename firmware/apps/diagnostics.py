"""How the node is doing: /diag counts since the start, /diag/log has the last lines.

Both allocate while they answer: they are for people and monitors that ask now and then.
"""

import gc

from micropython import const

import senml
from coap import Resource
from coap.codec import DATAGRAM_COUNT
from coap.counters import COUNTER_NAMES
from coap.numbers import SENML_CBOR, SENML_JSON, TEXT

_LINES = const(8)
_LINE_MAX = const(80)  # bytes
_ERROR_MAX = const(80)  # characters
_NEVER = const(-1)


class Diag(Resource):
    """The counters of the node, time and memory, resets and the last error.

    Text has a line for each, `name: value`; SenML has a record. What changes with every request is
    taken when the first block is asked for, so that the blocks of one answer belong together.
    """

    content_formats = (TEXT, SENML_JSON, SENML_CBOR)
    rt = "mote.diag"
    interface = "core.rp"
    multicast = False
    safe_mode = ""  # why the node is in it

    def __init__(self, uptime, reset_cause, resets, base_name):
        super().__init__()
        self._uptime = uptime
        self._reset_cause = reset_cause
        self._resets = resets  # {cause: how often}
        self._base_name = base_name
        self._taken = (_NEVER, None, 0, 0)  # uptime in s, free heap, datagrams in and out

    def get(self, request, reply):
        if not reply.offset or self._taken[0] == _NEVER:
            heap_free = gc.mem_free() if hasattr(gc, "mem_free") else None
            taken = self.node.view.index[DATAGRAM_COUNT], self.node.sent
            self._taken = (self._uptime.tick(request.now_ms), heap_free) + taken
        facts = self._facts()
        if reply.content_format == TEXT:
            for name, unit, value in facts:
                reply.write("{}: {}{}\n".format(name, value, unit and " " + unit).encode())
        else:
            self._write_pack(reply, facts)

    def _facts(self):
        """[(name, unit, value)]; without a unit it is a count, or a text."""
        uptime_s, heap_free, datagrams_in, datagrams_out = self._taken
        facts = [
            ("uptime", "s", uptime_s),
            ("reset", "", self._reset_cause),
            ("safe_mode", "", self.safe_mode[:_ERROR_MAX]),
            ("last_error", "", self.node.last_error[:_ERROR_MAX]),
            ("datagrams_in", "", datagrams_in),
            ("datagrams_out", "", datagrams_out),
        ]
        if heap_free is not None:
            facts.append(("heap_free", "B", heap_free))
        for i, name in enumerate(COUNTER_NAMES):
            facts.append((name, "", self.node.counters[i]))
        silent = [resource.path for resource in self._sensors() if resource.silent]
        facts.append(("sensor_faults", "", sum([one.faults for one in self._sensors()])))
        facts.append(("sensors_silent", "", " ".join(silent)))
        if self.node.access is not None:
            secure = self.node.oscore
            facts.append(("oscore", "", secure.status if secure else self.node.access.status))
        for cause, count in sorted(self._resets.items()):
            facts.append(("resets_" + cause, "", count))
        return facts

    def _sensors(self):
        return [resource for resource in self.node.resources if hasattr(resource, "faults")]

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
        self._lines = []
        self._error = ""  # the last one that is among the lines

    def get(self, request, reply):
        self.look(request.now_ms)
        reply.write(b"")
        for line in self._lines:
            reply.write(line)

    def note(self, error):
        """Keep an error; as node.journal it takes the exceptions of handlers and timers."""
        self._uptime.tick(self.node.view.now_ms)
        self._error = error
        self.keep(error)

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
        """Add a line, in place of the oldest one when there are enough."""
        line = "{} {}".format(self._uptime.s, line).replace("\n", " ")
        if len(self._lines) == _LINES:
            self._lines.pop(0)
        self._lines.append(line.encode()[:_LINE_MAX] + b"\n")
