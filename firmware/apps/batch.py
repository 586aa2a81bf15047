"""Readings that are kept until somebody wants them: one SenML pack for many of them.

A radio costs more to switch on than to send with, so a row of readings is kept every minute and
all of them go out at once. Each record has the time at which it was measured, relative to now
(RFC 8428 section 4.5.3): the node needs no clock of the day.
"""

from array import array

from micropython import const

from apps import device
from coap import CoapError, Resource
from coap.numbers import SENML_CBOR, SENML_JSON, SERVICE_UNAVAILABLE

PERIOD_S = 60
ROWS = 10  # all of them fit one datagram
_NUMBERS = const(10 << 24)  # a multiple of ROWS, and of room for four times as many
_MASK = const(0x3FFFFFFF)
_NOTHING = const(-1 << 29)  # what a sensor gave that had no value


class Batch(Resource):
    """The last rows, oldest first; observers are told when all of them are new.

    A row stays until release(), or until there is no more room; `dropped` counts those that went
    without. readings: common.Reading, a column each. uptime: common.Uptime.
    """

    content_formats = (SENML_CBOR, SENML_JSON)
    rt = "mote.batch"
    interface = "core.s"
    observable = True
    title = "readings of the last minutes"

    def __init__(self, readings, uptime, period_s=PERIOD_S):
        super().__init__()
        self.period_s = period_s
        self.number = 0  # of the row that comes next
        self.rows = 0  # that are kept
        self.room = ROWS
        self.dropped = 0
        self.urgent = -1  # what `number` was after a row that can not wait; -1: there is none
        self._fresh = 0  # rows since the observers were told
        self._readings = readings
        self._uptime = uptime
        self._measured = array("i", [_NOTHING] * len(readings))
        self.keep(ROWS)
        self._from = self._to = 0  # which of the rows are written
        self._next_s = 0
        self._first_s = 0  # when the oldest row of the pack at hand was measured
        self._told_s = 0  # the moment that the pack at hand is relative to

    def keep(self, room):
        """Make room for so many rows, a divisor of 10 << 24; those that are kept are forgotten."""
        self.room = room
        self.rows = 0
        self._values = array("i", [_NOTHING] * (room * len(self._readings)))
        self._times_s = array("i", [0] * room)

    def get(self, request, reply):
        self._pick(False)
        records = self._records()
        if not records:
            left_s = self._next_s - self._uptime.tick(request.now_ms)
            raise CoapError(SERVICE_UNAVAILABLE, "no value yet", max(left_s, 1))
        if not reply.offset:
            self._told_s = self._uptime.tick(request.now_ms)
        self.write(reply, reply.content_format, self._told_s)

    def tick(self, now_ms):
        """Keep a row if it is time for one; for a timer."""
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

    def reschedule(self, now_ms):
        """Keep a row now, and tell whoever is to be told: there is something in it."""
        now_s = self._uptime.tick(now_ms)
        if self._add_row(now_s):
            self._next_s = now_s + self.period_s
            self._fresh = 0
            self.urgent = self.number
            self.changed()

    def uptime_s(self, now_ms):
        """What the times of the rows count in."""
        return self._uptime.tick(now_ms)

    def write(self, sink, form, now_s):
        """Write the pack of the newest ROWS rows, relative to `now_s`, the node's uptime.

        Raises ValueError when there is no value at all.
        """
        self._pick(False)
        self._write(sink, form, now_s, 0)
        device.PACK.end()

    def begin(self, sink, form, now_s, more):
        """The same with the oldest rows; `more` records and pack.end() are for the caller.

        Returns what their times count from: seconds, to be added to theirs.
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
        """The rows before the one of this number were taken: what `number` was when they went."""
        kept = (self.number - number) % _NUMBERS
        if self.urgent >= 0 and kept <= (self.number - self.urgent) % _NUMBERS:
            self.urgent = -1
        if kept < self.rows:
            self.rows = kept
            self._fresh = min(self._fresh, kept)

    def _row(self, i):
        """Where the i-th of the rows is, the oldest being the first."""
        return (self.number - self.rows + i) % self.room

    def _pick(self, oldest):
        count = min(self.rows, ROWS)
        self._from = 0 if oldest else self.rows - count
        self._to = self._from + count

    def _add_row(self, now_s):
        """Measure all. False: there is nothing to measure."""
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
        """Ask all readings: how many have a value?"""
        count = 0
        column = len(self._readings)
        while column:
            column -= 1
            value = self._readings[column].value()
            self._measured[column] = _NOTHING if value is None else value
            if value is not None:
                count += 1
        return count

    def _records(self):
        """How many values there are."""
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
            if self._values[row * len(self._readings) + column] != _NOTHING:
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
        if value != _NOTHING:
            self._readings[column].write_record(device.PACK, value, span_s)
