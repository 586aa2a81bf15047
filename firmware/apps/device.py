"""Resources of all applications: readings of sensors, /s/batt, /dev, /config, /diag, /diag/log.

Resource types and paths follow OCF and the LwM2M object registry; conformance to either as a whole
is not claimed.
"""

import json
from binascii import hexlify
from hashlib import sha256

import machine
from micropython import const

import senml
from apps import VERSION
from apps.diagnostics import Diag, Log
from coap import CoapError, Resource
from coap.numbers import (
    BAD_REQUEST,
    CBOR,
    INTERNAL_SERVER_ERROR,
    JSON,
    SENML_CBOR,
    SENML_JSON,
    SERVICE_UNAVAILABLE,
    TEXT,
)
from config import parse
from sensors.battery import Battery, SteadyCharge
from unload import unload

FORMATS = (TEXT, JSON, CBOR, SENML_JSON, SENML_CBOR)  # of a reading
_KEPT_BYTES = const(128)  # longest payload of a PUT that is kept to recognise a repetition
RETRY_S = 5  # Max-Age of a response without a value
_TICK_MS = const(10_000)
_AT_ONCE = const(3)  # steps: so large a change is told at once...
_PAUSE = const(900)  # ...and a smaller one so many checks after the last, one a second
_GONE = const(60)  # checks without a value until that is told
_TICKS_MASK = const(0x3FFFFFFF)


def eui64(unique_id):
    """Return the board's EUI-64 in hexadecimal, from machine.unique_id().

    6 bytes are a MAC address, which gets ff:fe in its middle (RFC 9039 section 4.1). Anything
    else, as the 8 bytes of a Pico, is a serial number: it becomes a locally administered address.
    """
    if len(unique_id) == 6:
        return hexlify(unique_id[:3] + b"\xff\xfe" + unique_id[3:]).decode()
    serial = bytes(8 - len(unique_id[-8:])) + unique_id[-8:]
    return hexlify(bytes((serial[0] & 0xFC | 2,)) + serial[1:]).decode()


# The packs of this board have its base name; one is written at a time.
PACK = senml.Pack("urn:dev:mac:" + eui64(machine.unique_id()) + ":")


def wants_pack(response):
    """Return True if the client accepts SenML rather than a bare value."""
    return response.negotiated is not None and response.negotiated >= SENML_JSON


def adc(pin_id):
    """Return the ADC of a pin, for voltages up to the supply voltage.

    An ESP32 measures up to about 1 V without attenuation; with 11 dB, up to 2.5 V on a C3 and
    3.1 V on the others. Its read_uv() is calibrated for each attenuation. Other ports have none.
    """
    pin = machine.Pin(pin_id)
    if hasattr(machine.ADC, "ATTN_11DB"):
        return machine.ADC(pin, atten=machine.ADC.ATTN_11DB)
    return machine.ADC(pin)


def note_access(resource, succeeded):
    """Note whether the resource's sensor responded, for /diag."""
    if succeeded == resource.silent:
        resource.silent = not succeeded
        if not succeeded:
            resource.faults += 1


def refuse(resource):
    """Raise the 5.03 of a resource that has no value."""
    why = "sensor does not respond" if resource.silent else "no value yet"
    raise CoapError(SERVICE_UNAVAILABLE, why, RETRY_S)


class Reading(Resource):
    """The number that a sensor returns: as text, JSON, CBOR or SenML.

    read: a sensor's read(), which returns a small int or None, or raises OSError. The value shown
    is that number / divisor / 10**decimals. field: name and unit in SenML, of PACK.field().

    Noise, and a body at rest, must not cost a notification each second. Observers are notified of
    a change of 3 * `step` or more at once, and of one of `step` or more once in a quarter of an
    hour. Those with conditions on the value (c.gt, c.st, ...) are notified whenever it meets
    these. That there is no value is told after a minute: a notification without one ends the
    observation.
    """

    content_formats = FORMATS
    interface = "core.s"
    observable = True
    more_decimals = 0  # in SenML, if its unit is larger
    silent = False  # the sensor does not respond
    faults = 0  # how often it stopped responding
    _divisor = step = 1

    def __init__(self, rt, read, field, decimals=0, divisor=1, step=1, title=""):
        super().__init__()
        self.rt = rt
        self._field = field
        self._read = read
        self._notified = None  # the value at the last notification
        self._checks = 0  # since the last notification
        self._missing = 0  # checks in a row without a value
        # an attribute that is not set takes no heap
        if title:
            self.title = title
        if decimals:
            self.decimals = decimals
        if divisor != 1:
            self._divisor = divisor
        if step != 1:
            self.step = step

    def get(self, request, response):
        """Respond with the value, 5.03 if there is none."""
        value = self.value()
        if value is None:
            refuse(self)
        if wants_pack(response):
            self.write_pack(response, value)
        else:
            response.number(value, self.decimals)

    def write_pack(self, response, value):
        """Write the payload in SenML."""
        PACK.begin(response, response.negotiated, 1)
        self.write_record(PACK, value)
        PACK.end()

    def write_record(self, pack, value, time_s=0):
        """Write a record with what value() returned; time_s: time of measurement."""
        pack.number(self._field, value, self.decimals + self.more_decimals, time_s)

    def value(self):
        """Return the number shown, without its decimal point; None if there is none."""
        try:
            value = self._read()
        except OSError:
            note_access(self, False)
            return None
        note_access(self, True)
        if value is None:
            return None
        return (value + self._divisor // 2) // self._divisor

    def check(self):
        """Measure, and notify observers of a change; called by a timer, about once a second."""
        value = self.value()
        self._checks += 1
        self._missing = self._missing + 1 if value is None else 0
        if self._is_news(value):
            self._notified = value
            self._checks = 0
            self.changed()
        elif value is not None and self.node.conditions is not None:
            self.node.conditions.measured(self)

    def _is_news(self, value):
        """Return True if observers are to be told of the value now."""
        notified = self._notified
        if value is None or notified is None:
            return value is not notified and (value is not None or self._missing >= _GONE)
        change = abs(value - notified)
        if change >= _AT_ONCE * self.step:
            return True
        return change >= self.step and self._checks >= _PAUSE


class Charge(Reading):
    """The battery's charge in percent, in SenML also its voltage. battery: sensors.Battery.

    The charge is that of a sensors.battery.SteadyCharge, which says when observers are notified.
    """

    def __init__(self, battery):
        super().__init__(
            "oic.r.energy.battery urn:oma:lwm2m:ext:3411",
            self._measure,
            PACK.field("batt", "%EL"),
            title="percent left",
        )
        self.battery = battery
        self._steady = None  # until the first check: a node that sleeps has none
        self._voltage = PACK.field("vbat", "V")
        self._mv = 0

    def write_pack(self, response, value):
        """Write the payload in SenML."""
        PACK.begin(response, response.negotiated, 2)
        PACK.number(self._field, value)
        PACK.number(self._voltage, self._mv, 3)
        PACK.end()

    def check(self):
        """Measure, and notify observers of a change; called every ten seconds."""
        if self._steady is None:
            self._steady = SteadyCharge(self.battery)
        if self._steady.add(self.battery.read()):
            self.changed()

    def _measure(self):
        mv = self.battery.read()
        if mv is None:
            return None
        self._mv = mv
        if self._steady is None:
            return self.battery.charge_pct(mv)
        return self._steady.show(mv)


class Uptime:
    """A clock that does not wrap. s: whole seconds since the first tick()."""

    def __init__(self):
        self.s = 0
        self._second_ms = -1  # when the last whole second began

    def tick(self, now_ms):
        """Update and return `s`; to be called at least every six days, as the clock wraps."""
        if self._second_ms < 0:
            self._second_ms = now_ms & _TICKS_MASK
        span_ms = (now_ms - self._second_ms) & _TICKS_MASK
        if span_ms <= _TICKS_MASK >> 1:  # otherwise now_ms is before the last tick
            self.s += span_ms // 1000
            self._second_ms = (self._second_ms + span_ms // 1000 * 1000) & _TICKS_MASK
        return self.s


class Device(Resource):
    """/dev: manufacturer, model, versions and uptime, as a JSON object or lines of text."""

    content_formats = (JSON, TEXT)
    rt = "urn:oma:lwm2m:oma:3"
    interface = "core.rp"

    def __init__(self, board, battery, uptime):
        super().__init__()
        self._model = board.NAME
        self._battery = battery
        self._uptime = uptime

    def get(self, request, response):
        """Respond with the fields."""
        fields = [
            ("manufacturer", "Mote"),
            ("model", self._model),
            ("serial", hexlify(machine.unique_id()).decode()),
            ("firmware", VERSION),
            ("uptime_s", self._uptime.tick(request.now_ms)),
        ]
        battery_mv = self._battery.read() if self._battery else None
        if battery_mv is not None:
            fields.append(("battery_mv", battery_mv))
            if self._battery.sag_mv is not None:
                fields.append(("battery_sag_mv", self._battery.sag_mv))
        if response.content_format == TEXT:
            return "\n".join(["{}: {}".format(name, value) for name, value in fields])
        return "{" + ",".join(['"{}":{}'.format(n, json.dumps(v)) for n, v in fields]) + "}"


class Config(Resource):
    """/config: the settings as JSON. A PUT changes the fields that it has, all of them or none."""

    content_formats = (JSON,)
    accepts = (JSON,)
    rt = "mote.config"
    interface = "core.p"

    def __init__(self, settings, has_wifi=True):
        super().__init__()
        self._settings = settings
        self._has_wifi = has_wifi
        self._payload = b""  # of the last PUT, if it was short
        self._changes = 0  # settings.changes after the last PUT
        self._show(settings.as_json())

    def get(self, request, response):
        """Respond with the settings."""
        return self._json

    def put(self, request, response):
        """Change and save the settings. Raises CoapError."""
        settings = self._settings
        payload = self._payload
        if payload and self._changes == settings.changes and request.payload_is(payload):
            return  # the same PUT again
        self._put(settings, request.payload_bytes())

    def _put(self, settings, payload):
        try:
            fields = parse(payload)
        except (ValueError, RuntimeError):  # CPython: RecursionError for [[[[...
            raise CoapError(BAD_REQUEST, "payload: must be a JSON object")
        try:
            new = settings.update(fields)
        except ValueError as error:
            raise CoapError(BAD_REQUEST, str(error))
        if new:
            self._check_power(settings)
            self._save(settings)
        # otherwise nothing is written, to spare the flash
        self._payload = payload if len(payload) <= _KEPT_BYTES else b""
        self._changes = settings.changes

    def _check_power(self, settings):
        """Undo a change after which the node could not sleep as the settings ask."""
        if settings.power == "battery":
            from config_schema import sleep_blocked_by

            why = sleep_blocked_by(settings.app, settings.gateway, self._has_wifi)
            if why:
                settings.update(json.loads(self._json))
                raise CoapError(BAD_REQUEST, why)

    def _save(self, settings):
        try:
            settings.save()
        except OSError:
            settings.update(json.loads(self._json))
            raise CoapError(INTERNAL_SERVER_ERROR, "settings: cannot be written to flash")
        self._show(settings.as_json())

    def _show(self, text):
        self._json = text
        self.etag = sha256(text).digest()[:8]
        if self.node:
            self.node.listing = None  # of /.well-known/core: a title may be a setting
        self.changed()


def setup(node, board, settings):
    """Add the resources that applications share, unless another application has added them."""
    if node.resource_at("config"):
        return
    battery = charge = None
    if board.BATTERY_ADC_PIN is not None:
        battery = Battery(
            adc(board.BATTERY_ADC_PIN),
            board.BATTERY_DIVIDER_NUM,
            board.BATTERY_DIVIDER_DEN,
            board.BATTERY_CHEMISTRY,
        )
        charge = node.add("s/batt", Charge(battery))
    import links

    uptime = Uptime()
    node.add("dev", Device(board, battery, uptime))
    node.add("config", Config(settings, links.wifi(board)))
    from apps import resets

    cause, counts = resets.count(machine, resets.FILE if settings.path else None)
    unload("apps.resets")
    node.add("diag", Diag(uptime, cause, counts, PACK.base_name))
    log = node.add("diag/log", Log(uptime))
    node.on_log = log.note

    def tick(now_ms):
        """Log new errors and measure the battery."""
        log.check(now_ms)
        if charge:
            charge.check()

    node.after(1, uptime.tick)
    node.every(_TICK_MS, tick)
