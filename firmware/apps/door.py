"""A door or window: is it open, has somebody opened the housing, how is the battery.

Wiring: the reed switch between REED_PIN and ground, the lid switch between TAMPER_PIN and ground,
both closed while door and lid are. Pins of a board are in its board.py.
"""

from machine import Pin
from micropython import const

from apps import common
from coap import Resource
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
        self._reed = reed
        self._text_open = text_open
        self._text_closed = text_closed

    def get(self, request, reply):
        is_open = self._reed.is_open()
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
        pack.number(self._count, self._reed.edges)
        pack.end()

    def value(self):
        """1 when the contact is open, for conditions on notifications."""
        return 1 if self._reed.is_open() else 0

    def check(self):
        """Tell the observers when the contact has moved; for a timer."""
        if self._reed.poll():
            self.changed()


class Door(Contact):
    """The contact that the node is there for; its title says what it watches."""

    def __init__(self, reed, settings):
        self._settings = settings
        super().__init__(reed, "contact", b"open", b"closed")

    @property
    def title(self):
        return self._settings.kind


def setup(node, board, settings):
    """Add the door's resources to the node."""
    common.setup(node, board, settings)
    contacts = [node.add("s/contact", Door(_reed(board.REED_PIN), settings))]
    if board.TAMPER_PIN is not None:
        lid = Contact(_reed(board.TAMPER_PIN), "tamper", b"tampered", b"ok")
        lid.title = "lid of the housing"
        contacts.append(node.add("s/tamper", lid))

    def poll(now_ms):
        for contact in contacts:
            contact.check()

    node.every(_POLL_MS, poll)


def _reed(pin_id):
    return Reed(Pin(pin_id, Pin.IN, Pin.PULL_UP))
