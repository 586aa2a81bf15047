"""The wiring of a board: its header with the pins that board.py names, then one circuit for each.

Only the values of parts are written here; every pin comes from board.py, every place from headers.
"""

import runpy
import sys

from host.device import BOARDS
from setup.console import Problem
from wiring.circuit import MARGIN, WIDTH, Circuit

ROW = 25  # of the header
BOARD_LEFT, BOARD_RIGHT = 200, 320
PULL_UP = "1 M\N{GREEK CAPITAL LETTER OMEGA}"  # of a contact, and the lower half of the divider
DEBOUNCE = "1 to 4.7 nF"
FILTER = "100 nF"
SERIAL_BAUD = "115,200"
# (name, I2C address) of the wearable's sensors; one of each line is enough.
SENSORS = (
    (("MAX30102", 0x57),),
    (("TMP117", 0x48), ("MAX30205", 0x48)),
    (("LSM6DSOX", 0x6A), ("LIS3DH", 0x18)),
)


def load(name):
    """Return the constants of a board's board.py as a dict."""
    sys.path.insert(0, str(BOARDS))
    try:
        return runpy.run_path(str(BOARDS / name / "board.py"))
    finally:
        sys.path.remove(str(BOARDS))


def roles(board, header):
    """Return {GPIO: (what it is for, its net)} of a board.

    Raises Problem for a pin that is not on the header.
    """
    found = {
        board["REED_PIN"]: ("contact", "contact"),
        board["TAMPER_PIN"]: ("lid", "lid"),
        board["BATTERY_ADC_PIN"]: ("battery", "battery"),
        board["SDA_PIN"]: ("SDA", "sda"),
        board["SCL_PIN"]: ("SCL", "scl"),
    }
    if "BOOT_PIN" in board:
        found[board["BOOT_PIN"]] = (header.button, "button")
    if "SLIPMUX_TX_PIN" in board:
        found[board["SLIPMUX_TX_PIN"]] = ("TX", "serial")
        found[board["SLIPMUX_RX_PIN"]] = ("RX", "serial")
    found.pop(None, None)
    missing = set(found) - {gpio for _, _, _, gpio, _ in header.pins()}
    if missing:
        raise Problem(
            f"{board['NAME']}: GPIO{min(missing)} is not on a {header.model}: correct board.py, "
            "or draw another board, see tools/wiring/headers.py"
        )
    return found


def draw(board, header):
    """Return the SVG of a board, a dict of its board.py, on the header that is drawn."""
    return Drawing(board, header).svg()


class Drawing:
    """One board's drawing, from top to bottom; self._y is where the next circuit begins."""

    def __init__(self, board, header):
        self._board = board
        self._header = header
        self._circuit = Circuit()
        self._y = 0

    def svg(self):
        """Return the whole file."""
        board = self._board
        self._pins()
        self._contact(
            "Door or window", "REED_PIN", "contact", ("reed switch", "closed: door closed")
        )
        self._contact("Lid of the housing", "TAMPER_PIN", "lid", ("switch", "closed: lid closed"))
        if board["REED_PULL"] == "external":
            self._changeover()
        self._battery()
        self._supply()
        self._sensors()
        if "SLIPMUX_TX_PIN" in board:
            self._serial()
        return self._circuit.svg(f"Wiring of {self._header.model}", self._y)

    def _name(self, constant):
        """Return the name of a pin, like GPIO3."""
        return f"{self._header.prefix}{self._board[constant]}"

    def _begin(self, title, note=""):
        """Write the title of a circuit; return the height of its first wire."""
        self._circuit.text(MARGIN, self._y + 22, title, "head")
        if note:
            self._circuit.text(MARGIN, self._y + 43, note, "small")
        return self._y + (80 if note else 62)

    def _pins(self):
        header, circuit = self._header, self._circuit
        circuit.text(MARGIN, 34, header.model, "head")
        circuit.text(MARGIN, 56, "From above; only the marked pins are wired.", "small")
        pins = header.pins()
        rows = len(header.left.split())
        top = 86 if not header.usb_on_top else 100
        height = rows * ROW + 10
        circuit.board(BOARD_LEFT, top, BOARD_RIGHT - BOARD_LEFT, height)
        middle = (BOARD_LEFT + BOARD_RIGHT) / 2
        usb_y = top - 20 if header.usb_on_top else top + height - 8
        circuit.box(middle - 22, usb_y, 44, 28, ("USB",))
        if header.left_row[0] != header.right_row[0]:
            circuit.text(BOARD_LEFT, top - 6, header.left_row[0], "small")
            circuit.text(BOARD_RIGHT, top - 6, header.right_row[0], "small", "end")
        used = roles(self._board, header)
        for side, i, name, gpio, place in pins:
            self._pin(side, top + 5 + ROW * i + ROW // 2, name, used.get(gpio), gpio, place)
        self._y = top + height + (36 if not header.usb_on_top else 20)

    def _pin(self, side, y, name, role, gpio, place):
        circuit = self._circuit
        is_left = side == "left"
        x = BOARD_LEFT + 10 if is_left else BOARD_RIGHT - 10
        anchor = "end" if is_left else "start"
        outside = BOARD_LEFT - 8 if is_left else BOARD_RIGHT + 8
        circuit.pad(x, y)
        circuit.text(
            x + (10 if is_left else -10),
            y + 5,
            place.split()[1],
            "small",
            "start" if is_left else "end",
        )
        if role:
            circuit.label(outside, y, f"{self._header.prefix}{gpio} {role[0]}", role[1], anchor)
        elif name in ("GND", "3V3") or name == self._header.supply:
            circuit.label(outside, y, name, "ground" if name == "GND" else "supply", anchor)
        else:
            circuit.text(outside, y + 5, name, "small", anchor)

    def _contact(self, title, constant, net, lines):
        if self._board[constant] is None:
            return
        circuit = self._circuit
        is_external = self._board["REED_PULL"] == "external"
        y = self._begin(title) if is_external else self._begin(title, "The chip's own pull-up.")
        right = circuit.label(WIDTH - MARGIN, y, self._name(constant), net, "end")
        circuit.wire((230, y), (right, y))
        circuit.contact(230, y, lines)
        circuit.ground(230, y + 60)
        if is_external:
            left = circuit.label(MARGIN, y, "3V3", "supply")
            circuit.wire((left, y), (130, y))
            circuit.resistor(130, y, PULL_UP)
            circuit.wire((190, y), (230, y))
            circuit.dot(230, y)
            circuit.dot(310, y)
            circuit.capacitor(310, y, DEBOUNCE)
            circuit.ground(310, y + 60)
        self._y = y + 90

    def _changeover(self):
        circuit = self._circuit
        note = "Changeover (SPDT) reed: no resistor and no current."
        y = self._begin("Or, in place of either", note) - 8
        for i, (text, net, line) in enumerate(
            (("3V3", "supply", "door open"), ("GND", "ground", "door closed"))
        ):
            left = circuit.label(MARGIN, y + 44 * i, text, net)
            circuit.wire((left, y + 44 * i), (230, y + 44 * i))
            circuit.text(left + 14, y + 44 * i - 6, line, "small")
            circuit.dot(230, y + 44 * i)
        circuit.wire((230, y + 38), (290, y + 22))
        circuit.dot(290, y + 22)
        right = WIDTH - MARGIN
        if self._board["TAMPER_PIN"] is not None:
            right = circuit.label(right, y + 22, self._name("TAMPER_PIN"), "lid", "end") - 30
            circuit.text(right + 15, y + 27, "or", "", "middle")
        right = circuit.label(right, y + 22, self._name("REED_PIN"), "contact", "end")
        circuit.wire((290, y + 22), (right, y + 22))
        self._y = y + 76

    def _battery(self):
        if self._board["BATTERY_ADC_PIN"] is None:
            return
        circuit = self._circuit
        numerator, denominator = (
            self._board["BATTERY_DIVIDER_NUM"],
            self._board["BATTERY_DIVIDER_DEN"],
        )
        upper = f"{(numerator - denominator) / denominator:.3g} {PULL_UP[2:]}"
        y = self._begin("Voltage of the battery")
        left = circuit.label(MARGIN, y, "battery +", "battery")
        circuit.wire((left, y), (140, y))
        circuit.resistor(140, y, upper)
        right = circuit.label(WIDTH - MARGIN, y, self._name("BATTERY_ADC_PIN"), "battery", "end")
        circuit.wire((200, y), (right, y))
        circuit.dot(230, y)
        circuit.resistor(230, y, PULL_UP, upright=True, note_left=True)
        circuit.ground(230, y + 60)
        circuit.dot(310, y)
        circuit.capacitor(310, y, FILTER)
        circuit.ground(310, y + 60)
        self._y = y + 90

    def _supply(self):
        circuit = self._circuit
        if self._header.supply == "VSYS":
            note = "USB, or a battery of 1.8 to 5.5 V at VSYS; both may stay."
            y = self._begin("Supply", note) + 12
        else:
            y = self._begin("Supply", "USB, or a battery as drawn: never both at the same time.")
        right = circuit.label(WIDTH - MARGIN, y, self._header.supply, "supply", "end")
        plus = circuit.label(MARGIN, y, "battery +", "battery")
        circuit.wire((plus, y), (170, y))
        circuit.dot(140, y)
        circuit.cell(140, y, ("Li-ion cell", "protected"))
        circuit.ground(140, y + 60)
        if self._header.supply == "VSYS":
            circuit.wire((170, y), (260, y))
            circuit.diode(260, y, "Schottky")
            circuit.wire((320, y), (right, y))
        else:
            circuit.wire((170, y), (240, y))
            circuit.box(240, y - 24, 110, 48, ("regulator", "3.3 V, 3 \N{MICRO SIGN}A"))
            circuit.wire((350, y), (right, y))
            circuit.wire((295, y + 24), (295, y + 60))
            circuit.ground(295, y + 60)
            circuit.dot(390, y)
            circuit.capacitor(390, y, "220 \N{MICRO SIGN}F")
            circuit.ground(390, y + 60)
        self._y = y + 90

    def _sensors(self):
        circuit = self._circuit
        y = self._begin("Wearable", "Resistors only if the sensors' boards have none.")
        nets = (
            ("3V3", "supply"),
            (self._name("SDA_PIN"), "sda"),
            (self._name("SCL_PIN"), "scl"),
            ("GND", "ground"),
        )
        heights = (y, y + 64, y + 100, y + 136)
        for (text, net), height in zip(nets, heights, strict=True):
            circuit.wire((circuit.label(MARGIN, height, text, net), height), (300, height))
        for x, height in ((150, heights[1]), (200, heights[2])):
            circuit.dot(x, y)
            circuit.resistor(x, y, "", upright=True)
            circuit.wire((x, y + 60), (x, height))
            circuit.dot(x, height)
        circuit.text(216, y + 35, f"4.7 k{PULL_UP[-1]}")
        for text, height in zip(("VIN", "SDA", "SCL", "GND"), heights, strict=True):
            circuit.text(294, height - 6, text, "small", "end")
        lines = []
        for kinds in SENSORS:
            for i, (name, address) in enumerate(kinds):
                lines.append(f"{'or ' if i else ''}{name} 0x{address:02X}")
        circuit.box(300, y - 14, 200, 164, lines)
        self._y = y + 170

    def _serial(self):
        circuit = self._circuit
        y = self._begin("Serial line", "An adapter with levels of 3.3 V, for make slipmux.")
        nets = (
            (self._name("SLIPMUX_TX_PIN"), "serial", "RX"),
            (self._name("SLIPMUX_RX_PIN"), "serial", "TX"),
            ("GND", "ground", "GND"),
        )
        for i, (text, net, other) in enumerate(nets):
            height = y + 36 * i
            circuit.wire((circuit.label(MARGIN, height, text, net), height), (300, height))
            circuit.text(294, height - 6, other, "small", "end")
        circuit.box(300, y - 14, 200, 100, ("USB adapter", f"{SERIAL_BAUD} baud"))
        self._y = y + 110
