"""A supervised loop: contacts in the wires of a housing, which nobody can cut or bridge unseen.

    supply --[2 R]--+-- ADC
                    +--[R]--( wire )--+--[contact]--+-- ground
                                      +-----[R]-----+

While all is well the ADC sees a third of the supply (contact closed) or half of it (open). A wire
that is cut gives all of it, and one that is bridged before the first R nothing. A pin alone could
not tell a cut wire from an open contact. R of 1 Mohm and 100 nF at the pin draw about 1 uA.
"""

from micropython import const

# public: what a Loop reads
SHORT = const(0)
CLOSED = const(1)
OPEN = const(2)
CUT = const(3)
STATES = ("short", "closed", "open", "cut")

# Per mille of the supply, half way between what the states give. An ADC that ends early (ESP32:
# about three quarters of the supply) still tells a cut wire.
_CLOSED_FROM = const(167)
_OPEN_FROM = const(417)
_CUT_FROM = const(700)
_COUNTER_MASK = const(0x3FFFFFFF)


class Loop:
    """`read()` is one of SHORT, CLOSED, OPEN and CUT once two polls in a row agree.

    `edges` counts how often it went from closed to anything else, and back, modulo 2**30.
    """

    unit = ""
    pin = None  # that could wake a chip

    def __init__(self, adc, supply_mv=3300):
        self.adc = adc
        self.supply_mv = supply_mv
        self.edges = 0
        self._calibrated = hasattr(adc, "read_uv")  # ESP32 has it, RP2040 has not
        self._seen = self._state = self._look()

    def probe(self):
        """True: an ADC is always there."""
        return True

    def read(self):
        """The state: a place in STATES."""
        return self._state

    def is_open(self):
        """Is the contact open? A loop that was tampered with counts as open."""
        return self._state != CLOSED

    def is_tampered(self):
        """Is the wire cut or bridged?"""
        return self._state == SHORT or self._state == CUT

    def poll(self):
        """Look: has the state changed? Now and then, 20 ms apart or more."""
        seen = self._look()
        changed = seen == self._seen and seen != self._state
        self._seen = seen
        if changed:
            if CLOSED in (seen, self._state):
                self.edges = (self.edges + 1) & _COUNTER_MASK
            self._state = seen
        return changed

    def sleep(self):
        """An ADC draws nothing between two readings."""

    def _look(self):
        if self._calibrated:
            share = self.adc.read_uv() // self.supply_mv
        else:
            share = self.adc.read_u16() * 1000 // 65535
        if share >= _CUT_FROM:
            return CUT
        if share >= _OPEN_FROM:
            return OPEN
        return CLOSED if share >= _CLOSED_FROM else SHORT
