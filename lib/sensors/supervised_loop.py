"""A supervised loop: a contact whose wires cannot be cut or bridged unnoticed.

    supply --[2 R]--+-- ADC
                    +--[R]--( wire )--+--[contact]--+-- ground
                                      +-----[R]-----+

The ADC measures a third of the supply voltage while the contact is closed and half of it while it
is open; all of it when a wire is cut, and none when the wires are bridged before the first R. A
digital pin could not tell a cut wire from an open contact. R of 1 Mohm and 100 nF at the pin draw
about 1 uA.
"""

from micropython import const

# public: states of a Loop
SHORT = const(0)
CLOSED = const(1)
OPEN = const(2)
CUT = const(3)
STATES = ("short", "closed", "open", "cut")

# Lower limits of the states in per mille of the supply, half way between their voltages. An ADC
# with a smaller range (ESP32: about three quarters of the supply) still detects a cut wire.
_CLOSED_FROM = const(167)
_OPEN_FROM = const(417)
_CUT_FROM = const(700)
_HYSTERESIS = const(20)  # beyond a limit, until the state changes
_COUNTER_MASK = const(0x3FFFFFFF)


class Loop:
    """A loop on an ADC. Its state changes when two polls in a row agree.

    edges: how often it went from closed to another state, or back, modulo 2**30.
    """

    unit = ""
    pin = None  # there is none that could wake a chip

    def __init__(self, adc, supply_mv=3300):
        self.adc = adc
        self.supply_mv = supply_mv
        self.edges = 0
        self._calibrated = hasattr(adc, "read_uv")  # ESP32 has it, RP2040 has not
        self._last = self._state = _state_of(self._per_mille())

    def probe(self):
        """Return True: an ADC is always there."""
        return True

    def read(self):
        """Return the state: SHORT, CLOSED, OPEN or CUT, an index of STATES."""
        return self._state

    def is_open(self):
        """Return True if the contact is open, or the loop cut or bridged."""
        return self._state != CLOSED

    def is_tampered(self):
        """Return True if a wire is cut or bridged."""
        return self._state == SHORT or self._state == CUT

    def poll(self):
        """Measure; return True if the state has changed. Call it at intervals of 20 ms or more."""
        state = self._measure()
        changed = state == self._last and state != self._state
        self._last = state
        if changed:
            if CLOSED in (state, self._state):
                self.edges = (self.edges + 1) & _COUNTER_MASK
            self._state = state
        return changed

    def sleep(self):
        """Do nothing: an ADC draws no current between two readings."""

    def _measure(self):
        """Return the state, which at a limit is still the present one."""
        per_mille = self._per_mille()
        if _state_of(per_mille - _HYSTERESIS) <= self._state <= _state_of(per_mille + _HYSTERESIS):
            return self._state
        return _state_of(per_mille)

    def _per_mille(self):
        """Return the voltage at the pin in per mille of the supply."""
        if self._calibrated:
            return self.adc.read_uv() // self.supply_mv
        return self.adc.read_u16() * 1000 // 65535


def _state_of(per_mille):
    """Return the state of a loop with this voltage."""
    if per_mille >= _CUT_FROM:
        return CUT
    if per_mille >= _OPEN_FROM:
        return OPEN
    return CLOSED if per_mille >= _CLOSED_FROM else SHORT
