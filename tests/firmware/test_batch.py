"""When observers of /s/batch are notified: once all rows are new to them."""

from apps import device
from apps.batch import ROWS, Batch
from coap import Node
from support import cases

PERIOD_MS = 60_000


class Reading:
    """A sensor that always has a value."""

    def value(self):
        return 1


class Told:
    """A batch with a row each minute; `told` has the number of each row its observers heard at."""

    def __init__(self):
        node = Node()
        self.batch = node.add("s/batch", Batch((Reading(),), device.Uptime()))
        self.batch.keep(4 * ROWS)
        node.changed = self.changed
        self.told = []
        self.now_ms = 0

    def changed(self, resource):
        assert resource is self.batch
        self.told.append(self.batch.number)

    def rows(self, count):
        """Let so many more come."""
        for _ in range(count):
            self.batch.tick(self.now_ms)
            self.now_ms += PERIOD_MS


def test_observers_are_notified_once_per_full_batch():
    one = Told()
    one.rows(ROWS - 1)
    assert one.told == []
    one.rows(2 * ROWS + 5)
    assert one.told == [ROWS, 2 * ROWS, 3 * ROWS]


@cases(1, 4, 9)
def test_urgent_row_restarts_the_count_to_a_full_batch(count):
    one = Told()
    one.rows(count)
    one.batch.add_urgent(one.now_ms - PERIOD_MS // 2)
    assert one.told == [count + 1]
    one.rows(ROWS + 1)  # the first of them comes too early: the one before was a minute's row
    assert one.told == [count + 1, count + 1 + ROWS]


@cases(
    (6, 6, 6 + ROWS), (6, 2, 2 + ROWS), (13, 13, 13 + ROWS), (13, 12, 12 + ROWS), (13, 8, 2 * ROWS)
)
def test_acknowledged_rows_do_not_count_towards_a_full_batch(count, taken, next_at):
    one = Told()
    one.rows(count)
    one.batch.release(taken)
    one.told.clear()
    one.rows(2 * ROWS)
    assert one.told[0] == next_at


def test_acknowledgement_of_old_rows_keeps_the_count():
    one = Told()
    one.rows(ROWS + 3)
    one.batch.release(ROWS)
    one.batch.release(ROWS)
    one.rows(ROWS)
    assert one.told == [ROWS, 2 * ROWS]
