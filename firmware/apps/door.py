"""The door application: contact of a door or window, lid of the housing, battery.

Wiring: the reed switch between REED_PIN and ground, the lid switch between TAMPER_PIN and ground,
closed while the door or the lid is closed, with an external pull-up of 1 MOhm, or with REED_PULL =
"internal" in board.py with that of the chip. A changeover contact between 3V3 and ground needs
neither. A supervised loop (sensors.supervised_loop) is wired to
TAMPER_ADC_PIN instead of TAMPER_PIN and cannot wake a node that sleeps. Without either there is
no /s/tamper.
"""

import sys
import time

from machine import Pin
from micropython import const

import senml
from apps import device
from apps.door_events import Events
from coap import Resource
from power.event_log import AWAKE, CLOCK_MASK, LID, EventLog
from sensors.reed import Reed, lacks_pull_up

_POLL_MS = const(50)  # longest delay of a notification
_PACK_BYTES = const(96)  # of a contact's SenML, without its base name


class Contact(Resource):
    """A contact: text "open" or "closed" (of the lid "tampered" or "ok"), true or false, or SenML.

    source: 0 for the door's contact, LID for the housing; both are in the event log `log`.
    asleep: on a node that sleeps, whose `reed` starts at 0 with each wake, the log has the number
    of edges, and lib/power polls the contact.
    """

    content_formats = device.FORMATS
    rt = "oic.r.sensor.contact urn:oma:lwm2m:ext:3200"
    interface = "core.s"
    observable = True
    # A kept payload in SenML, made at the first request, and what it is of
    _pack = None
    _pack_form = 0
    _pack_is_open = False
    _pack_edges = 0

    def __init__(self, reed, log, asleep, settings, source=0):
        super().__init__()
        name = "tamper" if source else "contact"
        self.reed = reed
        self.source = source
        self._settings = settings
        self._state = device.PACK.field(name)
        self._count = device.PACK.field(name + "_n", "count")
        self._log = log
        self._asleep = asleep
        self._edges = reed.edges  # that are in the event log

    @property
    def title(self):
        """Return what the contact is on."""
        return "lid of the housing" if self.source else self._settings.kind

    def get(self, request, response):
        """Respond with the state."""
        is_open = self.reed.is_open()
        form = response.negotiated
        if not form:
            if self.source:
                return b"tampered" if is_open else b"ok"
            return b"open" if is_open else b"closed"
        if form < senml.JSON:
            response.boolean(is_open)
            return None
        pack = self._packed(form, is_open)
        response.write(pack.buf, 0, pack.n)
        return None

    # Frames of at most 11 words, as in lib/coap: MicroPython allocates larger ones on the heap.

    def _packed(self, form, is_open):
        edges = self.edges()
        pack = self._pack
        if pack is None:
            pack = self._pack = senml.Buffer(bytearray(_PACK_BYTES + len(device.PACK.base_name)))
        elif self._pack_edges == edges and self._pack_is_open == is_open:
            if self._pack_form == form:
                return pack
        self._pack_form = form
        self._pack_is_open = is_open
        self._pack_edges = edges
        self._write(pack, form, is_open, edges)
        return pack

    def _write(self, sink, form, is_open, edges):
        sink.n = 0
        pack = device.PACK
        pack.begin(sink, form, 2)
        pack.boolean(self._state, is_open)
        pack.number(self._count, edges)
        pack.end()

    def edges(self):
        """Return how often it opened or closed, modulo 2**30; the number of events if asleep."""
        if self._asleep:
            return self._log.lid_moves if self.source else self._log.number
        return self.reed.edges

    def value(self):
        """Return 1 if the contact is open, else 0: for conditional observe."""
        return 1 if self.reed.is_open() else 0

    def check(self):
        """Record an edge of the contact and notify observers; called by a timer."""
        reed = self.reed
        if reed.poll():
            edges = reed.edges - self._edges & CLOCK_MASK
            self._edges = reed.edges
            self._log.record_many(self.value(), edges, AWAKE | self.source, _seconds())
            self.changed()


def setup(node, board, settings):
    """Add the door's resources to a node that stays awake."""
    contacts = _add(node, board, settings, EventLog(), _seconds, False)

    def poll(now_ms):
        """Poll the contacts."""
        for contact in contacts:
            contact.check()

    node.every(_POLL_MS, poll)


def setup_asleep(node, board, settings, log, seconds):
    """Add the door's resources to a node that sleeps; return the Contacts: the door, and the lid.

    The caller polls them. seconds(): the clock of the event log.
    """
    return _add(node, board, settings, log, seconds, True)


def _add(node, board, settings, log, seconds, asleep):
    device.setup(node, board, settings)
    reed = _reed(node, board.REED_PIN, board.REED_PULL)
    door = node.add("s/contact", Contact(reed, log, asleep, settings))
    node.add("s/contact/events", Events(log, seconds))
    lid = _lid(node, board)
    if lid is None:
        return (door,)
    return (door, node.add("s/tamper", Contact(lid, log, asleep, settings, LID)))


def _lid(node, board):
    """Return the Reed or Loop of the housing, or None."""
    pin_id = getattr(board, "TAMPER_ADC_PIN", None)
    if pin_id is not None:
        from sensors.supervised_loop import Loop

        return Loop(device.adc(pin_id))
    if board.TAMPER_PIN is None:
        return None
    return _reed(node, board.TAMPER_PIN, board.REED_PULL)


def _reed(node, pin_id, pull):
    """Return the Reed at a pin; /diag tells if its pull-up is missing."""
    is_internal = pull == "internal"
    options = {"hold": False} if sys.platform == "esp32" else {}  # of a pad held before a reset
    pin = Pin(pin_id, Pin.IN, Pin.PULL_UP if is_internal else None, **options)
    if not is_internal and lacks_pull_up(pin, time.sleep_ms):
        node.resource_at("diag").wiring += "GPIO{} has no pull-up ".format(pin_id)
    return Reed(pin)


def _seconds():
    return int(time.time()) & CLOCK_MASK
