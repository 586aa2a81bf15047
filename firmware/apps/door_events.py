"""Events of the contact: the resource /s/contact/events, and the report of a node on a battery.

A report is one SenML pack in CBOR:

    contact     true (open) or false, one record for each event, oldest first; without an event
                one for the present state
    tamper      true (the lid is off) or false, likewise one for each event, in the same order;
                without an event one if the lid is off
    contact_n   only with events: the number of the last; the others have those before it
    epoch       only with events: 8 hexadecimal digits, new when numbers begin again
    batt        percent left, where a battery is measured
    beat        only without events: seconds until the next report at the latest
    brown_outs  starts of the radio that ended in a reset, since the last report, if there were any
    lost        events that were evicted before they were reported; "unknown" when memory was
                lost or the contact was not watched, so that the count is not known

A receiver recognises a duplicate by epoch and number, and a gap by the numbers of two packs.
"""

from binascii import hexlify

from micropython import const

import senml
from apps import device
from coap import CoapError, Resource
from coap.numbers import BAD_REQUEST, SENML_CBOR, SENML_JSON
from power.event_log import CLOCK_MASK, LID, REASONS

_HALF = const(0x20000000)
_REPORT_MAX = const(512)  # bytes


class Events(Resource):
    """The kept events, each as contact/NUMBER with its age and contact/NUMBER/wake with the cause.

    Events of the lid are tamper/NUMBER. `?since=n` omits event n and those before it.
    """

    content_formats = (SENML_JSON, SENML_CBOR)
    rt = "mote.events"
    interface = "core.s"
    title = "edges of the contact"
    multicast = False

    def __init__(self, log, seconds):
        super().__init__()
        self._log = log
        self._seconds = seconds
        self._events = ()  # of the current response, for all its blocks
        self._now_s = 0

    def get(self, request, response):
        """Write the pack into the response, block by block."""
        if not response.offset:
            self._now_s = self._seconds()
            self._events = self._since(_number(request.query("since")))
        log = self._log
        pack = device.PACK
        pack.begin(response, response.content_format, 2 * len(self._events) + 3)
        pack.number(pack.field("contact_n", "count"), log.number)
        write_lost(pack, log.dropped, log.gaps)
        write_epoch(pack, log.epoch)
        for number, when_s, what in self._events:
            age_s = (self._now_s - when_s) & CLOCK_MASK
            age_s = age_s if age_s < _HALF else 0
            name = "{}/{}".format("tamper" if what >> 1 & LID else "contact", number)
            pack.boolean(pack.field(name), what & 1, -age_s)
            pack.string(pack.field(name + "/wake"), REASONS[what >> 1 & ~LID], -age_s)
        pack.end()

    def _since(self, since):
        events = self._log.events
        if since is None:
            return tuple(events)
        return tuple([event for event in events if 0 < (event[0] - since) & CLOCK_MASK < _HALF])


def report(log, batch, now_s, battery_pct, heartbeat_s, brown_outs=0):
    """Return the report of a batch of the event log, as bytes; battery_pct may be None."""
    first, last, dropped, gaps = batch
    count = (last - first + 1) & CLOCK_MASK
    events = [event for event in log.events if (event[0] - first) & CLOCK_MASK < count]
    pack = device.PACK
    sink = senml.Buffer(bytearray(_REPORT_MAX))
    is_off = not events and log.lid == 1
    records = len(events) + 2 if events else 2 + is_off
    records += (battery_pct is not None) + (dropped > 0 or gaps > 0) + (brown_outs > 0)
    state = pack.field("contact")
    lid = pack.field("tamper")
    pack.begin(sink, senml.CBOR, records)
    for _, when_s, what in events:
        age_s = (now_s - when_s) & CLOCK_MASK
        named = lid if what >> 1 & LID else state
        pack.boolean(named, what & 1, -age_s if age_s < _HALF else 0)
    if events:
        pack.number(pack.field("contact_n", "count"), last)
        write_epoch(pack, log.epoch)
    else:
        pack.boolean(state, log.level == 1)
        if is_off:
            pack.boolean(lid, True)
        pack.number(pack.field("beat", "s"), heartbeat_s)
    if battery_pct is not None:
        pack.number(pack.field("batt", "%EL"), battery_pct)
    if brown_outs:
        pack.number(pack.field("brown_outs", "count"), brown_outs)
    if dropped or gaps:
        write_lost(pack, dropped, gaps)
    pack.end()
    return bytes(sink.buf[: sink.n])


def write_epoch(pack, epoch, time_s=0):
    """Write the record `epoch`; epoch: 4 bytes."""
    pack.string(pack.field("epoch"), hexlify(epoch).decode(), time_s)


def write_lost(pack, dropped, gaps, time_s=0):
    """Write the record `lost`: how many events are missing, "unknown" after a gap."""
    if gaps:
        pack.string(pack.field("lost"), "unknown", time_s)
    else:
        pack.number(pack.field("lost", "count"), dropped, 0, time_s)


def _number(text):
    if text is None:
        return None
    if not text.isdigit() or len(text) > 10 or int(text) > CLOCK_MASK:
        raise CoapError(BAD_REQUEST, "since: must be an event number, 0 to {}".format(CLOCK_MASK))
    return int(text)
