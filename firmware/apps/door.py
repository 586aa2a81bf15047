"""A door or window: is it open, has somebody opened the housing, how is the battery.

Wiring: the reed switch between REED_PIN and ground, the lid switch between TAMPER_PIN and ground,
both closed while door and lid are. Pins of a board are in its board.py.
"""

import time

from machine import Pin
from micropython import const

from apps import common
from apps.events import Events
from coap import Resource
from journal import AWAKE, MASK, Journal
from sensors.reed import Reed

_POLL_MS = const(50)  # how late observers may hear of a change, at most


class Contact(Resource):
    """A contact: `text_open` or `text_closed` for people, true (open) or false for programs.

    name: what it is called in SenML; name_n is how often it has moved.
    """

    content_formats = common.FORMATS
    rt = "oic.r.sensor.contact urn:oma:lwm2m:ext:3200"
    interface = "core.s"
    observable = True

    def __init__(self, reed, name, text_open, text_closed):
        super().__init__()
        self._state = common.PACK.field(name)
        self._count = common.PACK.field(name + "_n", "count")
        self.reed = reed
        self._text_open = text_open
        self._text_closed = text_closed

    def get(self, request, reply):
        is_open = self.reed.is_open()
        if not reply.negotiated:
            return self._text_open if is_open else self._text_closed
        if common.wants_pack(reply):
            self._write_pack(reply, is_open)
        else:
            reply.boolean(is_open)
        return None

    def _write_pack(self, reply, is_open):
        pack = common.PACK
        pack.begin(reply, reply.negotiated, 2)
        pack.boolean(self._state, is_open)
        pack.number(self._count, self.moves())
        pack.end()

    def moves(self):
        """How often it has moved, modulo 2**30."""
        return self.reed.edges

    def value(self):
        """1 when the contact is open, for conditions on notifications."""
        return 1 if self.reed.is_open() else 0

    def check(self):
        """Tell the observers when the contact has moved; for a timer."""
        if self.reed.poll():
            self.changed()


class Door(Contact):
    """The contact that the node is there for; its title says what it watches.

    journal: has its edges, which whoever polls the contact notes there; their number goes on
    where the node sleeps, while the contact counts from its start.
    """

    def __init__(self, reed, settings, journal, asleep):
        self._settings = settings
        self._journal = journal
        self._asleep = asleep
        self._edges = reed.edges  # that are in the journal
        super().__init__(reed, "contact", b"open", b"closed")

    def moves(self):
        return self._journal.number if self._asleep else self.reed.edges

    def check(self):
        if self.reed.poll():
            edges = self.reed.edges - self._edges & MASK
            self._edges = self.reed.edges
            level = 1 if self.reed.is_open() else 0
            self._journal.catch_up(level, edges, AWAKE, _seconds())
            self.changed()

    @property
    def title(self):
        return self._settings.kind


def setup(node, board, settings):
    """Add the door's resources to a node that stays awake."""
    door, lid = _add(node, board, settings, Journal(), _seconds, False)

    def poll(now_ms):
        door.check()
        if lid:
            lid.check()

    node.every(_POLL_MS, poll)


def setup_asleep(node, board, settings, journal, seconds):
    """Add them to a node that sleeps, which polls the contact itself: the contact."""
    return _add(node, board, settings, journal, seconds, True)[0].reed


def _add(node, board, settings, journal, seconds, asleep):
    common.setup(node, board, settings)
    door = node.add("s/contact", Door(_reed(board.REED_PIN), settings, journal, asleep))
    node.add("s/contact/events", Events(journal, seconds))
    lid = None
    if board.TAMPER_PIN is not None:
        lid = Contact(_reed(board.TAMPER_PIN), "tamper", b"tampered", b"ok")
        lid.title = "lid of the housing"
        node.add("s/tamper", lid)
    return door, lid


def _reed(pin_id):
    return Reed(Pin(pin_id, Pin.IN, Pin.PULL_UP))


def _seconds():
    return int(time.time()) & MASK
