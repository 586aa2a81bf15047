"""A wearable: pulse, oxygen saturation, skin temperature, steps and acceleration.

For interest and for sport, not a medical device. Wiring: MAX30102, TMP117 or MAX30205, LSM6DSOX or
LIS3DH (which counts no steps) on one I2C bus, SDA_PIN and SCL_PIN of the board's board.py. A
sensor that is missing answers 5.03, and works as soon as it is there.

The sensors work while the core sleeps: the oximeter's FIFO fills, the steps are counted. The core
is needed every `PERIOD_MS`, to empty the FIFO; everything else is done on the same occasion.
Observers' conditions decide when the radio is (see `Wearable`), and bounds of the settings.
"""

from machine import I2C, Pin
from micropython import const

from apps import device
from apps.batch import Batch
from coap import CoapError, Resource
from coap.codec import write_decimal
from coap.numbers import JSON, SERVICE_UNAVAILABLE, TEXT
from sensors.driver import FirstOf, release
from sensors.lsm6dsox import Lsm6dsox
from sensors.max30102 import BATCH_MS
from sensors.oximeter import Oximeter
from sensors.tmp117 import Tmp117

PERIOD_MS = BATCH_MS
_WATCH_EVERY = const(2)  # periods
_CALM = const(4)  # looks at the motion without any until the wearer counts as still
_MOVED_MG = const(100)
_TIMEOUT_US = const(5000)  # no chip here stretches the clock: a bus that hangs costs little time
_MASK = const(0x3FFFFFFF)


class Acceleration(Resource):
    """Three axes in g: `0.012 -0.004 1.001` as text, an array in JSON and CBOR.

    SenML has no such unit: there it is m/s2, in a record each.
    """

    content_formats = device.FORMATS
    rt = "oic.r.sensor.acceleration urn:oma:lwm2m:ext:3313"
    interface = "core.s"
    observable = True
    title = "acceleration in g"
    silent = False
    faults = 0

    def __init__(self, motion):
        super().__init__()
        self._motion = motion
        self._told_mg = 0
        self._piece = bytearray(12)
        self._x = device.PACK.field("accel_x", "m/s2")
        self._y = device.PACK.field("accel_y", "m/s2")
        self._z = device.PACK.field("accel_z", "m/s2")

    def get(self, request, reply):
        if self._read() is None:
            raise CoapError(SERVICE_UNAVAILABLE, "sensor does not answer", device.RETRY_S)
        form = reply.content_format
        if form == TEXT:
            self._write(reply, b"", b" ", b"")
        elif form == JSON:
            self._write(reply, b"[", b",", b"]")
        elif device.wants_pack(reply):
            self._write_pack(reply)
        else:
            reply.write(b"\x83")
            self._write_fraction(reply, self._motion.chosen.x_mg)
            self._write_fraction(reply, self._motion.chosen.y_mg)
            self._write_fraction(reply, self._motion.chosen.z_mg)

    def check(self):
        """Tell the observers when the strongest axis has changed; for a timer."""
        strongest_mg = self._read()
        if strongest_mg is not None and abs(strongest_mg - self._told_mg) >= _MOVED_MG:
            self._told_mg = strongest_mg
            self.changed()

    def _read(self):
        strongest_mg = self._measure()
        device.note_answer(self, strongest_mg is not None)
        return strongest_mg

    def _measure(self):
        try:
            return self._motion.read()
        except OSError:
            return None

    def _write(self, reply, start, between, end):
        reply.write(start)
        self._write_decimal(reply, self._motion.chosen.x_mg)
        reply.write(between)
        self._write_decimal(reply, self._motion.chosen.y_mg)
        reply.write(between)
        self._write_decimal(reply, self._motion.chosen.z_mg)
        reply.write(end)

    def _write_pack(self, reply):
        pack = device.PACK
        pack.begin(reply, reply.negotiated, 3)
        pack.number(self._x, _mm_s2(self._motion.chosen.x_mg), 3)
        pack.number(self._y, _mm_s2(self._motion.chosen.y_mg), 3)
        pack.number(self._z, _mm_s2(self._motion.chosen.z_mg), 3)
        pack.end()

    def _write_decimal(self, reply, mg):
        length = write_decimal(self._piece, 0, mg, 3)
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


class Wearable:
    """Keeps the sensors going, and tells who decides over sleep when it can.

        worn.by_hand()
        while True:
            now_ms = ticks_ms()
            if worn.wait_ms(now_ms) == 0:
                worn.work(now_ms)
            if worn.radio_wait_ms(now_ms) == 0:
                ...  # radio on, until node.due(now_ms) has no more to send
            lightsleep(min(worn.wait_ms(now_ms), worn.radio_wait_ms(now_ms)))

    A node that does not sleep leaves it to its timers.
    """

    def __init__(self, node, sensors, resources, batch, bounds=()):
        self.oximeter, self._thermometer, self._motion = sensors
        self.batch = batch
        self._node = node
        self._resources = resources
        self._bounds = bounds
        self._next_ms = -1  # when work() is due; -1: it never ran
        self._turn = 0
        self._calm = _CALM
        self._timer = node.every(PERIOD_MS, self.work)

    def by_hand(self):
        """From now on the caller calls work(), no timer of the node does."""
        self._node.cancel(self._timer)

    def wait_ms(self, now_ms):
        """Milliseconds until the sensors need the core; 0: now."""
        left_ms = (self._next_ms - now_ms) & _MASK
        return left_ms if self._next_ms >= 0 and left_ms <= PERIOD_MS else 0

    def radio_wait_ms(self, now_ms):
        """Milliseconds until there is something to send; 0: now.

        What observers asked for decides: with c.pmin, c.gt and such most changes concern nobody.
        """
        nearest_ms = _MASK
        i = len(self._node.scheduled)
        while i:
            i -= 1
            part = self._node.scheduled[i]
            if part is not self._node.timers:
                nearest_ms = min(nearest_ms, part.wait_ms(now_ms))
        return nearest_ms

    def work(self, now_ms):
        """Empty the FIFO, and every second time look at the rest. Never raises OSError."""
        self._next_ms = (now_ms + PERIOD_MS) & _MASK
        self.oximeter.sample(now_ms)
        self._turn = (self._turn + 1) % _WATCH_EVERY
        if self._turn == 0:
            self._watch_motion()
            for resource in self._resources:
                resource.check()
            self.batch.tick(now_ms)
            for bound in self._bounds:
                if bound.look():
                    self.batch.reschedule(now_ms)

    def sleep(self):
        """Stop all sensors, steps too; the next work() starts them again. Never raises OSError."""
        for sensor in (self.oximeter, self._thermometer, self._motion):
            try:
                sensor.sleep()
            except OSError:
                pass  # one that is not there draws nothing

    def _watch_motion(self):
        """The light of a wearer who moves is looked at more closely, and some seconds longer."""
        self._calm = 0 if self._moved() else min(self._calm + 1, _CALM)
        self.oximeter.pulse.moving = self._calm < _CALM

    def _moved(self):
        try:
            return self._motion.moved()
        except OSError:
            return False


def setup(node, board, settings):
    """Add the wearable's resources to the node, and a timer. Returns the Wearable."""
    device.setup(node, board, settings)
    sda, scl = Pin(board.SDA_PIN), Pin(board.SCL_PIN)
    release(scl, sda)
    i2c = I2C(board.I2C_ID, scl=scl, sda=sda, freq=400_000, timeout=_TIMEOUT_US)
    oximeter = Oximeter(i2c)
    pedometer = Lsm6dsox(i2c)
    thermometer, motion = _thermometer(i2c), _motion(pedometer, i2c)
    sensors = (oximeter, thermometer, motion)
    for sensor in sensors:
        sensor.probe()  # from now on it measures; one that is missing is looked for when asked
    readings = _readings(oximeter, thermometer, pedometer)
    resources = [node.add(path, reading) for path, reading in readings]
    batch = node.add("s/batch", Batch(resources, device.Uptime()))
    resources = resources + [node.add("s/accel", Acceleration(motion))]
    return Wearable(node, sensors, resources, batch, _bounds(settings, readings))


# The second kind of a sensor takes memory only where the first one is not there at the start.


def _thermometer(i2c):
    usual = Tmp117(i2c)
    if usual.probe():
        return FirstOf(usual)
    from sensors.max30205 import Max30205

    return FirstOf(usual, Max30205(i2c))


def _motion(usual, i2c):
    if usual.probe():
        return FirstOf(usual)
    from sensors.lis3dh import Lis3dh

    return FirstOf(usual, Lis3dh(i2c), Lis3dh(i2c, 0x19))


def _bounds(settings, readings):
    if not settings.alert:
        return ()
    from apps.alerts import bounds

    return bounds(settings.alert, {path[2:]: reading for path, reading in readings})


def _readings(oximeter, thermometer, pedometer):
    """(path, resource) of all that is one number."""
    rate = device.Reading(
        "oic.r.heartrate urn:oma:lwm2m:ext:3346",
        oximeter.heart_rate,
        device.PACK.field("hr", "beat/min"),
        title="beats a minute",
    )
    saturation = device.Reading(
        "oic.r.spo2 urn:oma:lwm2m:ext:3320",
        oximeter.spo2,
        device.PACK.field("spo2", "/"),
        title="percent",
    )
    saturation.more_decimals = 2  # it is a ratio there
    steps = device.Reading(
        "oic.r.sensor.activity.count urn:oma:lwm2m:ext:3300",
        pedometer.read_steps,
        device.PACK.field("steps", "count"),
    )
    temperature = device.Reading(
        "oic.r.temperature urn:oma:lwm2m:ext:3303",
        thermometer.read,
        device.PACK.field("temp", "Cel"),
        decimals=2,
        divisor=10,  # from milli-degrees
        step=10,
        title="Celsius",
    )
    return (("s/hr", rate), ("s/spo2", saturation), ("s/steps", steps), ("s/temp", temperature))
