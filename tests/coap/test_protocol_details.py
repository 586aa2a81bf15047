"""Details of RFC 7252, RFC 7641 and RFC 7959 that a client sees only now and then."""

from coap.client import Client
from coap.numbers import ACK, CHANGED, CON, CONTENT, DELETE, GET, NON, POST, PUT
from coap.presets import default_extensions
from coap.resource import SEPARATE
from coap.resource_directory import RegistrationClient
from power.report import Report
from support import cases
from support.client_node import asking, piggyback, sent
from support.engine import Peer, ask, due, encode, request
from support.features import BLOCK1, BLOCK2, ETAG, Value, option, plain, register, seeded, text
from support.lossy_link import LossyLink

HEAP = "2m"
START_MS = 500000
URI_PATH = 11


# Observe


def test_a_new_state_has_a_new_mid_after_a_registration_was_renewed():
    """RFC 7641 section 4.5.2, RFC 7252 section 4.4."""
    node = seeded(*default_extensions())
    door = node.add("v", Value(b"closed", confirmable=True))
    assert register(node, now_ms=START_MS).code == CONTENT
    door.become(b"open")
    ((_, first),) = due(node, START_MS + 100)
    assert first.payload == b"open"  # and its ACK is lost
    assert register(node, now_ms=START_MS + 200).payload == b"open"
    door.become(b"closed")
    later = []
    for now_ms in range(START_MS + 300, START_MS + 30000, 100):
        later += [message for _, message in due(node, now_ms)]
    assert later and later[-1].payload == b"closed"
    for message in later:
        assert message.mid != first.mid or message.payload == first.payload, "taken for a repeat"


# A server that does not know Block1


@cases(0x44, 0x41)
def test_an_upload_of_which_one_block_was_taken_is_broken(code):
    node, client, told = asking()
    client.post("server", "v", bytes(3000), told)
    piggyback(node, sent(node), code)
    assert told.all[-1][0] == "broken transfer"


def test_a_report_of_which_one_block_was_taken_is_not_released():
    report = Report("server", "door-1")
    node = seeded(Client(1), report)
    report.send(bytes(3000))
    piggyback(node, sent(node), CHANGED)
    assert not report.released and report.error


# A resource directory that sends nonsense


class Nonsense:
    """A directory that returns `links` at the first discovery, and correct links later."""

    def __init__(self, links):
        self.links = links
        self.asked = []
        self.node = seeded(*default_extensions(), Client())
        self.wire = LossyLink()
        self.wire.join("node", self.node)
        self.wire.join("rd", Peer(self.wire, self.answer))
        self.directory = RegistrationClient(self.node, "rd", "door 1")

    def answer(self, message):
        if message.kind != CON:
            return None
        self.asked.append(message.code)
        code, options, payload = 0x44, [], b""
        if message.code == GET:
            code, options, payload = 0x45, [(12, b"\x28")], self.links
            self.links = b'</rd>;rt="core.rd"'
        elif message.code == POST:
            code, options = 0x41, [(8, b"rd"), (8, b"5")]
        elif message.code == DELETE:
            code = 0x42
        return encode(ACK, code, message.mid, message.token, options, payload)


@cases(
    b'</rd>;rt="core.rd\xff\xfe"',
    b"</" + b"a" * 300 + b">;rt=core.rd",
    b"</rd%zz%>;rt=core.rd",
    b"</\xc3\xa4?\xc3>;rt=core.rd",
)
def test_a_directory_that_recovers_is_registered_with(links):
    script = Nonsense(links)
    script.wire.run(3600000)
    assert script.asked.count(GET) >= 1
    assert script.directory.registered


# Responses


def test_a_long_separate_response_is_sent_in_blocks_or_is_an_error():
    node = seeded(*default_extensions())
    tickets = []

    @node.get("slow")
    def slow(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    assert plain(node, "slow", now_ms=START_MS).code == 0
    try:
        node.respond(tickets[0], text(2000))
        messages = due(node, START_MS + 100)
    except ValueError:
        raise AssertionError("it raises")
    assert len(messages) == 1, "silence"
    message = messages[0][1]
    if message.code == CONTENT:
        assert message.uint(BLOCK2) & 8 and message.payload == text(2000)[: len(message.payload)]
    else:
        assert message.code == 0xA0 and node.last_error


def test_a_datagram_that_is_too_long_is_told_to_come_in_blocks():
    """RFC 7959 section 2.9.3."""
    node = seeded(*default_extensions())
    node.add("v", Value())
    message = ask(node, request(PUT, "v", payload=bytes(1300)), now_ms=START_MS)
    assert message.code == 0x8D
    assert message.all(BLOCK1), "no Block1"


def test_the_etag_of_a_block_validates():
    node = seeded(*default_extensions())
    node.add("v", Value(text(2000)))
    first = plain(node, now_ms=START_MS)
    (tag,) = first.all(ETAG)
    assert first.uint(BLOCK2) & 8
    message = plain(node, now_ms=START_MS + 100, options=[(ETAG, tag)])
    assert (message.code, message.payload) == (0x43, b"")


@cases(
    (9, [(9, b"\1")]),  # OSCORE, without the extension
    (27, [(17, b""), (27, b"")]),  # Block1, without the extension
    (65001, [(65001, b"x")]),
    (301, [(15, b"q" * 20), (258, b""), (300, b"x" * 300), (301, b"")]),
    (17, [(17, b"abc")]),  # Accept has at most 2 bytes
    (3, [(3, b"")]),  # Uri-Host has at least one
    (7, [(7, b"\x16"), (7, b"\x16"), (65001, b"x")]),  # Uri-Port is not repeatable
    (5, [(1, b"a"), (1, b"b"), (5, b"x")]),
)
def test_a_bad_option_is_named(number, options):
    """RFC 7252 section 5.4.1."""
    node = seeded()
    node.add("v", Value())
    message = plain(node, now_ms=START_MS, options=options)
    assert (message.code, message.payload) == (0x82, b"option %d" % number)
    assert ask(node, request(GET, "v", NON, options=options)) is None


@cases(
    (0x84, GET, "absent", []),
    (0x85, POST, "v", []),
    (0x86, GET, "v", [option(17, 50)]),
    (0x8F, PUT, "v", [option(12, 50)]),
)
def test_an_error_says_why(code, method, path, options):
    """RFC 7252 section 5.5.2."""
    node = seeded(*default_extensions())
    node.add("v", Value(accepts=(0,), content_formats=(0,)))
    message = ask(node, request(method, path, options=options), now_ms=START_MS)
    assert message.code == code
    assert 0 < len(message.payload) <= 64
