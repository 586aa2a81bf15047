"""The pin headers of the board that each drawing shows, as their makers' guides print them.

Espressif, user guides of ESP32-DevKitC V4, ESP32-C3-DevKitM-1 and ESP32-S3-DevKitC-1; Raspberry
Pi, data sheets of Pico, Pico W and Pico 2 W. A pin is written as on the board; where that name has
no number the GPIO follows a colon.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Header:
    """Both rows of pins, seen from above.

    Attributes:
        title: the chip or board, model: the board that is drawn.
        left, right: names of the pins from top to bottom, (name of the row, its first number, its
            step) of each: a row is counted upwards where the step is -1.
        usb_on_top: the side of the USB connector.
        button: its name on the board.
        prefix: of a GPIO's number.
        supply: what the battery feeds: "3V3" through a regulator, or "VSYS" through a diode.
    """

    title: str
    model: str
    left: str
    right: str
    left_row: tuple
    right_row: tuple
    usb_on_top: bool
    button: str
    prefix: str
    supply: str

    def pins(self):
        """Return all pins as a list of (side, index, printed name, GPIO or None, place)."""
        found = []
        for side, names, row in (
            ("left", self.left, self.left_row),
            ("right", self.right, self.right_row),
        ):
            for i, word in enumerate(names.split()):
                name, _, gpio = word.partition(":")
                number = re.fullmatch(r"(?:IO|GP)?(\d+)", name)
                gpio = gpio or (number[1] if number else "")
                place = f"{row[0]} {row[1] + i * row[2]}"
                found.append((side, i, name, int(gpio) if gpio else None, place))
        return found

    def place(self, gpio):
        """Return where a GPIO is, like "J1 5". Raises KeyError if it is not on the header."""
        return {number: place for _, _, _, number, place in self.pins()}[gpio]


PICO = {
    "left": "GP0 GP1 GND GP2 GP3 GP4 GP5 GND GP6 GP7 GP8 GP9 GND "
    "GP10 GP11 GP12 GP13 GND GP14 GP15",
    "right": "VBUS VSYS GND 3V3_EN 3V3 ADC_VREF GP28 GND GP27 GP26 RUN GP22 GND "
    "GP21 GP20 GP19 GP18 GND GP17 GP16",
    "left_row": ("pin", 1, 1),
    "right_row": ("pin", 40, -1),
    "usb_on_top": True,
    "button": "BOOTSEL",
    "prefix": "GP",
    "supply": "VSYS",
}
ESPRESSIF = {"usb_on_top": False, "button": "Boot", "prefix": "GPIO", "supply": "3V3"}
HEADERS = {
    "ESP32_GENERIC_C3": Header(
        title="ESP32-C3",
        model="ESP32-C3-DevKitM-1",
        left="GND 3V3 3V3 IO2 IO3 GND RST GND IO0 IO1 IO10 GND 5V 5V GND",
        right="GND TX:21 RX:20 GND IO9 IO8 GND IO7 IO6 IO5 IO4 GND IO18 IO19 GND",
        left_row=("J1", 1, 1),
        right_row=("J3", 1, 1),
        **ESPRESSIF,
    ),
    "ESP32_GENERIC_S3": Header(
        title="ESP32-S3",
        model="ESP32-S3-DevKitC-1",
        left="3V3 3V3 RST 4 5 6 7 15 16 17 18 8 3 46 9 10 11 12 13 14 5V GND",
        right="GND TX:43 RX:44 1 2 42 41 40 39 38 37 36 35 0 45 48 47 21 20 19 GND GND",
        left_row=("J1", 1, 1),
        right_row=("J3", 1, 1),
        **ESPRESSIF,
    ),
    "ESP32_GENERIC": Header(
        title="ESP32",
        model="ESP32-DevKitC V4",
        left="3V3 EN VP:36 VN:39 IO34 IO35 IO32 IO33 IO25 IO26 IO27 IO14 IO12 GND IO13 "
        "D2:9 D3:10 CMD:11 5V",
        right="GND IO23 IO22 TX:1 RX:3 IO21 GND IO19 IO18 IO5 IO17 IO16 IO4 IO0 IO2 IO15 "
        "D1:8 D0:7 CLK:6",
        left_row=("J2", 1, 1),
        right_row=("J3", 1, 1),
        **ESPRESSIF,
    ),
    "RPI_PICO_W": Header(title="Pico W", model="Raspberry Pi Pico W", **PICO),
    "RPI_PICO2_W": Header(title="Pico 2 W", model="Raspberry Pi Pico 2 W", **PICO),
    "RPI_PICO": Header(title="Pico", model="Raspberry Pi Pico", **PICO),
}
