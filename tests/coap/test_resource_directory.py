"""Registration with a resource directory, against one with a script (RFC 9176)."""

import coap.resource_directory as module
from coap.client import Client
from coap.counters import COUNT_HANDLER_ERRORS
from coap.link_format import WellKnownCore, listing
from coap.numbers import ACK, DELETE, GET, POST
from coap.resource_directory import RegistrationClient, find_target, first_links
from support import cases, raises
from support.engine import Peer, encode, uint
from support.features import Value, seeded
from support.lossy_link import LossyLink

HOUR_MS = 3600000


class Script:
    """A resource directory that records requests and sends scripted responses."""

    def __init__(self, path=b"rd", **settings):
        self.node = seeded(WellKnownCore(), Client())
        self.node.add("s/door", Value(b"open", rt="oic.r.sensor.contact"))
        self.wire = LossyLink()
        self.wire.join("node", self.node)
        self.wire.join("rd", Peer(self.wire, self.answer))
        self.path = path
        self.deaf = False
        self.lost = False
        self.refuses = 0
        self.requests = []  # (elapsed_ms, method, path, queries, payload)
        self.said = []
        self.directory = RegistrationClient(
            self.node, "rd", "door 1", on_change=self.on_change, **settings
        )

    def on_change(self, directory):
        self.said.append((directory.registered, directory.error))

    def answer(self, message):
        if self.deaf or message.kind:
            return None
        path = b"/".join(message.all(11))
        queries = message.all(15)
        self.requests.append((self.wire.elapsed_ms, message.code, path, queries, message.payload))
        code, options, payload = self.result(message, path)
        return encode(ACK, code, message.mid, message.token, options, payload)

    def result(self, message, path):
        if self.refuses:
            return self.refuses, [], b""
        if path == b".well-known/core":
            text = b'</x,y>;title="a,<b>",</%s>;ct=40;rt="core.rd core.x",</z>' % self.path
            return 0x45, [(12, b"\x28")], text
        if message.code == DELETE:
            return 0x42, [], b""
        if path == self.path:
            return 0x41, [(8, b"reg"), (8, b"7"), (8, b"")], b""
        if self.lost:
            self.lost = False
            return 0x84, [], b""
        return 0x44, [], b""

    def run(self, span_ms):
        """The requests that came in this time, as (method, path)."""
        first = len(self.requests)
        self.wire.run(span_ms)
        return [(method, path) for _, method, path, _, _ in self.requests[first:]]


def test_registration_and_refresh_at_half_the_lifetime():
    script = Script(lifetime_s=7200)
    assert script.run(1000) == [(GET, b".well-known/core"), (POST, b"rd")]
    _, _, _, queries, payload = script.requests[1]
    assert queries == [b"ep=door 1", b"lt=7200"]
    assert payload == b'</s/door>;rt="oic.r.sensor.contact";ct=0;obs'
    assert script.said == [(True, "")] and script.directory.location == "reg/7/"
    assert script.run(HOUR_MS - 2000) == []
    assert script.run(2000) == [(POST, b"reg/7/")]
    assert script.requests[2][3:] == ([], b"")
    assert script.run(10 * HOUR_MS) == [(POST, b"reg/7/")] * 10


def test_base_and_sector():
    script = Script(base="coap://[2001:db8::1]", sector="hall&2")
    script.run(1000)
    assert script.requests[1][3][2:] == [b"base=coap://[2001:db8::1]", b"d=hall&2"]


def test_a_lost_registration_is_made_again():
    script = Script(lifetime_s=7200)
    script.run(1000)
    script.lost = True
    assert script.run(HOUR_MS) == [(POST, b"reg/7/"), (POST, b"rd")]
    assert script.directory.registered and script.run(HOUR_MS) == [(POST, b"reg/7/")]


def test_stop_removes():
    script = Script()
    script.run(1000)
    script.directory.stop()
    assert script.run(1000) == [(DELETE, b"reg/7/")]
    assert script.said[-1] == (False, "")
    assert script.run(100 * HOUR_MS) == []


def test_stop_before_it_is_registered():
    script = Script()
    script.deaf = True
    script.run(500)
    script.directory.stop()
    assert script.node.client.has_free()
    script.deaf = False
    assert script.run(HOUR_MS) == []


def test_changed_registers_the_new_links():
    script = Script()
    script.run(1000)
    script.node.add("s/new", Value())
    script.directory.changed()
    assert script.run(1000) == [(POST, b"rd")]
    assert b"</s/new>" in script.requests[-1][4]


def test_new_resources_end_a_pause():
    script = Script()
    script.deaf = True
    script.run(24 * HOUR_MS)
    script.deaf = False
    script.directory.changed()
    assert script.run(1000) == [(GET, b".well-known/core"), (POST, b"rd")]
    assert script.said[-1] == (True, "")


def test_changed_with_simple_registration():
    script = Script(b".well-known/rd", simple=True)
    script.run(1000)
    script.directory.changed()
    assert script.run(1000) == [(POST, b".well-known/rd")]


def test_no_registration_after_stop():
    script = Script()
    script.run(1000)
    script.directory.stop()
    script.run(1000)
    script.directory.changed()
    assert script.run(HOUR_MS) == []


def test_new_resources_while_it_registers():
    script = Script()
    script.deaf = True
    script.run(100)
    script.node.add("s/new", Value())
    script.directory.changed()
    script.deaf = False
    script.run(10000)
    assert b"</s/new>" in script.requests[-1][4] and script.run(HOUR_MS) == []


def test_retries_to_an_absent_directory_back_off():
    script = Script()
    script.deaf = True
    script.run(24 * HOUR_MS)
    assert script.said == [(False, "timeout")]
    asked = [when for when, _, _, _ in script.wire.log]
    assert 50 < len(asked) < 400
    script.deaf = False
    script.run(2 * HOUR_MS)
    assert script.said[-1] == (True, "")


@cases((0x80, "4.00"), (0xA3, "5.03"))
def test_error_names_a_refusal(code, why):
    script = Script()
    script.refuses = code
    script.run(1000)
    assert script.said == [(False, why)]
    script.refuses = 0
    script.run(60000)
    assert script.said[-1] == (True, "")


def test_a_refresh_that_fails_is_tried_again():
    script = Script(lifetime_s=7200)
    script.run(1000)
    script.refuses = 0xA3
    script.run(HOUR_MS)
    assert script.directory.registered and script.directory.error == "5.03"
    script.refuses = 0
    script.run(60000)
    assert script.said[-1] == (True, "")


def test_without_memory_it_tries_later():
    script = Script()

    def full(node):
        raise MemoryError

    kept, module.listing = module.listing, full
    try:
        script.run(1000)
    finally:
        module.listing = kept
    assert script.said == [(False, "out of memory")] and script.node.client.has_free()
    script.run(10000)
    assert script.said[-1] == (True, "") and script.node.counters[COUNT_HANDLER_ERRORS] == 0


# A directory that does not take blocks


class Cutting(Script):
    """A directory that takes each datagram for the whole listing, or refuses blocks: `code`."""

    def __init__(self, code):
        super().__init__(lifetime_s=7200)
        self.code = code
        for i in range(40):
            self.node.add("sensors/number-%d" % i, Value(rt="oic.r.sensor.contact"))

    def result(self, message, path):
        if path == self.path and message.all(27):
            return self.code, [(8, b"reg"), (8, b"cut")] if self.code == 0x41 else [], b""
        return super().result(message, path)


@cases(0x41, 0x82, 0x88, 0x8D)
def test_a_directory_that_takes_no_blocks_gets_the_first_links(code):
    script = Cutting(code)
    assert script.run(10000) == [(GET, b".well-known/core"), (POST, b"rd"), (POST, b"rd")]
    payload = script.requests[2][4]
    assert 900 < len(payload) <= 1024 and listing(script.node).startswith(payload + b",")
    assert script.said == [(True, module._CUT)] and script.directory.location == "reg/7/"
    assert script.run(HOUR_MS) == [(POST, b"reg/7/")]
    script.directory.changed()
    assert script.run(1000) == [(POST, b"rd")] and script.requests[-1][4] == payload


def test_a_listing_of_one_block_is_not_cut():
    script = Script()
    script.refuses = 0x82
    script.run(1000)
    assert script.said == [(False, "4.02")] and not script.directory.cut


@cases((0, b""), (11, b""), (12, b"</a,b>;ct=40"), (22, b"</a,b>;ct=40"), (23, None))
def test_first_links(most, found):
    links = b'</a,b>;ct=40,</c>;t=","'
    assert first_links(links, most) == (links if found is None else found)


# What a directory may send


def unusable(script, at, code, options, payload):
    """Have the script send this at the first request for path `at`."""
    normal = script.result
    sent = []

    def result(message, path):
        if path == at and not sent:
            sent.append(path)
            return code, options, payload
        return normal(message, path)

    script.result = result
    return sent


@cases(
    (b"rd", 0x41, [(8, b""), (8, b"x")], b""),
    (b"rd", 0x41, [(8, b"%"), (8, b"\xff\xfe"), (20, b"&=%")], b""),
    (b"rd", 0x41, [(8, b"a" * 255)] * 6, b""),
    (b"rd", 0x41, [], b""),
    (b"reg/7/", 0x80, [], b""),
    (b"reg/7/", 0x85, [], b""),
    (b".well-known/core", 0x45, [], b"</" + b"a" * 1200 + b">;rt=core.rd"),
    (b".well-known/core", 0x45, [], b"<//rd>;rt=core.rd"),
    (b".well-known/core", 0x45, [], b"</rd?%>;rt=core.rd"),
)
def test_nothing_that_a_directory_sends_ends_the_registration(at, code, options, payload):
    script = Script(lifetime_s=7200)
    sent = unusable(script, at, code, options, payload)
    script.run(20 * HOUR_MS)
    assert sent and script.directory.registered
    script.requests = []
    script.run(2 * HOUR_MS)
    assert script.requests, "it is refreshed or made again"
    assert script.node.counters[COUNT_HANDLER_ERRORS] == 0


def test_a_response_without_end_holds_no_request():
    """A directory that sends one block of its response after the other, for ever."""
    script = Script(lifetime_s=7200)
    normal = script.result

    def result(message, path):
        if message.code != POST:
            return normal(message, path)
        num = (message.uint(23) or 0) >> 4
        return 0x41 if path == b"rd" else 0x44, [(8, b"reg"), (23, uint(num << 4 | 8))], bytes(16)

    script.result = result
    assert script.run(10000) == [(GET, b".well-known/core"), (POST, b"rd")]
    assert script.directory.registered and not script.node.client.active_count
    assert script.run(2 * HOUR_MS) == [(POST, b"reg")] * 2


def test_nothing_that_raises_ends_the_registration():
    """Each function below the steps, with each error, once."""
    names = ("_register", "_send", "_on_discovered", "_on_registered", "_on_refreshed", "_succeed")
    for name in names + ("_set_state", "on_change"):
        for error in (MemoryError, ValueError("odd"), RuntimeError("deep")):
            script = Script(lifetime_s=7200)
            real = getattr(script.directory, name)
            left = [1]

            def fail(*args, real=real, error=error, left=left):
                if left:
                    left.pop()
                    raise error
                return real(*args)

            def fail_to_send(*args, into=None, real=real, fail=fail, left=left):
                return fail(*args) if left else real(*args, into=into)

            setattr(script.directory, name, fail_to_send if name == "_send" else fail)
            script.run(3 * HOUR_MS)
            assert not left and script.directory.registered, name
            script.requests = []
            script.run(2 * HOUR_MS)
            assert script.requests, name


def test_simple_registration():
    script = Script(b".well-known/rd", simple=True, lifetime_s=7200)
    assert script.run(1000) == [(POST, b".well-known/rd")]
    assert script.requests[0][3:] == ([b"ep=door 1", b"lt=7200"], b"")
    assert script.run(HOUR_MS) == [(POST, b".well-known/rd")]
    assert script.said == [(True, "")]


def test_without_a_free_request_it_tries_later():
    script = Script()
    for _ in range(2):
        script.node.client.get("nobody", "x")
    script.run(1000)
    assert "requests" in script.said[0][1] and not script.requests
    script.run(200000)
    assert script.said[-1] == (True, "")


@cases(
    ({"ep": ""}, "1 to 63"),
    ({"ep": "x" * 64}, "1 to 63"),
    ({"lifetime_s": 59}, "lifetime_s"),
    ({"lifetime_s": 1000001}, "lifetime_s"),
)
def test_wrong_settings(settings, says):
    settings = dict({"ep": "x"}, **settings)
    assert says in str(raises(ValueError, RegistrationClient, seeded(Client()), "rd", **settings))


def test_without_a_client():
    assert "Client" in str(raises(ValueError, RegistrationClient, seeded(), "rd", "x"))


@cases(
    ('</rd>;rt="core.rd"', "/rd"),
    ("</rd>;rt=core.rd", "/rd"),
    ("</rd>;rt=core.rd;ct=40", "/rd"),
    ('</a>;rt="core.rd-lookup-res",</b>;rt="core.rd-lookup-ep core.rd"', "/b"),
    ('</a>;title="\\",<x>;rt=core.rd",</b>;rt="core.rd"', "/b"),
    ('</a>;rt="core.rdx"', None),
    ("", None),
    ("<", None),
    ("</a", None),
)
def test_find_target(text, target):
    assert find_target(text, "core.rd") == target


def test_links_leave_out_what_is_not_listed():
    node = seeded(WellKnownCore())
    node.add("a", Value(listed=False))
    node.add("b", Value(exists=False))
    node.add("c", Value())
    assert listing(node) == b"</c>;ct=0;obs"
