"""Reed contact: debouncing without a timer, edge counts, no allocation."""

import machine
from machine import Pin, clock, wire

from sensors import reed as reed_module
from sensors.reed import Reed, lacks_pull_up
from support import allocated, cases, locked


def reed(level=0, start_ms=0, **named):
    """A Reed on GPIO 14, which is at `level`, on the simulated clock."""
    machine.power_on()
    clock.hold(start_ms)
    reed_module.ticks_ms = clock.ms
    wire(14).drive(level)
    return Reed(Pin(14, Pin.IN), **named)


def bounce(wire, level, times=4):
    """Drive to `level` as a reed does: a few changes within 5 ms."""
    for _ in range(times):
        wire.drive(level)
        clock.advance(1)
        wire.drive(1 - level)
        clock.advance(1)
    wire.drive(level)


def test_initial_state_is_no_edge():
    for level in (0, 1):
        contact = reed(level)
        assert contact.is_open() == (level == 1)
        assert contact.read() == level
        assert not contact.poll()
        assert contact.edges == 0
        assert contact.probe()


def test_normally_open_contact():
    contact = reed(0, open_level=0)
    assert contact.is_open()
    wire(14).drive(1)
    clock.advance(25)
    assert not contact.is_open()


def test_level_counts_after_the_debounce_time():
    contact = reed()
    wire(14).drive(1)
    clock.advance(24)
    assert not contact.is_open() and not contact.poll()
    clock.advance(1)
    assert contact.is_open()
    assert contact.poll() and not contact.poll()
    assert contact.edges == 1


def test_bounces_are_one_edge():
    contact = reed()
    bounce(wire(14), 1)
    clock.advance(25)
    assert contact.poll() and contact.is_open() and contact.edges == 1
    bounce(wire(14), 0)
    clock.advance(25)
    assert contact.poll() and not contact.is_open() and contact.edges == 2


def test_spike_is_ignored():
    contact = reed()
    wire(14).drive(1)
    clock.advance(3)
    wire(14).drive(0)
    clock.advance(1000)
    assert not contact.poll() and contact.edges == 0


def test_open_and_close_between_polls_are_two_edges():
    contact = reed()
    bounce(wire(14), 1)
    clock.advance(300)
    bounce(wire(14), 0)
    clock.advance(25)
    assert contact.poll()
    assert not contact.is_open() and contact.edges == 2


def test_many_edges_without_a_poll_are_counted():
    contact = reed()
    for _ in range(50):
        wire(14).drive(1)
        clock.advance(30)
        wire(14).drive(0)
        clock.advance(30)
    assert contact.poll() and contact.edges == 100


def test_missed_interrupt_is_found_by_polling():
    contact = reed()
    wire(14).level = 1  # the level changes, and no handler runs
    assert not contact.poll()
    clock.advance(25)
    assert contact.poll() and contact.is_open() and contact.edges == 1


class InterruptedPin(Pin):
    """Its level changes while the main program is reading it, as an interrupt allows."""

    armed = False

    def value(self, level=None):
        before = super().value(level)
        if self.armed:
            self.armed = False
            wire(14).drive(1 - before)
        return before


def test_interrupt_during_a_poll_loses_no_edge():
    machine.power_on()
    clock.hold(0)
    reed_module.ticks_ms = clock.ms
    wire(14).drive(0)
    pin = InterruptedPin(14, Pin.IN)
    contact = Reed(pin)
    wire(14).drive(1)
    clock.advance(30)
    pin.armed = True  # closes within the next poll
    assert contact.poll() and contact.edges == 1
    clock.advance(30)
    assert contact.poll() and contact.edges == 2 and not contact.is_open()


@cases(0x3FFFFFFF, 0x3FFFFFF0, 0x20000000, 0x1FFFFFFF)
def test_the_clock_wraps(start_ms):
    contact = reed(start_ms=start_ms)
    wire(14).drive(1)
    clock.advance(24)
    assert not contact.poll()
    clock.advance(1)
    assert contact.poll() and contact.is_open()


def test_level_after_a_week_without_a_poll():
    contact = reed()
    wire(14).drive(1)
    clock.advance(7 * 86_400_000 & 0x3FFFFFFF)
    wire(14).drive(0)
    assert contact.poll() and contact.edges == 1


def test_sleeping_contact_records_no_edges():
    contact = reed()
    contact.sleep()
    wire(14).drive(1)
    assert wire(14).pins == []
    clock.advance(25)
    wire(14).drive(0)
    clock.advance(25)
    assert not contact.poll()


def test_an_edge_and_a_poll_allocate_nothing():
    contact = reed()

    def open_and_close():
        wire(14).drive(1)
        clock.advance(30)
        contact.poll()
        wire(14).drive(0)
        clock.advance(30)
        return contact.is_open()

    assert allocated(open_and_close, 20) == 0
    assert locked(open_and_close) is False


def lacks(driven, has_resistor, closes_at_ms=None):
    """Return what lacks_pull_up() finds at a contact that is driven to a level, or to none."""
    machine.power_on()
    clock.hold(0)
    wire(14).has_resistor = has_resistor
    pin = Pin(14, Pin.IN, None)
    wire(14).drive(driven)

    def sleep_ms(span_ms):
        clock.advance(span_ms)
        if closes_at_ms is not None and clock.ms() >= closes_at_ms:
            wire(14).drive(0)

    found = lacks_pull_up(pin, sleep_ms)
    assert wire(14).pull == 0
    if not found:
        assert pin.value() == (0 if driven == 0 or closes_at_ms is not None else 1)
    clock.release()
    return found


@cases(
    (None, False, True),
    (None, True, False),
    (0, False, False),  # closed: it cannot be told
    (0, True, False),
    (1, False, False),  # a changeover contact
)
def test_a_missing_pull_up_is_found(driven, has_resistor, wanted):
    assert lacks(driven, has_resistor) == wanted


@cases(1, 3, 5, 10)
def test_a_contact_that_closes_during_the_check_lacks_nothing(closes_at_ms):
    assert not lacks(None, True, closes_at_ms)
