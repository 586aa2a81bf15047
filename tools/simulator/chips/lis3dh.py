"""LIS3DH accelerometer: three axes, and interrupt generator 1, which wakes a board.

The pointer moves on within a transfer only if bit 7 of the register's address is set. At low and
normal power the output is left-justified in 16 bits. The generator compares each axis with its
threshold. With the high-pass filter it subtracts the acceleration at the last read of REFERENCE
first. A read of INT1_SRC ends a latched interrupt. A chip that was powered down at high resolution
measures wrong values afterwards, unless REFERENCE is read before it is powered up. Data sheet
DocID17530.
"""

from micropython import const

from chips import Chip

_AUTO_INCREMENT = const(0x80)
_WHO_AM_I = const(0x0F)
_CTRL1 = const(0x20)
_CTRL2 = const(0x21)
_CTRL3 = const(0x22)
_CTRL4 = const(0x23)
_CTRL5 = const(0x24)
_REFERENCE = const(0x26)
_STATUS = const(0x27)
_NEW_SAMPLE = const(0x08)
_OUT_X_L = const(0x28)
_OUT_Z_H = const(0x2D)
_INT1_CFG = const(0x30)
_INT1_SRC = const(0x31)
_INT1_THS = const(0x32)

_HIGH_PASS_INT1 = const(0x01)
_INT1_ON_PIN = const(0x40)
_HIGH_RESOLUTION = const(0x08)
_LATCH = const(0x08)
_BOOT = const(0x80)
_ACTIVE = const(0x40)
_STALE_FILTER_MG = const(400)  # by how much the values are wrong
_MG_PER_STEP = (1, 2, 4, 12)  # at 12 bits, by the FS bits (5:4) of CTRL4
_MG_PER_THRESHOLD = (16, 32, 62, 186)


class Lis3dh(Chip):
    """An accelerometer; INT1 drives `wire`, None if it is not connected."""

    period_ms = 100

    def __init__(self, address=0x18, wire=None):
        super().__init__(address, 64)
        self.acceleration_mg = [0, 0, 1000]
        self.wire = wire
        self._filtered_mg = [0, 0, 1000]
        self._reset()

    def set_mg(self, x_mg, y_mg, z_mg):
        """Set the acceleration in thousandths of g."""
        self.acceleration_mg = [x_mg, y_mg, z_mg]
        if self._is_on():
            self._compare()

    def get(self, register):
        """Return a register; reading REFERENCE sets the filter, INT1_SRC ends the interrupt."""
        register &= 0x3F
        if register == _REFERENCE:
            self._filtered_mg = list(self.acceleration_mg)
            self._is_filter_stale = self._is_filter_stale and self._is_on()
        if register == _STATUS:
            is_new = self._is_on() and self.samples() > self._samples_read
            return _NEW_SAMPLE if is_new else 0
        if _OUT_X_L <= register <= _OUT_Z_H:
            return self._output(register - _OUT_X_L)
        value = self.registers[register]
        if register == _INT1_SRC:
            self.registers[_INT1_SRC] = 0
            self._drive(0)
        return value

    def put(self, register, value):
        """Write a register that can be written."""
        register &= 0x3F
        if register == _CTRL5 and value & _BOOT:
            self._reset()
        elif register == _CTRL1:
            self._power(value)
        elif _CTRL1 <= register <= _REFERENCE or register == _INT1_CFG or register > _INT1_SRC:
            self.registers[register] = value

    def after(self, register):
        """Return the next register if bit 7 is set, else the same."""
        return _AUTO_INCREMENT | (register + 1) & 0x3F if register & _AUTO_INCREMENT else register

    def _is_on(self):
        """Return True unless the chip is powered down."""
        return self.registers[_CTRL1] >> 4 != 0

    def _power(self, value):
        """Write CTRL1."""
        was_on = self._is_on()
        self.registers[_CTRL1] = value
        if self._is_on() and not was_on:
            self._samples_read = 0
            self.start_sampling()
        elif was_on and not self._is_on() and self.registers[_CTRL4] & _HIGH_RESOLUTION:
            self._is_filter_stale = True

    def _scale(self):
        """Return the FS bits: the index of the full scale."""
        return self.registers[_CTRL4] >> 4 & 3

    def _output(self, offset):
        """Return a byte of the output registers."""
        if not self._is_on() or not self.samples():
            return 0
        self._samples_read = self.samples()
        axis = offset >> 1
        if not self.registers[_CTRL1] >> axis & 1:
            return 0
        mg = self.acceleration_mg[axis] + (_STALE_FILTER_MG if self._is_filter_stale else 0)
        raw = mg // _MG_PER_STEP[self._scale()]
        raw = max(-2048, min(2047, raw)) << 4
        if not self.registers[_CTRL4] & _HIGH_RESOLUTION:
            raw &= ~0x3F  # ten bits only
        return raw >> 8 & 0xFF if offset & 1 else raw & 0xFF

    def _compare(self):
        """Raise INT1 if an axis that INT1_CFG enables exceeds the threshold (OR combination)."""
        threshold_mg = (self.registers[_INT1_THS] & 0x7F) * _MG_PER_THRESHOLD[self._scale()]
        events = 0
        for axis in range(3):
            mg = self.acceleration_mg[axis]
            if self.registers[_CTRL2] & _HIGH_PASS_INT1:
                mg -= self._filtered_mg[axis]
            if abs(mg) > threshold_mg:
                events |= 2 << 2 * axis
        events &= self.registers[_INT1_CFG]
        if events:
            self.registers[_INT1_SRC] |= _ACTIVE | events
            self._drive(1)
        elif not self.registers[_CTRL5] & _LATCH:
            self.registers[_INT1_SRC] = 0
            self._drive(0)

    def _drive(self, level):
        """Set INT1 if it is connected and enabled."""
        if self.wire is not None and self.registers[_CTRL3] & _INT1_ON_PIN:
            self.wire.drive(level)

    def _reset(self):
        """Set all registers to their values after power-on."""
        self._drive(0)
        self._is_filter_stale = False
        self._samples_read = 0
        for i in range(64):
            self.registers[i] = 0
        self.registers[_WHO_AM_I] = 0x33
        self.registers[_CTRL1] = 0x07
