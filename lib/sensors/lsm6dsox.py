"""LSM6DSOX: steps counted in hardware, acceleration, and motion (ST data sheet DS12814).

micropython-lib's `lsm6dsox` is made for machine learning on the chip and does not fit: it resets
the chip when it is constructed, and with it the steps counted while the board slept; it starts the
gyroscope, which draws most of the current; it has no wake-up on motion; and it returns floats and
allocates at every register access, which a response to a request must not do.
"""

from micropython import const

from sensors.driver import Chip

_FUNC_CFG_ACCESS = const(0x01)
_USER_PAGE = const(0x00)
_EMBEDDED_PAGE = const(0x80)
_WHO_AM_I = const(0x0F)
_IDENTITY = const(0x6C)
_CTRL1_XL = const(0x10)
_RATE_26_HZ_RANGE_4_G = const(0x28)  # 26 Hz is the lowest rate of the pedometer
_CTRL3_C = const(0x12)
_BLOCK_UPDATE_AUTO_INCREMENT = const(0x44)
_WAKE_UP_SRC = const(0x1B)
_WOKE = const(0x08)
_STATUS = const(0x1E)
_NEW_SAMPLE = const(0x01)
_TAP_CFG0 = const(0x56)
_LATCH_CLEAR_ON_READ = const(0x41)  # and the slope filter: gravity is ignored
_TAP_CFG2 = const(0x58)
_INTERRUPTS = const(0x80)
_WAKE_UP_THS = const(0x5B)
_WAKE_UP_DUR = const(0x5C)
_FINE_THRESHOLD = const(0x10)  # steps of full scale / 2**8, 15.6 mg
_MD1_CFG = const(0x5E)
_WAKE_ON_INT1 = const(0x20)
_OUTX_L_A = const(0x28)
_UG_PER_STEP = const(122)

_EMB_FUNC_EN_A = const(0x04)
_PEDOMETER = const(0x08)
_STEP_COUNTER_L = const(0x62)
_MAY_WRAP = const(0xF000)  # a count from here on that becomes small has wrapped


class Lsm6dsox(Chip):
    """An LSM6DSOX. x_mg, y_mg, z_mg: the acceleration at the last read().

    A change of more than `wake_mg` raises the pin INT1 until moved() is called.
    """

    unit = "mg"

    def __init__(self, i2c, address=0x6A, wake_mg=94):
        super().__init__(i2c, address)
        self.wake_mg = wake_mg
        self.x_mg = self.y_mg = self.z_mg = 0
        self._has_sample = False  # since the start
        self._axes = bytearray(6)
        self._control = bytearray(3)  # CTRL1_XL to CTRL3_C
        self._motion = bytearray(_MD1_CFG - _TAP_CFG0 + 1)
        self._count = bytearray(2)
        self._steps = 0
        self._last = -1  # the chip's count at the last reading; -1: not read yet

    def start(self):
        """Start accelerometer, pedometer and wake-up on INT1. Raises OSError."""
        self.store_byte(_FUNC_CFG_ACCESS, _USER_PAGE)
        self.expect(self.load_byte(_WHO_AM_I), _IDENTITY)
        self.store_byte(_CTRL3_C, _BLOCK_UPDATE_AUTO_INCREMENT)
        self.store_byte(_CTRL1_XL, _RATE_26_HZ_RANGE_4_G)
        self.store_byte(_WAKE_UP_DUR, _FINE_THRESHOLD)
        self.store_byte(_WAKE_UP_THS, self._threshold())
        self.store_byte(_TAP_CFG0, _LATCH_CLEAR_ON_READ)
        self.store_byte(_TAP_CFG2, _INTERRUPTS)
        self.store_byte(_MD1_CFG, _WAKE_ON_INT1)
        self._has_sample = False
        self._start_pedometer()

    def is_set_up(self):
        """Return True if the accelerometer is set up as start() does it; leave the user page.

        Raises OSError.
        """
        self.store_byte(_FUNC_CFG_ACCESS, _USER_PAGE)
        control = self._control
        self.load(_CTRL1_XL, control)
        return control[0] == _RATE_26_HZ_RANGE_4_G and control[2] == _BLOCK_UPDATE_AUTO_INCREMENT

    def read(self):
        """Measure the acceleration; return that of the strongest axis in mg.

        None before the first sample. Raises OSError.
        """
        self.wake()
        if not self._has_sample:
            if not self.load_byte(_STATUS) & _NEW_SAMPLE:
                return None
            self._has_sample = True
        self.load(_OUTX_L_A, self._axes)
        self.x_mg = self._axis_mg(0)
        self.y_mg = self._axis_mg(2)
        self.z_mg = self._axis_mg(4)
        return max(abs(self.x_mg), abs(self.y_mg), abs(self.z_mg))

    def read_steps(self):
        """Return the steps since the node's start. Raises OSError.

        The count goes on when the chip's 16 bits wrap, or the chip has lost its registers.
        """
        self.wake()
        self.store_byte(_FUNC_CFG_ACCESS, _EMBEDDED_PAGE)
        count = self._load_steps()
        if self.load_byte(_EMB_FUNC_EN_A) & _PEDOMETER:
            self._steps = (self._steps + self._steps_until(count)) & 0x3FFFFFFF
            self._last = count
        else:
            self.start()
        return self._steps

    def moved(self):
        """Return True if there was motion since the last call; release INT1. Raises OSError."""
        self.wake()
        moved = self.load_byte(_WAKE_UP_SRC) & _WOKE != 0
        if not self._is_wake_up_set():
            self.start()
        return moved

    def sleep(self):
        """Power accelerometer and pedometer down. Raises OSError."""
        self.store_byte(_FUNC_CFG_ACCESS, _USER_PAGE)
        self.store_byte(_CTRL1_XL, 0)
        self.ready = False

    def _start_pedometer(self):
        self.store_byte(_FUNC_CFG_ACCESS, _EMBEDDED_PAGE)
        has_counted = self.load_byte(_EMB_FUNC_EN_A) & _PEDOMETER
        self.store_byte(_EMB_FUNC_EN_A, _PEDOMETER)
        if not has_counted or self._last < 0:
            self._last = self._load_steps()  # from before the start, or since registers were lost
        self.store_byte(_FUNC_CFG_ACCESS, _USER_PAGE)

    def _steps_until(self, count):
        """Return the steps from the last count to this one: the chip may have begun at 0 again."""
        if count < self._last < _MAY_WRAP:
            return count
        return (count - self._last) & 0xFFFF

    def _is_wake_up_set(self):
        """Return True if the wake-up on motion is set up as start() does it."""
        motion = self._motion
        self.load(_TAP_CFG0, motion)
        return (
            motion[0] == _LATCH_CLEAR_ON_READ
            and motion[_TAP_CFG2 - _TAP_CFG0] == _INTERRUPTS
            and motion[_WAKE_UP_THS - _TAP_CFG0] == self._threshold()
            and motion[_MD1_CFG - _TAP_CFG0] == _WAKE_ON_INT1
        )

    def _threshold(self):
        """Return the value of WAKE_UP_THS, of half of the change."""
        return min(self.wake_mg * 32 // 1000, 63)

    def _load_steps(self):
        count = self._count
        self.load(_STEP_COUNTER_L, count)
        return count[0] | count[1] << 8

    def _axis_mg(self, at):
        axes = self._axes
        raw = axes[at] | axes[at + 1] << 8
        if raw >= 0x8000:
            raw -= 0x10000
        return (raw * _UG_PER_STEP + 500) // 1000
