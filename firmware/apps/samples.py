"""What a wearable on a battery reports: the oldest rows of its batch, as an errand offers them.

A report is one SenML pack in CBOR:

    hr, spo2, steps, temp   a record with its time for each value of at most ten rows, oldest first
    row_n                   the number of the last of these rows; the others have those before it
    batt                    percent left, where a battery is measured
    beat                    only without rows: seconds until the next report at the latest
    lost                    rows that were pushed out before they were told; "unknown" when the
                            node was without power or was reset, and nobody can say how many

Numbers of rows are never used twice: a receiver knows a repeat by them.
"""

from micropython import const

import senml
from apps import device
from apps.batch import ROWS
from apps.door_events import write_lost

KEPT = 4 * ROWS  # rows of one a minute: what is measured during an outage of the network
_REPORT_MAX = const(1024)  # bytes


class Rows:
    """batch: apps.batch.Batch; reserve: the NumberReservation that keeps its numbers unique."""

    def __init__(self, batch, reserve):
        self.blanks = 0  # how often nobody knows what is missing
        self._batch = batch
        self._reserve = reserve
        batch.keep(KEPT)
        if reserve.limit >= 0:
            batch.number = reserve.limit
            self.blanks = 1

    def owes(self):
        """Is there a full pack, a row that can not wait, or a loss that nobody was told?"""
        batch = self._batch
        return batch.rows >= ROWS or batch.urgent >= 0 or batch.dropped > 0 or self.blanks > 0

    def offer(self):
        """What a report made now tells: (number after its rows, rows lost, blanks).

        Raises OSError when the numbers can not be kept.
        """
        batch = self._batch
        self._reserve.cover(batch.number)
        return batch.number - max(batch.rows - ROWS, 0), batch.dropped, self.blanks

    def release(self, offer):
        """That much has been taken."""
        until, dropped, blanks = offer
        batch = self._batch
        batch.release(until)
        batch.dropped = max(batch.dropped - dropped, 0)
        self.blanks -= blanks

    def pack(self, offer, now_ms, charge_pct, beat_s):
        """The report as bytes; charge_pct may be None."""
        until, dropped, blanks = offer
        batch = self._batch
        pack = device.PACK
        sink = senml.Buffer(bytearray(_REPORT_MAX))
        more = 1 + (charge_pct is not None) + (dropped > 0 or blanks > 0)
        now_s = batch.uptime_s(now_ms)
        time_s = batch.begin(sink, senml.CBOR, now_s, more)
        if batch.rows:
            pack.number(pack.field("row_n", "count"), until, 0, time_s)
        else:
            pack.number(pack.field("beat", "s"), beat_s)
        if charge_pct is not None:
            pack.number(pack.field("batt", "%EL"), charge_pct, 0, time_s)
        if dropped or blanks:
            write_lost(pack, dropped, blanks, time_s)
        pack.end()
        return bytes(sink.buf[: sink.n])
