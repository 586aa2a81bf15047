"""LIS3DH: acceleration, wake-up on motion, and orientation (ST data sheet DocID17530).

Published drivers leave out what matters here: the interrupt that wakes the board when its housing
is moved or turned. At 10 Hz the chip draws about 10 uA.
"""

from micropython import const

from sensors.driver import Chip

_WHO_AM_I = const(0x0F)
_IDENTITY = const(0x33)
_CTRL1 = const(0x20)
_RATE_10_HZ_ALL_AXES = const(0x27)
_CTRL2 = const(0x21)
_HIGH_PASS_FOR_INT1 = const(0x01)  # constant acceleration, as gravity, is ignored
_CTRL3 = const(0x22)
_INT1_ON_PIN = const(0x40)
_CTRL4 = const(0x23)
_BLOCK_UPDATE_HIGH_RESOLUTION_2_G = const(0x88)
_CTRL5 = const(0x24)
_LATCH_INT1 = const(0x08)
_REFERENCE = const(0x26)  # reading it makes the present acceleration the filter's zero
_OUT_X_L = const(0xA8)  # 0x28, with the bit for auto-increment
_INT1_CFG = const(0x30)
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
        self._axes = bytearray(6)

    def start(self):
        """Configure all axes at 10 Hz and the wake-up on INT1. Raises OSError."""
        self.expect(self.load_byte(_WHO_AM_I), _IDENTITY)
        self.store_byte(_CTRL1, _RATE_10_HZ_ALL_AXES)
        self.store_byte(_CTRL2, _HIGH_PASS_FOR_INT1)
        self.store_byte(_CTRL3, _INT1_ON_PIN)
        self.store_byte(_CTRL4, _BLOCK_UPDATE_HIGH_RESOLUTION_2_G)
        self.store_byte(_CTRL5, _LATCH_INT1)
        self.store_byte(_INT1_THS, min(self.wake_mg // _MG_PER_THRESHOLD, 127))
        self.load_byte(_REFERENCE)
        self.store_byte(_INT1_CFG, _ANY_AXIS_HIGH)
        self.load_byte(_INT1_SRC)

    def read(self):
        """Measure the acceleration; return that of the strongest axis in mg. Raises OSError."""
        self.wake()
        self.load(_OUT_X_L, self._axes)
        self.x_mg = self._axis_mg(0)
        self.y_mg = self._axis_mg(2)
        self.z_mg = self._axis_mg(4)
        return max(abs(self.x_mg), abs(self.y_mg), abs(self.z_mg))

    def moved(self):
        """Return True if there was motion since the last call; release INT1. Raises OSError."""
        self.wake()
        moved = self.load_byte(_INT1_SRC) & _ACTIVE != 0
        if moved:
            self.load_byte(_REFERENCE)  # the orientation may have changed
        return moved

    def side(self):
        """Return which side is up, an index of SIDES; None if tilted or moving. Raises OSError."""
        self.read()
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

    def _axis_mg(self, at):
        axes = self._axes
        raw = axes[at] | axes[at + 1] << 8
        if raw >= 0x8000:
            raw -= 0x10000
        return raw >> 4  # 12 bits, left-justified, of 1 mg each
