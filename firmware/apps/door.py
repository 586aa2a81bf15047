"""A door or window: is it open, has somebody opened the housing, how is the battery.

Wiring: the reed switch between REED_PIN and ground, the lid switch between TAMPER_PIN and ground,
both closed while door and lid are. Pins of a board are in its board.py.
"""

from machine import Pin

from apps import common
from coap import Resource
from coap.numbers import CBOR, JSON, TEXT
from sensors.reed import Reed

_POLL_MS = 50  # how late observers may hear of a change, at most


class Contact(Resource):
    """A contact: `text_open` or `text_closed` for people, true (open) or false for programs."""

    content_formats = (TEXT, JSON, CBOR)
    rt = "oic.r.sensor.contact urn:oma:lwm2m:ext:3200"
    interface = "core.s"
    observable = True

    def __init__(self, reed, text_open, text_closed):
        super().__init__()
        self._reed = reed
        self._text_open = text_open
        self._text_closed = text_closed

    def get(self, request, reply):
        if reply.negotiated:
            return reply.boolean(self._reed.is_open())
        return self._text_open if self._reed.is_open() else self._text_closed

    def check(self):
        """Tell the observers when the contact has moved; for a timer."""
        if self._reed.poll():
            self.changed()


class Door(Contact):
    """The contact that the node is there for; its title says what it watches."""

    def __init__(self, reed, settings):
        self._settings = settings
        super().__init__(reed, b"open", b"closed")

    @property
    def title(self):
        return self._settings.kind


def setup(node, board, settings):
    """Add the door's resources to the node."""
    common.setup(node, board, settings)
    contacts = [node.add("s/contact", Door(_reed(board.REED_PIN), settings))]
    if board.TAMPER_PIN is not None:
        lid = Contact(_reed(board.TAMPER_PIN), b"tampered", b"ok")
        lid.title = "lid of the housing"
        contacts.append(node.add("s/tamper", lid))

    def poll(now_ms):
        for contact in contacts:
            contact.check()

    node.every(_POLL_MS, poll)


def _reed(pin_id):
    return Reed(Pin(pin_id, Pin.IN, Pin.PULL_UP))
