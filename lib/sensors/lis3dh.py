"""LIS3DH: acceleration, wake-up on motion, and orientation (ST data sheet DocID17530).

Published drivers leave out what matters here: the interrupt that wakes the board when its housing
is moved or turned. At 10 Hz the chip draws about 10 uA.
"""

from micropython import const

from sensors.driver import Chip

_WHO_AM_I = const(0x0F)
_IDENTITY = const(0x33)
_CTRL1 = const(0x20)
# CTRL1 to CTRL5: all axes at 10 Hz; for INT1 the high-pass filter, which ignores gravity; INT1 on
# its pin; whole samples at high resolution, 2 g; INT1 latched.
_CONTROL = b"\x27\x01\x40\x88\x08"
_REFERENCE = const(0x26)  # reading it makes the present acceleration the filter's zero
_INCREMENT = const(0x80)  # in a register's address: a burst goes on to the next
_STATUS_AND_AXES = const(0xA7)  # 0x27, with this bit
_NEW_SAMPLE = const(0x08)
_INT1_CFG = const(0x30)  # INT1_SRC and INT1_THS follow
_ANY_AXIS_HIGH = const(0x2A)
_INT1_SRC = const(0x31)
_ACTIVE = const(0x40)
_INT1_THS = const(0x32)
_MG_PER_THRESHOLD = const(16)
_UP_MG = const(700)  # gravity along one axis: that axis is up, within 45 degrees

SIDES = ("x", "-x", "y", "-y", "z", "-z")


class Lis3dh(Chip):
    """A LIS3DH. x_mg, y_mg, z_mg: the acceleration at the last read().

    A change of `wake_mg` raises the pin INT1 until moved() is called.
    """

    unit = "mg"

    def __init__(self, i2c, address=0x18, wake_mg=96):
        super().__init__(i2c, address)
        self.wake_mg = wake_mg
        self.x_mg = self.y_mg = self.z_mg = 0
        self._has_sample = False  # since the start
        self._status_and_axes = bytearray(7)
        self._control = bytearray(len(_CONTROL))
        self._interrupt = bytearray(3)

    def start(self):
        """Configure all axes at 10 Hz and the wake-up on INT1. Raises OSError."""
        self.expect(self.load_byte(_WHO_AM_I), _IDENTITY)
        # A chip that was powered down at high resolution measures wrong values without this read
        # (data sheet, note on the data rates).
        self.load_byte(_REFERENCE)
        self.store(_CTRL1 | _INCREMENT, _CONTROL)
        self.store_byte(_INT1_THS, self._threshold())
        self.load_byte(_REFERENCE)
        self.store_byte(_INT1_CFG, _ANY_AXIS_HIGH)
        self.load_byte(_INT1_SRC)
        self._has_sample = False

    def is_set_up(self):
        """Return True if CTRL1 to CTRL5 have the values of start(). Raises OSError."""
        self.load(_CTRL1 | _INCREMENT, self._control)
        return self._control == _CONTROL

    def read(self):
        """Measure the acceleration; return that of the strongest axis in mg.

        None before the first sample. Raises OSError.
        """
        self.wake()
        self.load(_STATUS_AND_AXES, self._status_and_axes)
        if not (self._has_sample or self._status_and_axes[0] & _NEW_SAMPLE):
            return None
        self._has_sample = True
        self.x_mg = self._axis_mg(1)
        self.y_mg = self._axis_mg(3)
        self.z_mg = self._axis_mg(5)
        return max(abs(self.x_mg), abs(self.y_mg), abs(self.z_mg))

    def moved(self):
        """Return True if there was motion since the last call; release INT1. Raises OSError."""
        self.wake()
        interrupt = self._interrupt
        self.load(_INT1_CFG | _INCREMENT, interrupt)
        if interrupt[0] != _ANY_AXIS_HIGH or interrupt[2] != self._threshold():
            self.start()
        moved = interrupt[1] & _ACTIVE != 0
        if moved:
            self.load_byte(_REFERENCE)  # the orientation may have changed
        return moved

    def side(self):
        """Return which side is up, an index of SIDES; None if tilted or moving. Raises OSError."""
        if self.read() is None:
            return None
        if abs(self.x_mg) > _UP_MG:
            return 0 if self.x_mg > 0 else 1
        if abs(self.y_mg) > _UP_MG:
            return 2 if self.y_mg > 0 else 3
        if abs(self.z_mg) > _UP_MG:
            return 4 if self.z_mg > 0 else 5
        return None

    def sleep(self):
        """Power the chip down; motion no longer wakes the board. Raises OSError."""
        self.store_byte(_CTRL1, 0)
        self.ready = False

    def _threshold(self):
        return min(self.wake_mg // _MG_PER_THRESHOLD, 127)

    def _axis_mg(self, at):
        axes = self._status_and_axes
        raw = axes[at] | axes[at + 1] << 8
        if raw >= 0x8000:
            raw -= 0x10000
        return raw >> 4  # 12 bits, left-justified, of 1 mg each
