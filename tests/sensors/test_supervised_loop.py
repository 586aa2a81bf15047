"""The supervised tamper loop: four states by voltage, on either kind of ADC."""

import machine
from machine import ADC, Pin, wire

from sensors.supervised_loop import CLOSED, CUT, OPEN, SHORT, STATES, Loop
from support import allocated, cases


class PlainADC:
    """An ADC without calibration, as RP2040 has it."""

    def __init__(self):
        self.raw = 0

    def read_u16(self):
        return self.raw


def loop(share):
    """A Loop that sees so much of the supply, in per mille."""
    machine.power_on()
    wire(35).microvolts = 3300 * share
    return Loop(ADC(Pin(35), atten=ADC.ATTN_11DB))


# What resistors of 5 % make of 0, 1/3, 1/2 and all; and an ADC that ends at three quarters.
ROWS = (
    (0, SHORT),
    (40, SHORT),
    (310, CLOSED),
    (333, CLOSED),
    (356, CLOSED),
    (475, OPEN),
    (500, OPEN),
    (526, OPEN),
    (740, CUT),
    (1000, CUT),
)


@cases(*ROWS)
def test_loop_state_by_voltage(share, state):
    contact = loop(share)
    assert contact.probe() and contact.read() == state
    assert contact.is_tampered() == (state in (SHORT, CUT))
    assert contact.is_open() == (state != CLOSED)
    plain = PlainADC()
    plain.raw = share * 65535 // 1000
    assert Loop(plain).read() == state
    assert STATES[state] in ("short", "closed", "open", "cut")


def test_change_needs_two_equal_readings():
    contact = loop(333)
    assert not contact.poll()
    wire(35).microvolts = 3300 * 1000
    assert not contact.poll() and contact.read() == CLOSED
    assert contact.poll() and contact.read() == CUT and contact.is_tampered()
    assert not contact.poll()
    wire(35).microvolts = 3300 * 500  # a spike
    assert not contact.poll()
    wire(35).microvolts = 3300 * 1000
    assert not contact.poll() and contact.read() == CUT
    assert allocated(contact.poll, 10) == 0
    contact.sleep()


@cases(167, 417, 700)
def test_noise_at_a_limit_is_no_change(limit):
    contact = loop(limit - 5)
    changes = 0
    for i in range(200):
        wire(35).microvolts = 3300 * (limit + (5 if i % 5 < 3 else -5))
        changes += contact.poll()
    assert changes <= 1 and contact.edges <= 1
    wire(35).microvolts = 3300 * (limit + 40)
    contact.poll()
    contact.poll()
    above = contact.read()
    wire(35).microvolts = 3300 * (limit - 40)
    assert not contact.poll() and contact.poll() and contact.read() == above - 1


def test_leaving_the_closed_state_is_an_edge():
    one = loop(333)
    for share, edges in ((1000, 1), (0, 1), (500, 1), (333, 2), (1000, 3)):
        wire(35).microvolts = 3300 * share
        one.poll()
        one.poll()
        assert one.edges == edges, share
