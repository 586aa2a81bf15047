"""The drawings and tables of boards/README.md: up to date, right, and readable."""

import inspect
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

import links
from host import device
from sensors.lis3dh import Lis3dh
from sensors.lsm6dsox import Lsm6dsox
from sensors.max30102 import Max30102
from sensors.max30205 import Max30205
from sensors.tmp117 import Tmp117
from setup.console import Problem
from wiring import drawing, tables
from wiring.__main__ import files
from wiring.circuit import text_width
from wiring.headers import HEADERS

SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"head": 17, "small": 13}


@pytest.fixture(params=HEADERS)
def board(request):
    """A board's board.py and the header that is drawn."""
    return drawing.load(request.param), HEADERS[request.param]


def test_every_board_but_the_emulated_one_is_drawn():
    assert set(device.boards()) - set(HEADERS) == {"PICO_EMU"}
    readme = tables.README.read_text()
    assert "PICO_EMU" in readme
    for name in HEADERS:
        assert f"]({name}/wiring.svg)" in readme


def test_the_drawings_and_tables_are_up_to_date():
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name}: run `make wiring`"


def test_a_header_has_each_pin_once(board):
    _, header = board
    pins = header.pins()
    gpios = [gpio for _, _, _, gpio, _ in pins if gpio is not None]
    places = [place for _, _, _, _, place in pins]
    assert len(set(gpios)) == len(gpios)
    assert len(set(places)) == len(places) == 2 * len(header.left.split())
    if header.prefix == "GP":
        assert header.place(15) == "pin 20"
        assert header.place(16) == "pin 21"
        assert "VBUS" in [name for _, _, name, _, place in pins if place == "pin 40"]


def test_pins_come_from_board_py(board):
    constants, header = board
    spare = next(
        gpio
        for _, _, _, gpio, _ in header.pins()
        if gpio is not None and gpio not in drawing.roles(constants, header)
    )
    label = f"{header.prefix}{spare}"
    for constant, role in (
        ("REED_PIN", "contact"),
        ("TAMPER_PIN", "lid"),
        ("BATTERY_ADC_PIN", "battery"),
        ("SDA_PIN", "SDA"),
        ("SCL_PIN", "SCL"),
    ):
        labels = texts_of(drawing.draw({**constants, constant: spare}, header), "net")
        assert f"{label} {role}" in labels  # at the header
        assert label in labels  # in its circuit
        assert f"{header.prefix}{constants[constant]}" not in labels
        table = tables.pins([(header, {**constants, constant: spare})])
        assert f"| {label}, {header.place(spare)} |" in table


def test_a_pin_that_the_board_lacks_is_named():
    constants, header = drawing.load("ESP32_GENERIC_C3"), HEADERS["ESP32_GENERIC_C3"]
    with pytest.raises(Problem, match="GPIO11 is not on a ESP32-C3-DevKitM-1: correct board.py"):
        drawing.draw({**constants, "REED_PIN": 11}, header)


def test_the_pull_up_decides_the_parts(board):
    constants, header = board
    external = texts_of(drawing.draw({**constants, "REED_PULL": "external"}, header))
    internal = texts_of(drawing.draw({**constants, "REED_PULL": "internal"}, header))
    assert external.count(drawing.DEBOUNCE) == 2
    assert drawing.DEBOUNCE not in internal
    resistor = f"resistor {drawing.PULL_UP}"
    assert tables.counts({**constants, "REED_PULL": "external"}, header)[resistor] == 4
    assert tables.counts({**constants, "REED_PULL": "internal"}, header)[resistor] == 2


def test_parts_that_a_board_lacks_are_not_drawn(board):
    constants, header = board
    less = {**constants, "TAMPER_PIN": None, "BATTERY_ADC_PIN": None}
    texts = texts_of(drawing.draw(less, header))
    assert "Lid of the housing" not in texts
    assert "Voltage of the battery" not in texts
    assert "none" in tables.pins([(header, less)])
    assert tables.counts(less, header)["lid switch that is closed while the lid is"] == 0


def test_the_divider_is_that_of_board_py():
    constants, header = drawing.load("ESP32_GENERIC_C3"), HEADERS["ESP32_GENERIC_C3"]
    thirds = {**constants, "BATTERY_DIVIDER_NUM": 3}
    assert "2 M\N{GREEK CAPITAL LETTER OMEGA}" in texts_of(drawing.draw(thirds, header))


def test_the_sensors_addresses_are_those_of_their_drivers():
    drivers = {
        "MAX30102": Max30102,
        "TMP117": Tmp117,
        "MAX30205": Max30205,
        "LSM6DSOX": Lsm6dsox,
        "LIS3DH": Lis3dh,
    }
    drawn = {name: address for kinds in drawing.SENSORS for name, address in kinds}
    for name, driver in drivers.items():
        assert inspect.signature(driver).parameters["address"].default == drawn[name]
    assert set(drawn) == set(drivers)


def test_the_serial_line_has_the_rate_of_the_firmware():
    assert int(drawing.SERIAL_BAUD.replace(",", "")) == links.BAUD


@pytest.mark.parametrize("pull", ["external", "internal"])
def test_no_text_is_cut_or_covered(board, pull):
    """Estimated with the widest of the usual fonts; a browser shows what it is for one font."""
    constants, header = board
    root = ElementTree.fromstring(drawing.draw({**constants, "REED_PULL": pull}, header))
    width, height = (float(root.get(side)) for side in ("width", "height"))
    boxes = [(element.text, text_box(element)) for element in root.iter(SVG + "text")]
    parts = [rectangle(element) for element in root.iter(SVG + "rect") if is_part(element)]
    for i, (text, box) in enumerate(boxes):
        left, top, right, bottom = box
        assert left >= 4, text
        assert right <= width - 4, text
        assert top >= 0, text
        assert bottom <= height, text
        for other, other_box in boxes[:i]:
            assert not overlap(box, other_box), (text, other)
        for part in parts:
            assert not overlap(box, part) or contains(part, box), text


def test_overlaps_are_found():
    box = (0, 0, 10, 10)
    assert overlap(box, (9, 9, 20, 20))
    assert not overlap(box, (10, 0, 20, 10))
    assert contains(box, (1, 1, 9, 9))
    assert not contains(box, (1, 1, 11, 9))


def test_tables_without_marks_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "README.md"
    file.write_text("# Boards\n")
    monkeypatch.setattr(tables, "README", file)
    with pytest.raises(Problem, match="lacks the lines"):
        tables.readme([])


def test_a_row_may_be_counted_upwards():
    header = replace(HEADERS["RPI_PICO"], left="GP0 GP1", right="VBUS GP2")
    assert [place for *_, place in header.pins()] == ["pin 1", "pin 2", "pin 40", "pin 39"]


def texts_of(svg, kind=None):
    found = ElementTree.fromstring(svg).iter(SVG + "text")
    return [element.text for element in found if kind in (None, element.get("class"))]


def text_box(element):
    """Return (left, top, right, bottom) of a text."""
    kind = element.get("class", "")
    size = SIZES.get(kind, 15)
    width = text_width(element.text, size) * (1.1 if kind in ("head", "net") else 1)
    x, y = float(element.get("x")), float(element.get("y"))
    left = x - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor")]
    return left, y - 0.75 * size, left + width, y + 0.2 * size


def is_part(element):
    return re.fullmatch("part|supply|ground|contact|lid|battery|sda|scl", element.get("class"))


def rectangle(element):
    x, y, width, height = (float(element.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def contains(outer, inner):
    left, top, right, bottom = inner
    return outer[0] <= left and outer[1] <= top and right <= outer[2] and bottom <= outer[3]
