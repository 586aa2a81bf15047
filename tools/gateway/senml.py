"""SenML packs of reports (RFC 8428), and values as text, JSON, CBOR and SenML.

Limits keep what a stranger can cause small: bytes of a pack, records, range of numbers and times.
"""

import json
import math
import re
from typing import Any, NamedTuple

import cbor2

# Labels in CBOR (section 6)
BASE_NAME, BASE_TIME, BASE_UNIT, BASE_VALUE, VERSION = -2, -3, -4, -5, -1
NAME, UNIT, VALUE, STRING, BOOLEAN, TIME = 0, 1, 2, 3, 4, 6
JSON_NAMES = {
    BASE_NAME: "bn", NAME: "n", UNIT: "u", VALUE: "v", STRING: "vs", BOOLEAN: "vb", TIME: "t",
}  # fmt: skip

TEXT, LINKS, JSON, CBOR, SENML_JSON, SENML_CBOR = 0, 40, 50, 60, 110, 112
VALUE_FORMATS = (TEXT, JSON, CBOR, SENML_JSON, SENML_CBOR)

BYTES_MAX = 1024
RECORDS_MAX = 64
NAME_MAX = 64
STRING_MAX = 64
AGE_MAX_S = 366 * 86400
NUMBER_MAX = 1e15
ABSOLUTE_S = 1 << 28  # times below it are relative to now (section 4.5.3)
EUI = re.compile(r"urn:dev:mac:([0-9a-f]{16}):?")

# How the values of a door read as text
STATES = {"contact": ("closed", "open"), "tamper": ("ok", "tampered")}


class Record(NamedTuple):
    """One value of a pack; age_s: how long before the arrival it was."""

    name: str
    unit: str
    value: float | int | str | bool
    age_s: float


class Pack(NamedTuple):
    """A pack; eui: of the node that sent it, 16 hexadecimal digits."""

    eui: str
    records: list[Record]

    def first(self, name: str) -> Any:
        """Return the value of the first record of this name, None if there is none."""
        return next((one.value for one in self.records if one.name == name), None)


def decode(payload: bytes, bytes_max: int = BYTES_MAX, records_max: int = RECORDS_MAX) -> Pack:
    """Return the pack in CBOR. Raises ValueError that says what is wrong."""
    if len(payload) > bytes_max:
        raise ValueError(f"a report has at most {bytes_max} bytes")
    try:
        rows = cbor2.loads(payload)
    except Exception:  # cbor2 raises many kinds
        raise ValueError("a report is SenML in CBOR") from None
    if not isinstance(rows, list) or not rows or len(rows) > records_max:
        raise ValueError(f"a report is an array of 1 to {records_max} records")
    base_name, base_unit, base_s, base_value = "", "", 0.0, 0.0
    records = []
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError("a record is a map")
        base_name = text(row.get(BASE_NAME, base_name))
        base_unit = text(row.get(BASE_UNIT, base_unit))
        base_s = number(row.get(BASE_TIME, base_s))
        base_value = number(row.get(BASE_VALUE, base_value))
        if any(isinstance(label, str) and label.endswith("_") for label in row):
            raise ValueError("a record has a field that must be understood")
        value = value_of(row, base_value)
        if value is None:
            continue  # base values only
        age_s = -(base_s + number(row.get(TIME, 0)))
        if not 0 <= age_s <= AGE_MAX_S:
            raise ValueError("a time is relative, 0 or negative, and within a year")
        records.append(
            Record(text(row.get(NAME, "")), text(row.get(UNIT, base_unit)), value, age_s)
        )
    found = EUI.match(base_name)
    if not found:
        raise ValueError("the base name is urn:dev:mac: and 16 hexadecimal digits")
    return Pack(
        found[1], [one._replace(name=base_name[found.end() :] + one.name) for one in records]
    )


def value_of(row: dict, base_value: float) -> float | int | str | bool | None:
    """Return the value of a record, None if it has none. Raises ValueError."""
    if VALUE in row:
        value = row[VALUE]
        return number(value) + base_value if base_value else number(value)
    if BOOLEAN in row:
        if not isinstance(row[BOOLEAN], bool):
            raise ValueError("a Boolean value is true or false")
        return row[BOOLEAN]
    return text(row[STRING]) if STRING in row else None


def number(value: Any) -> float | int:
    """Return a finite number. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if hasattr(value, "as_tuple"):  # a decimal fraction
            return number(float(value))
        raise ValueError("a value is a number")
    if not math.isfinite(value) or abs(value) > NUMBER_MAX:
        raise ValueError("a number is out of range")
    return value


def text(value: Any) -> str:
    """Return a short text without control characters. Raises ValueError."""
    if not isinstance(value, str) or len(value) > STRING_MAX or not value.isprintable():
        raise ValueError(f"a text has at most {STRING_MAX} printable characters")
    return value


def encode(form: int, name: str, eui: str, path: str, unit: str, value: Any, at_s: float) -> bytes:
    """Return a value in a Content-Format of VALUE_FORMATS.

    name: of the record; path: of the resource; at_s: when the value was true, seconds since 1970.
    """
    if form == TEXT:
        return as_text(name, value).encode()
    plain = bool(value) if name in STATES else value
    if form == JSON:
        return json.dumps(plain, separators=(",", ":")).encode()
    if form == CBOR:
        return cbor2.dumps(plain)
    field = BOOLEAN if isinstance(plain, bool) else STRING if isinstance(plain, str) else VALUE
    record = {BASE_NAME: f"urn:dev:mac:{eui}:", NAME: name, TIME: round(at_s, 1), field: plain}
    if unit:
        record[UNIT] = unit
    if form == SENML_CBOR:
        return cbor2.dumps([record])
    named = {JSON_NAMES[label]: value for label, value in record.items()}
    return json.dumps([named], separators=(",", ":")).encode()


def as_text(name: str, value: Any) -> str:
    """Return a value as the node itself writes it: "open", "36.62", "83"."""
    if name in STATES:
        return STATES[name][bool(value)]
    if isinstance(value, float):
        return f"{value:g}" if value == round(value, 6) else str(value)
    return str(value)
