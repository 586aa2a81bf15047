"""Diagnostics: /diag has counters since the start, /diag/log the last lines of the log.

Both allocate memory for a response: they are meant for people, and monitors that poll rarely.
"""

import gc

from micropython import const

import senml
from coap import Resource
from coap.access import VERIFIED
from coap.codec import DATAGRAM_COUNT
from coap.counters import COUNTER_NAMES
from coap.numbers import CLOCK_MASK, SENML_CBOR, SENML_JSON, TEXT

_LINES = const(8)
_LINE_MAX = const(80)  # bytes
_ERROR_MAX = const(80)  # characters
_QUIET_MS = const(1000)  # without a request, until the next gets a new sample
_OLDEST_MS = const(30000)


class Diag(Resource):
    """/diag: the node's counters, uptime and memory, resets and the last error.

    As text each has a line, `name: value`, in SenML a record. Values that change with each request
    are sampled at a first block after a quiet second, so that the blocks of a response are
    consistent while others ask as well.

    reset_cause, resets: see resets.count(); base_name: of the SenML pack.
    """

    content_formats = (TEXT, SENML_JSON, SENML_CBOR)
    rt = "mote.diag"
    interface = "core.rp"
    multicast = False
    access = VERIFIED
    safe_mode = ""  # reason for safe mode
    wiring = ""  # what is wrong with a contact's

    def __init__(self, uptime, reset_cause, resets, base_name):
        super().__init__()
        self._uptime = uptime
        self._reset_cause = reset_cause
        self._resets = resets
        self._base_name = base_name
        self._sampled_ms = self._asked_ms = 0
        # uptime in s, free heap, datagrams in and out; empty before the first one
        self._sample = ()  # type: tuple
        self._counters = None

    def get(self, request, response):
        """Respond with all values."""
        now_ms = request.now_ms
        is_old = (now_ms - self._asked_ms) & CLOCK_MASK >= _QUIET_MS or (
            now_ms - self._sampled_ms
        ) & CLOCK_MASK >= _OLDEST_MS
        self._asked_ms = now_ms
        if not self._sample or (is_old and not response.offset):
            self._sampled_ms = now_ms
            heap_free = gc.mem_free() if hasattr(gc, "mem_free") else None
            datagrams = self.node.view.index[DATAGRAM_COUNT], self.node.sent
            self._sample = (self._uptime.tick(now_ms), heap_free) + datagrams
            self._counters = self.node.counters[:]
        values = self._values()
        if response.content_format == TEXT:
            for name, unit, value in values:
                response.write("{}: {}{}\n".format(name, value, unit and " " + unit).encode())
        else:
            self._write_pack(response, values)

    def _values(self):
        """Return [(name, unit, value)]; without a unit the value is a count or a text."""
        uptime_s, heap_free, datagrams_in, datagrams_out = self._sample
        values = [
            ("uptime", "s", uptime_s),
            ("reset", "", self._reset_cause),
            ("safe_mode", "", self.safe_mode[:_ERROR_MAX]),
            ("last_error", "", self.node.last_error[:_ERROR_MAX]),
            ("datagrams_in", "", datagrams_in),
            ("datagrams_out", "", datagrams_out),
        ]
        if heap_free is not None:
            values.append(("heap_free", "B", heap_free))
        for i, name in enumerate(COUNTER_NAMES):
            values.append((name, "", self._counters[i]))
        if self.wiring:
            values.append(("wiring", "", self.wiring.strip()))
        silent = [resource.path for resource in self._sensors() if resource.silent]
        values.append(("sensor_faults", "", sum([each.faults for each in self._sensors()])))
        values.append(("sensors_silent", "", " ".join(silent)))
        if self.node.access is not None:
            secure = self.node.oscore
            values.append(("oscore", "", secure.status if secure else self.node.access.status))
        for cause, count in sorted(self._resets.items()):
            values.append(("resets_" + cause, "", count))
        return values

    def _sensors(self):
        return [resource for resource in self.node.resources if hasattr(resource, "faults")]

    def _write_pack(self, response, values):
        pack = senml.Pack(self._base_name, "count")
        pack.begin(response, response.content_format, len(values))
        for name, unit, value in values:
            field = pack.field(name, unit)
            if isinstance(value, str):
                pack.string(field, value)
            else:
                pack.number(field, value)
        pack.end()


class Log(Resource):
    """/diag/log: the last lines of the log, oldest first, each with its uptime in seconds."""

    content_formats = (TEXT,)
    rt = "mote.log"
    interface = "core.rp"
    multicast = False
    access = VERIFIED

    def __init__(self, uptime):
        super().__init__()
        self._uptime = uptime
        self._lines = []
        self._error = ""  # the last error that was logged

    def get(self, request, response):
        """Respond with the lines."""
        self.check(request.now_ms)
        response.write(b"")
        for line in self._lines:
            response.write(line)

    def note(self, error):
        """Log an error: node.on_log, called for exceptions of handlers and timers."""
        self._uptime.tick(self.node.view.now_ms)
        self._error = error
        self.keep(error)

    def check(self, now_ms):
        """Log the node's last error if it is new: transports only set node.last_error."""
        self._uptime.tick(now_ms)
        error = self.node.last_error
        if error is not self._error:
            self._error = error
            self.keep(error)

    def say(self, line):
        """Print and log a line."""
        print(line)
        self.keep(line)

    def keep(self, line):
        """Log a line; the oldest one is dropped if there are too many."""
        line = "{} {}".format(self._uptime.s, line).replace("\n", " ")
        if len(self._lines) == _LINES:
            self._lines.pop(0)
        self._lines.append(line.encode()[:_LINE_MAX] + b"\n")
