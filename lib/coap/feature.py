"""What a feature is: a file that a node can do without.

A feature names the option bits that wake it and is never called for a request without them; a file
left out of a manifest costs nothing.
"""


class Feature:
    """Base of all features. Slots that a subclass does not need cost it nothing."""

    wants = 0  # bits of scan(): requests that have one are shown to before() and after()
    special = 0  # bits of scan(): requests that have one need the long way; usually as `wants`
    understands = 0  # critical options that need not be refused
    watches = 0  # bits of scan(): messages that have one pass the message layer
    cuts = False  # after() is also shown answers that are too long for one message
    timed = False  # has due(now_ms) and wait_ms(now_ms), as Node has them

    def attach(self, node):
        """The node is made: add resources, keep a reference."""
        self.node = node

    def before(self, view, resource):
        """The handler of `resource` is about to run: 0 to go on, a code to refuse."""
        return 0

    def after(self, view, reply):
        """The handler has filled `reply`: complete it."""

    def changed(self, resource):
        """The state of `resource` is new."""

    def rejected(self, view):
        """An RST came, and no exchange has its MID."""

    def state(self):
        """What must survive a reset, less than 64 KB."""
        return b""

    def restore(self, part):
        """Go on from what state() returned."""

    def forget(self, who):
        """The number of a peer goes to another one."""
