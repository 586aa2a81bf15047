"""What the contact did: /s/contact/events for who asks, and the report for who is told.

A report is one SenML pack in CBOR:

    contact     true (open) or false, one record for each event, oldest first; without an event
                one for the present state
    tamper      true (the lid is off) or false, likewise one for each event, in its turn; without
                an event one if it is off
    contact_n   only with events: the number of the last; the others have those before it
    batt        percent left, where a battery is measured
    beat        only without events: seconds until the next report at the latest
    lost        events that were pushed out before they were told; "unknown" when memory was lost
                or the contact was not watched, so that nobody can say how many are missing

A receiver knows a repeat by its number, and a gap between two packs by theirs.
"""

from micropython import const

import senml
from apps import device
from coap import CoapError, Resource
from coap.numbers import BAD_REQUEST, SENML_CBOR, SENML_JSON
from power.event_log import CLOCK_MASK, LID, REASONS

_HALF = const(0x20000000)
_REPORT_MAX = const(512)  # bytes


class Events(Resource):
    """The events that are kept, each as contact/NUMBER with its age and contact/NUMBER/wake with
    what made the node look, those of the lid as tamper/NUMBER; `?since=n` leaves out n and those
    before it.
    """

    content_formats = (SENML_JSON, SENML_CBOR)
    rt = "mote.events"
    interface = "core.s"
    title = "edges of the contact"
    multicast = False

    def __init__(self, journal, seconds):
        super().__init__()
        self._journal = journal
        self._seconds = seconds
        self._taken = ()  # the blocks of one answer belong together
        self._now_s = 0

    def get(self, request, reply):
        if not reply.offset:
            self._now_s = self._seconds()
            self._taken = self._since(_number(request.query("since")))
        journal = self._journal
        pack = device.PACK
        pack.begin(reply, reply.content_format, 2 * len(self._taken) + 2)
        pack.number(pack.field("contact_n", "count"), journal.number)
        write_lost(pack, journal.dropped, journal.blanks)
        for number, when_s, what in self._taken:
            age_s = (self._now_s - when_s) & CLOCK_MASK
            age_s = age_s if age_s < _HALF else 0
            name = "{}/{}".format("tamper" if what >> 1 & LID else "contact", number)
            pack.boolean(pack.field(name), what & 1, -age_s)
            pack.string(pack.field(name + "/wake"), REASONS[what >> 1 & ~LID], -age_s)
        pack.end()

    def _since(self, since):
        events = self._journal.events
        if since is None:
            return tuple(events)
        return tuple([event for event in events if 0 < (event[0] - since) & CLOCK_MASK < _HALF])


def report(journal, offer, now_s, charge_pct, beat_s):
    """The pack that tells what a journal offers, as bytes; charge_pct may be None."""
    first, last, dropped, blanks = offer
    told = (last - first + 1) & CLOCK_MASK
    events = [event for event in journal.events if (event[0] - first) & CLOCK_MASK < told]
    pack = device.PACK
    sink = senml.Buffer(bytearray(_REPORT_MAX))
    is_off = not events and journal.lid == 1
    records = len(events) + 1 if events else 2 + is_off
    records += (charge_pct is not None) + (dropped > 0 or blanks > 0)
    state = pack.field("contact")
    lid = pack.field("tamper")
    pack.begin(sink, senml.CBOR, records)
    for _, when_s, what in events:
        age_s = (now_s - when_s) & CLOCK_MASK
        named = lid if what >> 1 & LID else state
        pack.boolean(named, what & 1, -age_s if age_s < _HALF else 0)
    if events:
        pack.number(pack.field("contact_n", "count"), last)
    else:
        pack.boolean(state, journal.level == 1)
        if is_off:
            pack.boolean(lid, True)
        pack.number(pack.field("beat", "s"), beat_s)
    if charge_pct is not None:
        pack.number(pack.field("batt", "%EL"), charge_pct)
    if dropped or blanks:
        write_lost(pack, dropped, blanks)
    pack.end()
    return bytes(sink.buf[: sink.n])


def write_lost(pack, dropped, blanks, time_s=0):
    """The record that says how many events are missing: never 0 when nobody knows."""
    if blanks:
        pack.string(pack.field("lost"), "unknown", time_s)
    else:
        pack.number(pack.field("lost", "count"), dropped, 0, time_s)


def _number(text):
    if text is None:
        return None
    if not text.isdigit() or len(text) > 10 or int(text) > CLOCK_MASK:
        raise CoapError(BAD_REQUEST, "since: a number of an event, 0 to {}".format(CLOCK_MASK))
    return int(text)
