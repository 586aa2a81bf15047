"""The report of a wearable on a battery: the oldest rows of its batch.

A report is one SenML pack in CBOR:

    hr, spo2, steps, temp   a record with its time for each value of at most ten rows, oldest first
    row_n                   the number of the last of these rows; the others have those before it
    epoch                   only with rows: 8 hexadecimal digits, new when numbers begin again
    batt                    percent left, where a battery is measured
    beat                    only without rows: seconds until the next report at the latest
    brown_outs              starts of the radio that ended in a reset, if there were any
    lost                    rows that were evicted before they were reported; "unknown" when
                            the node was reset or without power, so that the count is not known

No number is used twice within an epoch: a receiver recognises a duplicate by both.
"""

from micropython import const

import senml
from apps import device
from apps.batch import ROWS
from apps.door_events import write_epoch, write_lost

KEPT = 4 * ROWS  # rows kept during an outage of the network, one per minute
_REPORT_MAX = const(1024)  # bytes


class Rows:
    """Rows that wait for a report.

    batch: apps.batch.Batch; reservation: the NumberReservation that keeps its numbers unique.
    """

    def __init__(self, batch, reservation):
        self.gaps = 0  # how often it is unknown what is missing
        self._batch = batch
        self._reservation = reservation
        batch.keep(KEPT)
        if reservation.limit >= 0:
            batch.number = reservation.limit
            self.gaps = 1

    def has_pending(self):
        """Return True for a full pack, an urgent row, or a loss that was not reported."""
        batch = self._batch
        return batch.rows >= ROWS or batch.urgent >= 0 or batch.dropped > 0 or self.gaps > 0

    def pending_batch(self):
        """Return what the next report contains: (number after its rows, rows lost, gaps).

        Raises OSError if the numbers cannot be reserved.
        """
        batch = self._batch
        self._reservation.reserve(batch.number)
        return batch.number - max(batch.rows - ROWS, 0), batch.dropped, self.gaps

    def acknowledge(self, pending):
        """Note that the receiver has this batch."""
        until, dropped, gaps = pending
        batch = self._batch
        batch.release(until)
        batch.dropped = max(batch.dropped - dropped, 0)
        self.gaps -= gaps

    def pack(self, pending, now_ms, battery_pct, heartbeat_s, brown_outs=0):
        """Return the report of a batch as bytes; battery_pct may be None."""
        until, dropped, gaps = pending
        batch = self._batch
        pack = device.PACK
        sink = senml.Buffer(bytearray(_REPORT_MAX))
        more = 1 + (batch.rows > 0) + (battery_pct is not None) + (dropped > 0 or gaps > 0)
        more += brown_outs > 0
        now_s = batch.uptime_s(now_ms)
        time_s = batch.begin(sink, senml.CBOR, now_s, more)
        if batch.rows:
            pack.number(pack.field("row_n", "count"), until, 0, time_s)
            write_epoch(pack, self._reservation.epoch, time_s)
        else:
            pack.number(pack.field("beat", "s"), heartbeat_s)
        if battery_pct is not None:
            pack.number(pack.field("batt", "%EL"), battery_pct, 0, time_s)
        if brown_outs:
            pack.number(pack.field("brown_outs", "count"), brown_outs, 0, time_s)
        if dropped or gaps:
            write_lost(pack, dropped, gaps, time_s)
        pack.end()
        return bytes(sink.buf[: sink.n])
