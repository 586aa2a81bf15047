"""A chip that holds the I2C bus: after a reset in the middle of a transfer, or a disturbance."""

import board
from machine import bus, clock, wire

from apps import wearable
from coap import Node
from config import Settings
from support import cases
from support.request_helpers import Asker


class Held:
    """A chip with `bits` left to send, all of them 0: it follows the clock alone."""

    def __init__(self, bits):
        self.bits = bits
        self.sda = wire(board.SDA_PIN)
        self.sda.drive = self.drive
        self.sda.level = 0
        wire(board.SCL_PIN).pins.append(self)
        bus(board.SDA_PIN).stuck = True

    def edge(self, level):
        """The clock's; the line is let go after the last bit."""
        if not level and self.bits:
            self.bits -= 1
            if not self.bits:
                self.sda.level = 1
                bus(board.SDA_PIN).stuck = False

    def drive(self, level):
        if not self.bits:
            self.sda.level = level


@cases((1, "2.05"), (9, "2.05"), (100, "5.03"))
def test_a_bus_that_a_chip_holds_is_freed_at_the_start(bits, code):
    board.power_on()
    clock.hold(0)
    board.Body()
    held = Held(bits)
    node = Node()
    wearable.setup(node, board, Settings())
    assert held.bits == max(bits - 9, 0)
    ask = Asker(node)
    ask.run(1_000)
    for path in ("s/temp", "s/accel", "s/steps"):
        assert ask.get(path).code == code
    clock.release()


@cases((1, True), (9, True), (100, False))
def test_a_bus_that_a_chip_holds_is_freed_while_the_node_runs(bits, is_freed):
    board.power_on()
    clock.hold(0)
    board.Body()
    node = Node()
    wearable.setup(node, board, Settings())
    ask = Asker(node)
    ask.run(15_000)
    Held(bits)
    ask.run(2_000)
    assert ask.get("s/temp").code == "5.03"
    ask.run(20_000)
    for path in ("s/temp", "s/accel", "s/steps", "s/hr"):
        assert ask.get(path).code == ("2.05" if is_freed else "5.03")
    clock.release()
