"""LSM6DSOX inertial sensor: accelerometer and step counter, as far as a wearable uses them.

Bit 7 of FUNC_CFG_ACCESS selects one of two register pages at the same addresses: the user page and
that of the embedded functions, which has the step counter. The pointer moves on only while IF_INC
in CTRL3_C is set. A change of acceleration beyond the threshold is latched in WAKE_UP_SRC until
that is read, and raises INT1 if MD1_CFG enables it. Data sheet DS12814.
"""

from micropython import const

from chips import Chip

_FUNC_CFG_ACCESS = const(0x01)
_EMBEDDED = const(0x80)
_WHO_AM_I = const(0x0F)
_CTRL1_XL = const(0x10)
_CTRL3_C = const(0x12)
_CTRL3_C_RESET = const(0x04)
_SW_RESET = const(0x01)
_IF_INC = const(0x04)
_WAKE_UP_SRC = const(0x1B)
_WOKE = const(0x08)
_TAP_CFG0 = const(0x56)
_LATCH = const(0x01)
_TAP_CFG2 = const(0x58)
_INTERRUPTS = const(0x80)
_WAKE_UP_THS = const(0x5B)
_WAKE_UP_DUR = const(0x5C)
_FINE_THRESHOLD = const(0x10)
_MD1_CFG = const(0x5E)
_WAKE_ON_INT1 = const(0x20)
_STATUS = const(0x1E)
_NEW_SAMPLE = const(0x01)
_OUTX_L_A = const(0x28)
_OUTZ_H_A = const(0x2D)

_EMB_FUNC_EN_A = const(0x04)
_PEDO_EN = const(0x08)
_STEP_COUNTER_L = const(0x62)
_STEP_COUNTER_H = const(0x63)
_EMB_FUNC_SRC = const(0x64)
_PEDO_RST_STEP = const(0x80)

_ODR_26_HZ = const(0x20)
# Micro-g a step by the FS_XL bits (3:2) of CTRL1_XL: 2, 16, 4 and 8 g full scale.
_UG_PER_STEP = (61, 488, 122, 244)
_FULL_SCALE_MG = (2000, 16000, 4000, 8000)


class Lsm6dsox(Chip):
    """An accelerometer with a step counter; INT1 drives `wire`, None if it is not connected."""

    period_ms = 38

    def __init__(self, address=0x6A, wire=None):
        super().__init__(address, 128)
        self.wire = wire
        self.acceleration_mg = [0, 0, 1000]
        self.steps = 0
        self.embedded = bytearray(128)
        self._reset()

    def set_mg(self, x_mg, y_mg, z_mg):
        """Set the acceleration in thousandths of g."""
        before_mg = self.acceleration_mg
        self.acceleration_mg = [x_mg, y_mg, z_mg]
        if not self._is_on() or not self.registers[_TAP_CFG2] & _INTERRUPTS:
            return
        steps = 8 if self.registers[_WAKE_UP_DUR] & _FINE_THRESHOLD else 6
        threshold_mg = _FULL_SCALE_MG[self.registers[_CTRL1_XL] >> 2 & 3]
        threshold_mg = (self.registers[_WAKE_UP_THS] & 0x3F) * threshold_mg >> steps
        moved = 0
        for axis in range(3):  # the slope filter: half the change between two samples
            if abs(self.acceleration_mg[axis] - before_mg[axis]) >> 1 > threshold_mg:
                moved |= 4 >> axis
        if moved:
            self.registers[_WAKE_UP_SRC] = _WOKE | moved
            self._drive(1)
        elif not self.registers[_TAP_CFG0] & _LATCH:
            self._wake_seen()

    def walk(self, steps):
        """Count steps if the pedometer is on and the accelerometer runs at 26 Hz or more."""
        if self.embedded[_EMB_FUNC_EN_A] & _PEDO_EN and self.registers[_CTRL1_XL] >= _ODR_26_HZ:
            self.steps = (self.steps + steps) & 0xFFFF

    def get(self, register):
        """Return a register of the selected page; reading WAKE_UP_SRC ends the event."""
        if register != _FUNC_CFG_ACCESS and self.registers[_FUNC_CFG_ACCESS] & _EMBEDDED:
            if register == _STEP_COUNTER_L:
                return self.steps & 0xFF
            if register == _STEP_COUNTER_H:
                return self.steps >> 8
            return self.embedded[register]
        if _OUTX_L_A <= register <= _OUTZ_H_A:
            return self._acceleration(register - _OUTX_L_A)
        if register == _STATUS:
            is_new = self._is_on() and self.samples() > self._samples_read
            return _NEW_SAMPLE if is_new else 0
        value = self.registers[register]
        if register == _WAKE_UP_SRC:
            self._wake_seen()
        return value

    def put(self, register, value):
        """Write a register of the selected page."""
        if register != _FUNC_CFG_ACCESS and self.registers[_FUNC_CFG_ACCESS] & _EMBEDDED:
            if register == _EMB_FUNC_SRC and value & _PEDO_RST_STEP:
                self.steps = 0
                return
            self.embedded[register] = value
        elif register == _CTRL3_C and value & _SW_RESET:
            self._reset()
        elif register == _CTRL1_XL:
            was_on = self._is_on()
            self.registers[_CTRL1_XL] = value
            if self._is_on() and not was_on:
                self._samples_read = 0
                self.start_sampling()
        elif register != _WHO_AM_I and register != _WAKE_UP_SRC:
            self.registers[register] = value

    def after(self, register):
        """Return the next register if IF_INC is set, else the same."""
        return (register + 1) & 0x7F if self.registers[_CTRL3_C] & _IF_INC else register

    def _is_on(self):
        """Return True unless the accelerometer is powered down."""
        return self.registers[_CTRL1_XL] >= 0x10

    def _acceleration(self, offset):
        """Return a byte of the output registers."""
        if not self._is_on() or not self.samples():
            return 0
        self._samples_read = self.samples()
        raw = self.acceleration_mg[offset >> 1] * 1000
        raw //= _UG_PER_STEP[self.registers[_CTRL1_XL] >> 2 & 3]
        raw = max(-32768, min(32767, raw))
        return raw >> 8 & 0xFF if offset & 1 else raw & 0xFF

    def _wake_seen(self):
        """End the latched wake-up event."""
        self.registers[_WAKE_UP_SRC] = 0
        self._drive(0)

    def _drive(self, level):
        """Set INT1 if it is connected and enabled."""
        if self.wire is not None and self.registers[_MD1_CFG] & _WAKE_ON_INT1:
            self.wire.drive(level)

    def _reset(self):
        """Set all registers to their values after power-on."""
        self._drive(0)
        self._samples_read = 0
        for page in (self.registers, self.embedded):
            for i in range(128):
                page[i] = 0
        self.registers[_WHO_AM_I] = 0x6C
        self.registers[_CTRL3_C] = _CTRL3_C_RESET
        self.steps = 0
