"""A wearable: pulse, oxygen saturation, skin temperature, steps and acceleration.

For interest and for sport, not a medical device. Wiring: MAX30102, TMP117 and LSM6DSOX on one
I2C bus, SDA_PIN and SCL_PIN of the board's board.py. A sensor that is missing answers 5.03, and
works as soon as it is there.
"""

from machine import I2C, Pin
from micropython import const

from apps import common
from coap import CoapError, Resource
from coap.numbers import JSON, SERVICE_UNAVAILABLE, TEXT
from coap.scan import decimal
from sensors.lsm6dsox import Lsm6dsox
from sensors.oximeter import Oximeter
from sensors.tmp117 import Tmp117

_SAMPLE_MS = const(200)  # the oximeter's FIFO holds 640 ms
_WATCH_MS = const(1000)
_MOVED_MG = const(100)


class Acceleration(Resource):
    """Three axes in g: `0.012 -0.004 1.001` as text, an array in JSON and CBOR.

    SenML has no such unit: there it is m/s2, in a record each.
    """

    content_formats = common.FORMATS
    rt = "oic.r.sensor.acceleration urn:oma:lwm2m:ext:3313"
    interface = "core.s"
    observable = True
    title = "acceleration in g"

    def __init__(self, motion):
        super().__init__()
        self._motion = motion
        self._told_mg = 0
        self._piece = bytearray(12)
        self._x = common.PACK.field("accel_x", "m/s2")
        self._y = common.PACK.field("accel_y", "m/s2")
        self._z = common.PACK.field("accel_z", "m/s2")

    def get(self, request, reply):
        if self._read() is None:
            raise CoapError(SERVICE_UNAVAILABLE, "sensor does not answer", common.RETRY_S)
        form = reply.content_format
        if form == TEXT:
            self._write(reply, b"", b" ", b"")
        elif form == JSON:
            self._write(reply, b"[", b",", b"]")
        elif common.wants_pack(reply):
            self._write_pack(reply)
        else:
            reply.write(b"\x83")
            self._write_fraction(reply, self._motion.x_mg)
            self._write_fraction(reply, self._motion.y_mg)
            self._write_fraction(reply, self._motion.z_mg)

    def check(self):
        """Tell the observers when the strongest axis has changed; for a timer."""
        strongest_mg = self._read()
        if strongest_mg is not None and abs(strongest_mg - self._told_mg) >= _MOVED_MG:
            self._told_mg = strongest_mg
            self.changed()

    def _read(self):
        try:
            return self._motion.read()
        except OSError:
            return None

    def _write(self, reply, start, between, end):
        reply.write(start)
        self._write_decimal(reply, self._motion.x_mg)
        reply.write(between)
        self._write_decimal(reply, self._motion.y_mg)
        reply.write(between)
        self._write_decimal(reply, self._motion.z_mg)
        reply.write(end)

    def _write_pack(self, reply):
        pack = common.PACK
        pack.begin(reply, reply.negotiated, 3)
        pack.number(self._x, _mm_s2(self._motion.x_mg), 3)
        pack.number(self._y, _mm_s2(self._motion.y_mg), 3)
        pack.number(self._z, _mm_s2(self._motion.z_mg), 3)
        pack.end()

    def _write_decimal(self, reply, mg):
        length = decimal(self._piece, 0, mg, 3)
        reply.write(self._piece, 0, length)

    def _write_fraction(self, reply, mg):
        """A CBOR decimal fraction, tag 4: [-3, mg]."""
        reply.write(b"\xc4\x82\x22")
        piece = self._piece
        piece[0] = 0x39 if mg < 0 else 0x19
        if mg < 0:
            mg = -1 - mg
        piece[1] = mg >> 8
        piece[2] = mg & 0xFF
        reply.write(piece, 0, 3)


def _mm_s2(mg):
    """Milli-g in mm/s2: times 9.80665. The product stays a small int up to 5 g."""
    return (mg * 196133 + 10000) // 20000


def setup(node, board, settings):
    """Add the wearable's resources to the node. Returns the oximeter, for who wants to watch."""
    common.setup(node, board, settings)
    sda, scl = Pin(board.SDA_PIN), Pin(board.SCL_PIN)
    i2c = I2C(board.I2C_ID, scl=scl, sda=sda, freq=400_000)
    oximeter = Oximeter(i2c)
    thermometer = Tmp117(i2c)
    motion = Lsm6dsox(i2c)
    for sensor in (oximeter, thermometer, motion):
        sensor.probe()  # from now on it measures; one that is missing is looked for when asked
    rate = common.Reading(
        "oic.r.heartrate urn:oma:lwm2m:ext:3346",
        oximeter.heart_rate,
        common.PACK.field("hr", "beat/min"),
        title="beats a minute",
    )
    saturation = common.Reading(
        "oic.r.spo2 urn:oma:lwm2m:ext:3320",
        oximeter.spo2,
        common.PACK.field("spo2", "/"),
        title="percent",
    )
    saturation.more_decimals = 2  # it is a ratio there
    steps = common.Reading(
        "oic.r.sensor.activity.count urn:oma:lwm2m:ext:3300",
        motion.read_steps,
        common.PACK.field("steps", "count"),
    )
    temperature = common.Reading(
        "oic.r.temperature urn:oma:lwm2m:ext:3303",
        thermometer.read,
        common.PACK.field("temp", "Cel"),
        decimals=2,
        divisor=10,  # from milli-degrees
        step=10,
        title="Celsius",
    )
    resources = (
        ("s/hr", rate),
        ("s/spo2", saturation),
        ("s/steps", steps),
        ("s/temp", temperature),
        ("s/accel", Acceleration(motion)),
    )
    watched = [node.add(path, resource) for path, resource in resources]

    def watch(now_ms):
        for resource in watched:
            resource.check()

    node.every(_SAMPLE_MS, oximeter.sample)
    node.every(_WATCH_MS, watch)
    return oximeter
