"""A door or window: is it open, has somebody opened the housing, how is the battery.

Wiring: the reed switch between REED_PIN and ground, the lid switch between TAMPER_PIN and ground,
both closed while door and lid are. Where the wires of the housing are a supervised loop (see
sensors.loop), TAMPER_ADC_PIN takes the place of TAMPER_PIN; it can not wake a node that sleeps.
Without either there is no /s/tamper. Pins of a board are in its board.py.
"""

import time

from machine import Pin
from micropython import const

import senml
from apps import device
from apps.door_events import Events
from coap import Resource
from power.event_log import AWAKE, CLOCK_MASK, LID, EventLog
from sensors.reed import Reed

_POLL_MS = const(50)  # how late observers may hear of a change, at most
_PACK_BYTES = const(96)  # of a contact's SenML, without its base name


class Told(senml.Buffer):
    """The SenML of a contact, kept until what it tells is another: most who ask hear the same."""

    def __init__(self):
        super().__init__(bytearray(_PACK_BYTES + len(device.PACK.base_name)))
        self.form = 0
        self.is_open = False
        self.moves = 0


class Contact(Resource):
    """A contact: `text_open` or `text_closed` for people, true (open) or false for programs.

    journal: has its edges, which whoever polls the contact notes there; asleep: it counts on where
    the contact itself begins anew with each wake; name: what it is called in SenML; name_n is how
    often it has moved.
    """

    content_formats = device.FORMATS
    rt = "oic.r.sensor.contact urn:oma:lwm2m:ext:3200"
    interface = "core.s"
    observable = True
    source = 0  # in the event log
    _told = None  # made for the first who asks

    def __init__(self, reed, log, asleep, name, text_open, text_closed):
        super().__init__()
        self._state = device.PACK.field(name)
        self._count = device.PACK.field(name + "_n", "count")
        self.reed = reed
        self._log = log
        self._asleep = asleep
        self._edges = reed.edges  # that are in the event log
        self._text_open = text_open
        self._text_closed = text_closed

    def get(self, request, reply):
        is_open = self.reed.is_open()
        form = reply.negotiated
        if not form:
            return self._text_open if is_open else self._text_closed
        if form < senml.JSON:
            reply.boolean(is_open)
            return None
        told = self._pack(form, is_open)
        reply.write(told.buf, 0, told.n)
        return None

    # As in the engine the frames stay within 11 words, so that MicroPython needs no heap for them.

    def _pack(self, form, is_open):
        moves = self.moves()
        told = self._told
        if told is None:
            told = self._told = Told()
        elif told.moves == moves and told.is_open == is_open and told.form == form:
            return told
        self._write(told, form, is_open, moves)
        return told

    def _write(self, told, form, is_open, moves):
        told.n = 0
        told.form = form
        told.is_open = is_open
        told.moves = moves
        pack = device.PACK
        pack.begin(told, form, 2)
        pack.boolean(self._state, is_open)
        pack.number(self._count, moves)
        pack.end()

    def moves(self):
        """How often it has moved, modulo 2**30; of a door that sleeps the number of its events."""
        if self._asleep:
            return self._log.lid_moves if self.source else self._log.number
        return self.reed.edges

    def value(self):
        """1 when the contact is open, for conditions on notifications."""
        return 1 if self.reed.is_open() else 0

    def check(self):
        """Record a move of the contact and notify observers; called by a timer."""
        reed = self.reed
        if reed.poll():
            edges = reed.edges - self._edges & CLOCK_MASK
            self._edges = reed.edges
            self._log.record_many(self.value(), edges, AWAKE | self.source, _seconds())
            self.changed()


class Door(Contact):
    """The contact that the node is there for; its title says what it watches."""

    def __init__(self, reed, log, asleep, settings):
        self._settings = settings
        super().__init__(reed, log, asleep, "contact", b"open", b"closed")

    @property
    def title(self):
        return self._settings.kind


class Lid(Contact):
    """The lid of the housing, or the loop in its wires: is it off, or cut?"""

    source = LID
    title = "lid of the housing"

    def __init__(self, reed, log, asleep):
        super().__init__(reed, log, asleep, "tamper", b"tampered", b"ok")


def setup(node, board, settings):
    """Add the door's resources to a node that stays awake."""
    contacts = _add(node, board, settings, EventLog(), _seconds, False)

    def poll(now_ms):
        for contact in contacts:
            contact.check()

    node.every(_POLL_MS, poll)


def setup_asleep(node, board, settings, log, seconds):
    """Add them to a node that sleeps, which polls the contacts itself: the door, and perhaps the
    lid.
    """
    return _add(node, board, settings, log, seconds, True)


def _add(node, board, settings, log, seconds, asleep):
    device.setup(node, board, settings)
    door = node.add("s/contact", Door(_reed(board.REED_PIN), log, asleep, settings))
    node.add("s/contact/events", Events(log, seconds))
    lid = _lid(board)
    if lid is None:
        return (door,)
    return (door, node.add("s/tamper", Lid(lid, log, asleep)))


def _lid(board):
    """What watches the housing, or None."""
    pin_id = getattr(board, "TAMPER_ADC_PIN", None)
    if pin_id is not None:
        from sensors.loop import Loop

        return Loop(device.adc(pin_id))
    return None if board.TAMPER_PIN is None else _reed(board.TAMPER_PIN)


def _reed(pin_id):
    return Reed(Pin(pin_id, Pin.IN, Pin.PULL_UP))


def _seconds():
    return int(time.time()) & CLOCK_MASK
