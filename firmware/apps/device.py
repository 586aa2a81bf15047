"""What every application has: a sensor's resource, /s/batt, /dev, /config, /diag and /diag/log.

Resource types and paths follow OCF and the LwM2M object registry, so that a reader who knows
either finds the way; neither is claimed as a whole.
"""

import json
from binascii import hexlify
from hashlib import sha256

import machine
from machine import ADC, Pin
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
from sensors.battery import Battery
from unload import unload

FORMATS = (TEXT, JSON, CBOR, SENML_JSON, SENML_CBOR)  # of what a sensor gives
_TAKEN_BYTES = const(128)  # of a payload that is kept to be known again
RETRY_S = 5  # Max-Age of "no value now"
_TICK_MS = const(10_000)
_TICKS_MASK = const(0x3FFFFFFF)
_SILENT = "sensor does not answer"
_NO_VALUE = "no value yet"


def eui64(unique_id):
    """The board's EUI-64 in hexadecimal, from machine.unique_id().

    6 bytes are a MAC address and get ff:fe in their middle (RFC 9039 section 4.1). Any others, as
    the 8 of a Pico, are a serial number: they become an address that is administered locally.
    """
    if len(unique_id) == 6:
        return hexlify(unique_id[:3] + b"\xff\xfe" + unique_id[3:]).decode()
    serial = bytes(8 - len(unique_id[-8:])) + unique_id[-8:]
    return hexlify(bytes((serial[0] & 0xFC | 2,)) + serial[1:]).decode()


# All packs of this board have its name; one is written at a time.
PACK = senml.Pack("urn:dev:mac:" + eui64(machine.unique_id()) + ":")


def wants_pack(reply):
    """Does the asker want SenML?"""
    return reply.negotiated is not None and reply.negotiated >= SENML_JSON


def adc(pin_id):
    """The ADC of a pin, for voltages up to the supply's.

    An ESP32 measures up to about 1 V unless it attenuates: 11 dB reach 2.5 V on a C3, 3.1 V on
    the others, and its read_uv() is calibrated for each attenuation. Other ports have none.
    """
    if hasattr(ADC, "ATTN_11DB"):
        return ADC(Pin(pin_id), atten=ADC.ATTN_11DB)
    return ADC(Pin(pin_id))


def note_answer(resource, answered):
    """Did the resource's sensor answer? /diag tells which do not, and how often that began."""
    if answered == resource.silent:
        resource.silent = not answered
        if not answered:
            resource.faults += 1


class Reading(Resource):
    """A number that a sensor gives: text for people, JSON, CBOR or SenML for programs.

    `take()` returns a small int, None or raises OSError, as the sensors' read() does; the value
    shown is that number / divisor / 10**decimals. Observers hear of changes of `step` and more.
    field: the name and unit in SenML, of PACK.field().
    """

    content_formats = FORMATS
    interface = "core.s"
    observable = True
    more_decimals = 0  # in SenML, where the unit is so much larger
    silent = False  # its sensor does not answer
    faults = 0  # how often it ceased to

    def __init__(self, rt, take, field, decimals=0, divisor=1, step=1, title=""):
        super().__init__()
        self.rt = rt
        self.title = title
        self._field = field
        self._take = take
        self.decimals = decimals
        self._divisor = divisor
        self._step = step
        self._told = None

    def get(self, request, reply):
        value = self.value()
        if value is None:
            why = _SILENT if self.silent else _NO_VALUE
            raise CoapError(SERVICE_UNAVAILABLE, why, RETRY_S)
        if wants_pack(reply):
            self.write_pack(reply, value)
        else:
            reply.number(value, self.decimals)

    def write_pack(self, reply, value):
        """The payload in SenML."""
        PACK.begin(reply, reply.negotiated, 1)
        self.write_record(PACK, value)
        PACK.end()

    def write_record(self, pack, value, time_s=0):
        """A record of a pack: a number as value() gives it, and when it was measured."""
        pack.number(self._field, value, self.decimals + self.more_decimals, time_s)

    def value(self):
        """The number shown, without its decimal point; None when there is none."""
        try:
            value = self._take()
        except OSError:
            note_answer(self, False)
            return None
        note_answer(self, True)
        if value is None:
            return None
        return (value + self._divisor // 2) // self._divisor

    def check(self):
        """Measure, and tell the observers when the value has moved; for a timer."""
        value = self.value()
        told = self._told
        if value is None or told is None:
            if value is told:
                return
        elif abs(value - told) < self._step:
            return
        self._told = value
        self.changed()


class Charge(Reading):
    """How much is left in the battery, in percent; in SenML with its voltage."""

    def __init__(self, battery):
        super().__init__(
            "oic.r.energy.battery urn:oma:lwm2m:ext:3411",
            self._measure,
            PACK.field("batt", "%EL"),
            title="percent left",
        )
        self.battery = battery  # its rest and load are for who switches the radio to note
        self._voltage = PACK.field("vbat", "V")
        self._mv = 0

    def write_pack(self, reply, value):
        PACK.begin(reply, reply.negotiated, 2)
        PACK.number(self._field, value)
        PACK.number(self._voltage, self._mv, 3)
        PACK.end()

    def _measure(self):
        mv = self.battery.read()
        if mv is None:
            return None
        self._mv = mv
        return self.battery.charge_pct(mv)


class Uptime:
    """`s`: whole seconds since the first tick()."""

    def __init__(self):
        self.s = 0
        self._second_ms = -1  # when the last whole second began

    def tick(self, now_ms):
        """Count on; at least once in six days, for the clock wraps after twelve. Returns `s`."""
        if self._second_ms < 0:
            self._second_ms = now_ms & _TICKS_MASK
        span_ms = (now_ms - self._second_ms) & _TICKS_MASK
        if span_ms <= _TICKS_MASK >> 1:  # else it is a moment ago, not ahead
            self.s += span_ms // 1000
            self._second_ms = (self._second_ms + span_ms // 1000 * 1000) & _TICKS_MASK
        return self.s


class Device(Resource):
    """What kind of node this is, one JSON object or one text line a field."""

    content_formats = (JSON, TEXT)
    rt = "urn:oma:lwm2m:oma:3"
    interface = "core.rp"

    def __init__(self, board, battery, uptime):
        super().__init__()
        self._model = board.NAME
        self._battery = battery
        self._uptime = uptime

    def get(self, request, reply):
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
        if reply.content_format == TEXT:
            return "\n".join(["{}: {}".format(name, value) for name, value in fields])
        return "{" + ",".join(['"{}":{}'.format(n, json.dumps(v)) for n, v in fields]) + "}"


class Config(Resource):
    """The settings as JSON. A PUT changes the fields that it has, all of them or none."""

    content_formats = (JSON,)
    accepts = (JSON,)
    rt = "mote.config"
    interface = "core.p"

    def __init__(self, settings):
        super().__init__()
        self._settings = settings
        self._taken = b""  # the payload that was taken last, where it is short
        self._changes = 0  # of the settings, after that
        self._take(settings.as_json())

    def get(self, request, reply):
        return self._json

    def put(self, request, reply):
        settings = self._settings
        taken = self._taken
        if taken and self._changes == settings.changes and request.payload_is(taken):
            return  # nothing has changed since
        self._put(settings, request.payload_bytes())

    def _put(self, settings, payload):
        try:
            new = settings.update(_parse(payload.strip()))
        except ValueError as error:
            raise CoapError(BAD_REQUEST, str(error))
        if new:
            self._save(settings)
        # else it is as it was: flash is spared
        self._taken = payload if len(payload) <= _TAKEN_BYTES else b""
        self._changes = settings.changes

    def _save(self, settings):
        try:
            settings.save()
        except OSError:
            settings.update(json.loads(self._json))
            raise CoapError(INTERNAL_SERVER_ERROR, "settings: cannot be written to flash")
        self._take(settings.as_json())

    def _take(self, text):
        self._json = text
        self.etag = sha256(text).digest()[:8]
        if self.node:
            self.node.listing = None  # the title of a resource may be a setting
        self.changed()


def _parse(text):
    """What the JSON text says. Raises ValueError for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RuntimeError):  # CPython: RecursionError for [[[[...
        raise ValueError("payload: must be JSON")
    if isinstance(value, dict) and not text.endswith(b"}"):
        raise ValueError("payload: must be JSON")  # up to 1.25 MicroPython closes it by itself
    return value


def setup(node, board, settings):
    """Add what applications share to the node, unless another one has done so."""
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
    uptime = Uptime()
    node.add("dev", Device(board, battery, uptime))
    node.add("config", Config(settings))
    node.add("diag", Diag(uptime, *_resets(settings.path), PACK.base_name))
    log = node.add("diag/log", Log(uptime))
    node.on_log = log.note

    def tick(now_ms):
        log.look(now_ms)
        if charge:
            charge.check()

    node.after(1, uptime.tick)
    node.every(_TICK_MS, tick)


def _resets(is_kept):
    """The cause of this start, and how often each was; only now that needs any code."""
    from apps import resets

    found = resets.count(machine, resets.FILE if is_kept else None)
    unload("apps.resets")
    return found
