"""Nodes that break rules of CoAP, one rule each, and the checks that have to fail for it.

A fault sits between a node and its socket and changes what comes and what goes, so that it breaks
a rule of the protocol whatever the engine looks like inside.
"""

import socket
import threading
import time

import node_app

from coap.numbers import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    ECHO,
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    NO_RESPONSE,
    NON,
    OBSERVE,
    OSCORE,
    PROXY_SCHEME,
    PROXY_URI,
    REQUEST_TAG,
    RST,
    URI_QUERY,
)
from conformance.client import EMPTY, Failed, decode

HOST = "127.0.0.1"
UNKNOWN_CRITICAL = 65001


class Fault:
    """No fault; others change `arriving` or `leaving`.

    Both take and return bytes; None loses the message. `responded` sees what the node sends back
    to a datagram, None for nothing, and may replace it.
    """

    copies = 1  # of what is sent
    all_are_one = False  # all senders are the same peer

    def arriving(self, data):
        return data

    def leaving(self, data):
        return data

    def responded(self, data, response):
        return response


class EditArriving(Fault):
    """Changes requests by a function of the Message, in place."""

    def __init__(self, edit):
        self.edit = edit

    def arriving(self, data):
        try:
            message = decode(data)
        except Failed:
            return data
        self.edit(message)
        return message.encode()


class EditLeaving(Fault):
    """Changes what the node sends by a function of the Message, in place; True loses it."""

    def __init__(self, edit):
        self.edit = edit

    def leaving(self, data):
        message = decode(data)
        return None if self.edit(message) else message.encode()


class NoDeduplication(Fault):
    """Executes what is repeated: every request gets another MID on its way in."""

    def __init__(self):
        self.mid = 0

    def arriving(self, data):
        self.own = data[2:4]
        if len(data) < 4 or not 0 < data[1] < 32:
            return data
        self.mid = (self.mid + 1) & 0xFFFF
        return data[:2] + self.mid.to_bytes(2, "big") + data[4:]

    def responded(self, data, response):
        if response and response[0] & 0x30 == 0x20:
            response = response[:2] + self.own + response[4:]
        return response


class Deaf(Fault):
    """Receives neither ACK nor RST."""

    def arriving(self, data):
        return None if data and data[0] & 0x20 else data


class Talkative(Fault):
    """Sends something back to everything."""

    def responded(self, data, response):
        return response or b"\x60\x45" + (data + bytes(4))[2:4]


class EndsByGet(Fault):
    """Takes a plain GET for the end of the observation before it."""

    def __init__(self):
        self.observing = self.asking = None

    def arriving(self, data):
        message = decode(data)
        self.asking = None
        if message.code == "0.01" and message.all(OBSERVE) == [b""]:
            self.observing = message.token
        elif message.code == "0.01" and self.observing:
            self.asking, message.token = message.token, self.observing
            message.options.append((OBSERVE, b"\1"))
        return message.encode()

    def responded(self, data, response):
        if response and self.asking is not None:
            message = decode(response)
            message.token = self.asking
            response = message.encode()
        return response


class Twice(Fault):
    """Sends everything twice."""

    copies = 2


class OneClient(Fault):
    """Does not tell clients apart."""

    all_are_one = True


def blind(*numbers):
    """Return a fault that does not see these options of requests."""

    def edit(message):
        message.options = [option for option in message.options if option[0] not in numbers]

    return EditArriving(edit)


def no_end(message):
    """Remove an Observe that ends an observation."""
    message.options = [option for option in message.options if option != (OBSERVE, b"\1")]


def coded(**codes):
    """Return a fault that sends other codes: coded(c205="5.00")."""

    def edit(message):
        message.code = codes.get("c" + message.code.replace(".", ""), message.code)

    return EditLeaving(edit)


def typed(**kinds):
    """Return a fault that sends messages of another type: typed(con=NON)."""

    def edit(message):
        message.kind = kinds.get(("con", "non", "ack", "rst")[message.kind], message.kind)

    return EditLeaving(edit)


def without(*numbers):
    """Return a fault that sends no such options; none at all when none is named."""

    def edit(message):
        message.options = [
            option for option in message.options if numbers and option[0] not in numbers
        ]

    return EditLeaving(edit)


def same_observe(message):
    """Let Observe stand still."""
    message.options = [
        (number, b"\x05" if number == OBSERVE else value) for number, value in message.options
    ]


def garbled(message):
    """Send another payload of the same length."""
    message.payload = b"?" * len(message.payload)


def short(message):
    """Send payloads without their last byte."""
    message.payload = message.payload[:-1]


def same_mid(message):
    """Send all NON messages with one MID."""
    if message.kind == NON:
        message.mid = 7


def another_token(message):
    """Send another token than the one that came."""
    message.token = message.token[:-1] + b"?" if message.token else b"?"


def unknown_option(message):
    """Send a critical option that no client knows."""
    if message.code != EMPTY:
        message.options.append((UNKNOWN_CRITICAL, b""))


def is_reset(message):
    """Return True for an RST."""
    return message.kind == RST


def is_empty_ack(message):
    """Return True for an empty ACK."""
    return (message.kind, message.code) == (ACK, EMPTY)


REFUSALS = {
    **{f"c{code}": "2.05" for code in (400, 401, 402, 404, 405, 406, 505)},
    "c408": "2.31",
    "c412": "2.04",
    "c413": "2.31",
    "c415": "2.04",
    "c422": "2.04",
}
SUCCESSES = {f"c{code}": "5.00" for code in (201, 202, 203, 204, 205, 231)}
CRITICAL = (UNKNOWN_CRITICAL, IF_MATCH, IF_NONE_MATCH, OSCORE, PROXY_URI, PROXY_SCHEME)

# What is broken: the fault, and the checks that it fails.
FAULTS = {
    "executes duplicates": (
        NoDeduplication(),
        "message.duplicate message.duplicate_non block.repeated",
    ),
    "all clients are one": (OneClient(), "message.other_port block.two"),
    "deaf": (Deaf(), "message.separate message.reset_response observe.reset observe.reset_non"),
    "a GET ends it": (EndsByGet(), "observe.plain_get"),
    "all twice": (Twice(), "observe.one_at_a_time"),
    "talkative": (
        Talkative(),
        """hostile.short hostile.version hostile.stray_ack hostile.stray_non hostile.non_format
        hostile.ack_request message.separate_non options.critical_non""",
    ),
    "blind to critical options": (
        blind(*CRITICAL),
        """options.critical options.critical_effect options.lengths options.proxy
        extensions.no_keys""",
    ),
    "blind to conditions": (
        blind(IF_MATCH, IF_NONE_MATCH, ETAG),
        """options.if_match options.if_match_any options.if_none_match options.validate
        extensions.patch_errors""",
    ),
    "blind to Accept": (
        blind(ACCEPT),
        """options.accept options.accept_more options.not_acceptable options.repeated
        extensions.problem""",
    ),
    "blind to blocks": (
        blind(BLOCK1, BLOCK2),
        """block.early block.small block.sizes block.any_order block.reserved block.beyond
        block.wrong_length block.size2 block.restarted""",
    ),
    "blind to Observe": (
        blind(OBSERVE),
        "observe.large observe.pumping patience.abandoned",
    ),
    "blind to Echo": (blind(ECHO), "extensions.echo"),
    "blind to No-Response": (
        blind(NO_RESPONSE),
        "extensions.no_response extensions.no_response_con extensions.no_response_separate",
    ),
    "blind to Request-Tag": (blind(REQUEST_TAG), "extensions.request_tag"),
    "blind to queries": (
        blind(URI_QUERY),
        """link.rt link.rt_any link.rt_several link.interface link.size link.href link.href_prefix
        link.content_format link.no_prefix""",
    ),
    "accepts all": (
        coded(**REFUSALS),
        """methods.not_allowed methods.not_found methods.whole_segments methods.create
        options.diagnostic options.host_lengths extensions.fetch_format extensions.echo_wrong
        extensions.other_classes observe.deleted observe.error observe.other_format
        observe.by_name block.gap block.too_large""",
    ),
    "fails all": (
        coded(**SUCCESSES),
        """methods.con_delete methods.con_post methods.non_delete methods.non_post
        methods.delete_absent methods.queries methods.segments options.elective options.host
        options.many extensions.tag_alone extensions.patch observe.not_observable
        message.lost_piggybacked""",
    ),
    "no options": (
        without(),
        """methods.con_get methods.non_get methods.location_path methods.location_query link.core
        link.observable link.hierarchy block.late""",
    ),
    "no Block1 in responses": (without(BLOCK1), "block.put block.put_sizes"),
    "no end of observations": (EditArriving(no_end), "observe.deregister"),
    "Observe stands still": (
        EditLeaving(same_observe),
        "observe.con observe.non observe.newest observe.again",
    ),
    "no RST": (
        EditLeaving(is_reset),
        "hostile.pinged hostile.token_length hostile.token_cut hostile.marker hostile.nibble",
    ),
    "ACK for RST": (
        typed(rst=ACK),
        """hostile.option_cut hostile.option_number hostile.empty hostile.classes
        hostile.stray_con""",
    ),
    "CON for all": (typed(non=CON, ack=CON), "message.piggybacked message.lost_ack"),
    "no empty ACK": (EditLeaving(is_empty_ack), "message.lost_separate"),
    "same MID": (EditLeaving(same_mid), "message.non"),
    "another token": (EditLeaving(another_token), "message.tokens"),
    "unknown options": (EditLeaving(unknown_option), "options.ascending"),
    "garbled payload": (
        EditLeaving(garbled),
        """methods.con_put methods.non_put observe.updated observe.several block.untouched
        extensions.fetch""",
    ),
    "short payload": (
        EditLeaving(short),
        "block.create block.both_ways block.single block.one_block",
    ),
}


class BrokenNode:
    """A node with the plugtest's resources and a fault, served in a thread."""

    def __init__(self, fault):
        self.fault = fault
        self.node = node_app.make_node()
        node_app.setup(self.node)
        self.node.seed(b"12345678")
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.settimeout(0.02)
        self.address = self.sock.getsockname()
        self.ended = False
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.sock.close()

    def _serve(self):
        node = self.node
        while not self.ended:
            try:
                data, peer = self.sock.recvfrom(2048)
            except (TimeoutError, ConnectionRefusedError):
                data = None
            now_ms = time.monotonic_ns() // 1000000 & 0x3FFFFFFF
            if data is not None:
                arrived = self.fault.arriving(data)
                response = None
                if arrived is not None:
                    who = "all" if self.fault.all_are_one else peer
                    n = node.datagram(arrived, len(arrived), who, now_ms)
                    response = bytes(node.tx_view(n)) if n else None
                self._send(self.fault.responded(data, response), peer)
            while n := node.due(now_ms):
                self._send(bytes(node.tx_view(n)), node.peer)

    def _send(self, data, peer):
        data = data and self.fault.leaving(data)
        if data:
            for _ in range(self.fault.copies):
                self.sock.sendto(data, peer)
