"""Reports of a wearable on a battery: row numbers, evicted rows, gaps."""

import board
from machine import clock

from apps import wearable
from apps.samples import KEPT, Rows
from coap import Node
from config import Settings
from power.retained_state import NumberReservation


def kept(minutes, limit=-1):
    """(Rows, now_ms): after so many rows."""
    board.power_on()
    clock.hold(0)
    node = Node()
    board.Body()
    worn = wearable.setup(node, board, Settings())
    worn.stop_timer()
    reserve = NumberReservation(None)
    reserve.limit = limit
    told = Rows(worn.batch, reserve)
    return told, more(told, 0, minutes)


def more(told, now_ms, minutes):
    for _ in range(minutes):
        now_ms += 60_000
        told._batch.tick(now_ms)
    return now_ms


def test_ten_rows_fill_a_pack_and_acknowledgement_frees_them():
    told, now_ms = kept(9)
    assert not told.has_pending()
    now_ms = more(told, now_ms, 1)
    offer = told.pending_batch()
    assert told.has_pending() and offer == (10, 0, 0)
    pack = told.pack(offer, now_ms, 83, 3600)
    assert 300 < len(pack) <= 1024 and pack.count(b"steps") == 10
    assert b"row_n" in pack and b"batt" in pack and b"beat" not in pack and b"lost" not in pack
    told.acknowledge(offer)
    assert not told.has_pending() and told.pending_batch() == (10, 0, 0)


def test_rows_of_an_outage_are_reported_in_order_and_evictions_counted():
    told, now_ms = kept(KEPT + 3)
    first = told.pending_batch()
    assert first == (13, 3, 0)
    assert b"lost" in told.pack(first, now_ms, None, 3600)
    told.acknowledge(first)
    packs = 1
    while told.has_pending():
        offer = told.pending_batch()
        assert offer == (13 + 10 * packs, 0, 0)
        told.acknowledge(offer)
        packs += 1
    assert packs == KEPT // 10


def test_rows_added_during_a_report_wait_for_the_next():
    told, now_ms = kept(10)
    offer = told.pending_batch()
    more(told, now_ms, 2)
    told.acknowledge(offer)
    assert told._batch.rows == 2 and told.pending_batch()[0] == 12


def test_heartbeat_without_rows_has_next_report_time():
    told, now_ms = kept(0)
    pack = told.pack(told.pending_batch(), now_ms, None, 3600)
    assert b"beat" in pack and b"row_n" not in pack and len(pack) < 60


def test_power_loss_continues_row_numbers_and_reports_an_unknown_gap():
    told, now_ms = kept(10, 128)
    offer = told.pending_batch()
    assert offer == (138, 0, 1) and told.has_pending()
    assert b"unknown" in told.pack(offer, now_ms, 83, 3600)
    told.acknowledge(offer)
    assert not told.has_pending()


def test_urgent_row_stays_pending_until_acknowledged():
    told, now_ms = kept(3)
    assert not told.has_pending()
    told._batch.add_urgent(now_ms + 5_000)
    assert told.has_pending()
    told.acknowledge(told.pending_batch())
    assert not told.has_pending() and told._batch.rows == 0
    # behind more rows than a report has
    now_ms = more(told, now_ms, 12)
    told._batch.add_urgent(now_ms + 5_000)
    told.acknowledge(told.pending_batch())
    assert told.has_pending() and told._batch.rows == 2
    told.acknowledge(told.pending_batch())
    assert not told.has_pending()
