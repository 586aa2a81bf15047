"""The tables of boards/README.md that follow from board.py: where the pins are, and the parts."""

from host.device import BOARDS
from setup.console import Problem
from wiring.drawing import DEBOUNCE, FILTER, PULL_UP, SENSORS, roles

README = BOARDS / "README.md"
BEGIN, END = "<!-- wiring: begin -->\n", "<!-- wiring: end -->\n"
SIGNALS = ("contact", "lid", "battery", "SDA", "SCL")


def readme(boards):
    """Return the text of boards/README.md with new tables. Raises Problem without the marks.

    boards: a list of (Header, dict of the board.py).
    """
    before, begin, rest = README.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise Problem(f"{README.name} lacks the lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{begin}\n{pins(boards)}\n{parts(boards)}\n{end}{after}"


def pins(boards):
    """Return the table of pins: a row for each board."""
    rows = [["board that is drawn", *SIGNALS, "button for safe mode"]]
    for header, board in boards:
        places = {
            role: f"{header.prefix}{gpio}, {header.place(gpio)}"
            for gpio, (role, _) in roles(board, header).items()
        }
        button = places.get(header.button)
        button = f"{header.button}, {button.split(',')[0]}" if button else header.button
        cells = [places.get(signal, "none") for signal in SIGNALS]
        rows.append([header.model, *cells, button])
    return table(rows)


def parts(boards):
    """Return the table of parts: a column for each board."""
    columns = [counts(board, header) for header, board in boards]
    rows = [["part", *(header.title for header, _ in boards)]]
    for part in columns[0]:
        rows.append([part, *(str(column[part] or "") for column in columns)])
    return table(rows)


def counts(board, header):
    """Return {part: how many} of a board, door and wearable."""
    contacts = sum(board[constant] is not None for constant in ("REED_PIN", "TAMPER_PIN"))
    external = contacts if board["REED_PULL"] == "external" else 0
    divider = board["BATTERY_ADC_PIN"] is not None
    is_module = header.supply == "3V3"
    sensors = [" or ".join(name for name, _ in kinds) for kinds in SENSORS]
    return {
        "reed switch, normally open, and its magnet": 1,
        "lid switch that is closed while the lid is": contacts - 1,
        f"resistor {PULL_UP}": external + 2 * divider,
        f"capacitor {DEBOUNCE}, at each contact": external,
        f"capacitor {FILTER}, at the divider": int(divider),
        "Li-ion cell with protection": 1,
        "regulator 3.3 V, 3 \N{MICRO SIGN}A or less at rest, 500 mA": int(is_module),
        "capacitor 220 \N{MICRO SIGN}F or more, at 3V3": int(is_module),
        "Schottky diode, 1 A": int(not is_module),
        "USB serial adapter, 3.3 V": int("SLIPMUX_TX_PIN" in board),
        **{f"wearable: {kinds}": 1 for kinds in sensors},
    }


def table(rows):
    """Return a Markdown table, units in ASCII as in the rest of the page; first its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    text = "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"
    return text.translate(
        {ord("\N{GREEK CAPITAL LETTER OMEGA}"): "Ohm", ord("\N{MICRO SIGN}"): "u"}
    )
