"""Batches of readings: one SenML pack for many rows of them.

Switching a radio on costs more energy than sending, so a row of readings is kept every minute and
ten of them are sent at once. Each record has the time of its measurement relative to now (RFC 8428
section 4.5.3): the node needs no wall clock.
"""

from array import array

from micropython import const

from apps import device
from coap import CoapError, Resource
from coap.numbers import SENML_CBOR, SENML_JSON, SERVICE_UNAVAILABLE

PERIOD_S = 60
ROWS = 10  # of a pack, which fits one datagram
_NUMBERS = const(10 << 24)  # modulus of row numbers: a multiple of any `room`
_MASK = const(0x3FFFFFFF)
_NO_VALUE = const(-1 << 29)  # of a reading without a value


class Batch(Resource):
    """The last rows, oldest first. Observers are notified when ROWS of them are new.

    A row is kept until release(), or until there is no room. readings: device.Reading, a column
    each; uptime: device.Uptime; period_s: between two rows.

    number: of the next row; rows: how many are kept, of at most `room`; dropped: how many were
    evicted before release(); urgent: `number` after a row that must be sent at once, -1 if none.
    """

    content_formats = (SENML_CBOR, SENML_JSON)
    rt = "mote.batch"
    interface = "core.s"
    observable = True
    title = "readings of the last minutes"

    def __init__(self, readings, uptime, period_s=PERIOD_S):
        super().__init__()
        self.period_s = period_s
        self.number = 0
        self.rows = 0
        self.room = ROWS
        self.dropped = 0
        self.urgent = -1
        self._fresh = 0  # rows since the last notification
        self._readings = readings
        self._uptime = uptime
        self._measured = array("i", [_NO_VALUE] * len(readings))
        self.keep(ROWS)
        self._from = self._to = 0  # range of the rows to write
        self._next_s = 0
        self._first_s = 0  # time of the oldest row in the pack
        self._pack_s = 0  # the time to which the pack is relative

    def keep(self, room):
        """Make room for `room` rows, a divisor of 10 << 24, and remove all rows."""
        self.room = room
        self.rows = 0
        self._values = array("i", [_NO_VALUE] * (room * len(self._readings)))
        self._times_s = array("i", [0] * room)

    def get(self, request, response):
        """Respond with the newest ROWS rows; 5.03 without any value."""
        self._pick(False)
        records = self._records()
        if not records:
            left_s = self._next_s - self._uptime.tick(request.now_ms)
            raise CoapError(SERVICE_UNAVAILABLE, "no value yet", max(left_s, 1))
        if not response.offset:
            self._pack_s = self._uptime.tick(request.now_ms)
        self.write(response, response.content_format, self._pack_s)

    def tick(self, now_ms):
        """Keep a row if it is time for one; called by a timer."""
        now_s = self._uptime.tick(now_ms)
        if now_s < self._next_s:
            return
        if not self._add_row(now_s):
            self._next_s = now_s + device.RETRY_S  # no sensor has a value yet
            return
        self._next_s = now_s + self.period_s
        self._fresh += 1
        if self._fresh >= ROWS:
            self._fresh = 0
            self.changed()

    def add_urgent(self, now_ms):
        """Keep a row now and notify observers: a reading is beyond a limit."""
        now_s = self._uptime.tick(now_ms)
        if self._add_row(now_s):
            self._next_s = now_s + self.period_s
            self._fresh = 0
            self.urgent = self.number
            self.changed()

    def uptime_s(self, now_ms):
        """Return the node's uptime, to which the times of the rows refer."""
        return self._uptime.tick(now_ms)

    def write(self, sink, form, now_s):
        """Write the pack of the newest ROWS rows, relative to `now_s`, the node's uptime.

        Raises ValueError if there is no value.
        """
        self._pick(False)
        self._write(sink, form, now_s, 0)
        device.PACK.end()

    def begin(self, sink, form, now_s, more):
        """Begin a pack with the oldest ROWS rows; the caller adds `more` records and pack.end().

        Return the time of the caller's records, in s, if they are of now.
        """
        self._pick(True)
        self._write(sink, form, now_s, more)
        return now_s - self._first_s

    def _write(self, sink, form, now_s, more):
        self._first_s = self._times_s[self._row(self._from)] if self._to else now_s
        now_s -= self._first_s
        more += self._records()
        device.PACK.begin(sink, form, more, -now_s)
        self._write_rows()

    def release(self, number):
        """Remove the rows before the one of this number: they were acknowledged."""
        kept = (self.number - number) % _NUMBERS
        if self.urgent >= 0 and kept <= (self.number - self.urgent) % _NUMBERS:
            self.urgent = -1
        if kept < self.rows:
            self.rows = kept
            self._fresh = min(self._fresh, kept)

    def _row(self, i):
        """Return the index of the i-th row, counted from the oldest."""
        return (self.number - self.rows + i) % self.room

    def _pick(self, oldest):
        count = min(self.rows, ROWS)
        self._from = 0 if oldest else self.rows - count
        self._to = self._from + count

    def _add_row(self, now_s):
        """Measure and keep a row. Return False if no reading has a value."""
        if not self._measure():
            return False
        row = self.number % self.room
        self._times_s[row] = now_s
        column = len(self._readings)
        while column:
            column -= 1
            self._values[row * len(self._readings) + column] = self._measured[column]
        self.number = (self.number + 1) % _NUMBERS
        if self.rows < self.room:
            self.rows += 1
        else:
            self.dropped = (self.dropped + 1) & _MASK
        return True

    def _measure(self):
        """Measure all readings; return how many have a value."""
        count = 0
        column = len(self._readings)
        while column:
            column -= 1
            value = self._readings[column].value()
            self._measured[column] = _NO_VALUE if value is None else value
            if value is not None:
                count += 1
        return count

    def _records(self):
        """Return how many values there are in the rows to write."""
        count = 0
        i = self._to
        while i > self._from:
            i -= 1
            count += self._in_row(self._row(i))
        return count

    def _in_row(self, row):
        count = 0
        column = len(self._readings)
        while column:
            column -= 1
            if self._values[row * len(self._readings) + column] != _NO_VALUE:
                count += 1
        return count

    def _write_rows(self):
        i = self._from
        while i < self._to:
            self._write_row(self._row(i))
            i += 1

    def _write_row(self, row):
        column = 0
        span_s = self._times_s[row] - self._first_s
        while column < len(self._readings):
            self._write_value(column, self._values[row * len(self._readings) + column], span_s)
            column += 1

    def _write_value(self, column, value, span_s):
        if value != _NO_VALUE:
            self._readings[column].write_record(device.PACK, value, span_s)
