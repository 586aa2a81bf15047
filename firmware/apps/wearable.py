"""The wearable application: pulse, oxygen saturation, skin temperature, steps and acceleration.

For interest and for sport, not a medical device. Wiring: MAX30102, TMP117 or MAX30205, LSM6DSOX or
LIS3DH (which counts no steps) on one I2C bus, SDA_PIN and SCL_PIN of the board. The response for a
sensor that is missing is 5.03; it works as soon as it is plugged in.

The sensors work while the core sleeps: the oximeter's FIFO fills, the steps are counted. The core
must empty the FIFO every PERIOD_MS, and does everything else at the same time. When the radio is
needed depends on the attributes of observations and the setting `alert` (see Wearable).
"""

from machine import I2C, Pin
from micropython import const

from apps import device
from apps.batch import Batch
from coap import Resource
from coap.codec import write_decimal
from coap.numbers import JSON, TEXT
from sensors.driver import FirstOf, release
from sensors.lsm6dsox import Lsm6dsox
from sensors.max30102 import BATCH_MS
from sensors.oximeter import Oximeter
from sensors.tmp117 import Tmp117

PERIOD_MS = BATCH_MS
_CHECK_EVERY = const(2)  # periods
_STILL = const(4)  # checks without motion until the wearer counts as still
_MOVED_MG = const(100)
_FAULT = const(-1)  # in place of an acceleration: the sensor does not respond
_FREE_EVERY = const(5)  # checks in a row in which no sensor responds, until the bus is freed
_TIMEOUT_US = const(5000)  # no chip here stretches the clock, so a bus that hangs blocks briefly
_MASK = const(0x3FFFFFFF)


class Acceleration(Resource):
    """Three axes in g: `0.012 -0.004 1.001` as text, an array in JSON and CBOR.

    SenML has no such unit: there each axis is a record in m/s2.
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
        self._notified_mg = 0  # the strongest axis at the last notification
        self._piece = bytearray(12)
        self._x = device.PACK.field("accel_x", "m/s2")
        self._y = device.PACK.field("accel_y", "m/s2")
        self._z = device.PACK.field("accel_z", "m/s2")

    def get(self, request, response):
        """Measure and respond; 5.03 without a sample."""
        if self._read() is None:
            device.refuse(self)
        form = response.content_format
        if form == TEXT:
            self._write(response, b"", b" ", b"")
        elif form == JSON:
            self._write(response, b"[", b",", b"]")
        elif device.wants_pack(response):
            self._write_pack(response)
        else:
            response.write(b"\x83")
            self._write_fraction(response, self._motion.chosen.x_mg)
            self._write_fraction(response, self._motion.chosen.y_mg)
            self._write_fraction(response, self._motion.chosen.z_mg)

    def check(self):
        """Measure, and notify observers if the strongest axis changed; called by a timer."""
        strongest_mg = self._read()
        if strongest_mg is not None and abs(strongest_mg - self._notified_mg) >= _MOVED_MG:
            self._notified_mg = strongest_mg
            self.changed()

    def _read(self):
        """Return the strongest axis in mg; None without a sensor or before its first sample."""
        strongest_mg = self._measure()
        device.note_access(self, strongest_mg != _FAULT)
        return None if strongest_mg == _FAULT else strongest_mg

    def _measure(self):
        # With try in _read() its frame would be allocated on the heap.
        try:
            return self._motion.read()
        except OSError:
            return _FAULT

    def _write(self, response, start, between, end):
        response.write(start)
        self._write_decimal(response, self._motion.chosen.x_mg)
        response.write(between)
        self._write_decimal(response, self._motion.chosen.y_mg)
        response.write(between)
        self._write_decimal(response, self._motion.chosen.z_mg)
        response.write(end)

    def _write_pack(self, response):
        pack = device.PACK
        pack.begin(response, response.negotiated, 3)
        pack.number(self._x, _mm_s2(self._motion.chosen.x_mg), 3)
        pack.number(self._y, _mm_s2(self._motion.chosen.y_mg), 3)
        pack.number(self._z, _mm_s2(self._motion.chosen.z_mg), 3)
        pack.end()

    def _write_decimal(self, response, mg):
        length = write_decimal(self._piece, 0, mg, 3)
        response.write(self._piece, 0, length)

    def _write_fraction(self, response, mg):
        """Write a CBOR decimal fraction, tag 4: [-3, mg]."""
        response.write(b"\xc4\x82\x22")
        piece = self._piece
        piece[0] = 0x39 if mg < 0 else 0x19
        if mg < 0:
            mg = -1 - mg
        piece[1] = mg >> 8
        piece[2] = mg & 0xFF
        response.write(piece, 0, 3)


def _mm_s2(mg):
    """Return mg in mm/s2: times 9.80665. The product is a small int up to 5 g."""
    return (mg * 196133 + 10000) // 20000


class Wearable:
    """The sensors' work, and when it and the radio are next needed.

    A node that does not sleep has a timer for it. A node that sleeps does it by itself:

        wearable.stop_timer()
        while True:
            now_ms = ticks_ms()
            if wearable.wait_ms(now_ms) == 0:
                wearable.work(now_ms)
            if wearable.radio_wait_ms(now_ms) == 0:
                ...  # radio on, until node.due(now_ms) has no more to send
            lightsleep(min(wearable.wait_ms(now_ms), wearable.radio_wait_ms(now_ms)))
    """

    def __init__(self, node, sensors, resources, batch, alerts, free_bus):
        self.oximeter, self._thermometer, self._motion = sensors
        self._free_bus = free_bus
        self._silent = 0  # checks in a row in which no sensor responded
        self.batch = batch
        self._node = node
        self._resources = resources
        self._alerts = alerts
        self._next_ms = -1  # when work() is due; -1: it never ran
        self._periods = 0
        self._still = _STILL  # checks without motion
        self._timer = node.every(PERIOD_MS, self.work)

    def stop_timer(self):
        """Stop the node's timer: from now on the caller calls work()."""
        self._node.cancel(self._timer)

    def wait_ms(self, now_ms):
        """Return the time in ms until work() is due; 0 if it is due."""
        left_ms = (self._next_ms - now_ms) & _MASK
        return left_ms if self._next_ms >= 0 and left_ms <= PERIOD_MS else 0

    def radio_wait_ms(self, now_ms):
        """Return the time in ms until there is something to send; 0 if there is now.

        With c.pmin, c.gt and other attributes of observations most changes need no notification.
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
        """Empty the FIFO, and every second time check the other readings. Never raises OSError."""
        self._next_ms = (now_ms + PERIOD_MS) & _MASK
        self.oximeter.sample(now_ms)
        self._periods = (self._periods + 1) % _CHECK_EVERY
        if self._periods == 0:
            self._check_motion()
            self._check_bus()
            for resource in self._resources:
                resource.check()
            self.batch.tick(now_ms)
            for alert in self._alerts:
                if alert.check():
                    self.batch.add_urgent(now_ms)

    def sleep(self):
        """Stop all sensors and the pedometer; work() starts them again. Never raises OSError."""
        for sensor in (self.oximeter, self._thermometer, self._motion):
            try:
                sensor.sleep()
            except OSError:
                pass  # a sensor that is not there draws no current

    def _check_motion(self):
        """Set pulse.moving while the wearer moves and for some seconds after."""
        self._still = 0 if self._moved() else min(self._still + 1, _STILL)
        self.oximeter.pulse.moving = self._still < _STILL

    def _check_bus(self):
        """Free the bus if no sensor responds: a disturbance may have left a chip holding it."""
        light, motion = self.oximeter.light, self._motion.chosen
        if light.ready or motion.ready or self._thermometer.chosen.ready:
            self._silent = 0
            return
        self._silent += 1
        if self._silent >= _FREE_EVERY:
            self._silent = 0
            self._free_bus()

    def _moved(self):
        try:
            return self._motion.moved()
        except OSError:
            return False


def setup(node, board, settings):
    """Add the wearable's resources and a timer to the node; return the Wearable."""
    device.setup(node, board, settings)
    i2c = _open_bus(board)
    oximeter = Oximeter(i2c)
    pedometer = Lsm6dsox(i2c)
    thermometer, motion = _thermometer(i2c), _motion(pedometer, i2c)
    sensors = (oximeter, thermometer, motion)
    for sensor in sensors:
        sensor.probe()  # start it; one that is missing is probed again at each reading
    readings = _readings(oximeter, thermometer, pedometer)
    resources = [node.add(path, reading) for path, reading in readings]
    batch = node.add("s/batch", Batch(resources, device.Uptime()))
    resources = resources + [node.add("s/accel", Acceleration(motion))]
    alerts = _alerts(settings, readings)
    # An I2C() of the same number is the same object on a board: the drivers need no new one.
    return Wearable(node, sensors, resources, batch, alerts, lambda: _open_bus(board))


def _open_bus(board):
    """Free the bus from a chip that holds it; return the I2C."""
    sda, scl = Pin(board.SDA_PIN), Pin(board.SCL_PIN)
    release(scl, sda)
    return I2C(board.I2C_ID, scl=scl, sda=sda, freq=400_000, timeout=_TIMEOUT_US)


# The driver of the second chip takes memory only if the first chip is not there at the start.


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


def _alerts(settings, readings):
    if not settings.alert:
        return ()
    from apps.alerts import make_alerts

    return make_alerts(settings.alert, {path[2:]: reading for path, reading in readings})


def _readings(oximeter, thermometer, pedometer):
    """Return (path, resource) of each reading that is a number."""
    rate = device.Reading(
        "oic.r.heartrate urn:oma:lwm2m:ext:3346",
        oximeter.heart_rate,
        device.PACK.field("hr", "beat/min"),
        step=4,
        title="beats per minute",
    )
    saturation = device.Reading(
        "oic.r.spo2 urn:oma:lwm2m:ext:3320",
        oximeter.spo2,
        device.PACK.field("spo2", "/"),
        title="percent",
    )
    saturation.more_decimals = 2  # a ratio in SenML
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
