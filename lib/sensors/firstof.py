"""The first of several chips that is there: boards are built with one thermometer or another."""


class FirstOf:
    """Asks the chip in `chosen`, and looks for another one when that does not answer."""

    def __init__(self, *chips):
        self.unit = chips[0].unit
        self.chosen = chips[0]
        self._chips = chips

    def probe(self):
        """Is one of them there? Starts it when it is."""
        for chip in self._chips:
            if chip.probe():
                self.chosen = chip
                return True
        return False

    def read(self):
        """As read() of the chip. Raises OSError."""
        if not self.chosen.ready:
            self.probe()
        return self.chosen.read()

    def moved(self):
        """As moved() of the chip, where it has that. Raises OSError."""
        if not self.chosen.ready:
            self.probe()
        return self.chosen.moved()

    def sleep(self):
        """Stop the chip. Raises OSError."""
        self.chosen.sleep()
