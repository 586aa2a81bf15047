"""OSCORE keys of a node: the key file, a node without it, sequence numbers in flash."""

import json

import config
import credentials
from coap.access import READ_ONLY
from coap.numbers import CHANGED, CONTENT, GET, PUT, UNAUTHORIZED
from coap.presets import node_for_board
from support import cases, hexbytes, raises
from support.engine import ask, request
from support.key_file import remove_keys, write_keys
from support.oscore_peer import End

HEAP = "2m"
FILE = "keys-test.json"
SLOTS = {"dedup_entries": 8, "exchanges": 2, "peers": 4, "observers": 2, "blocks": 1}
GOOD = {
    "secret": "a1a2a3a4a5a6a7a8a9aaabacadaeafb0",
    "salt": "9e7ca92223786340",
    "sender_id": "01",
    "recipient_id": "02",
}


def write(content):
    with open(FILE, "w") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))


def remove():
    remove_keys(FILE)


def node_of(say=None):
    said = []
    node = node_for_board(SLOTS, 1152, 0, False, credentials.features(FILE, say or said.append))
    node.said = said
    node.get("s")(lambda request, reply: b"open")
    node.put("s")(lambda request, reply: None)
    node.seed(b"entropy!")
    return node


def test_node_with_keys_serves_oscore():
    remove()
    write_keys(FILE, GOOD)
    node = node_of()
    end = End(b"\x02", b"\x01", hexbytes(GOOD["secret"]), hexbytes(GOOD["salt"]))
    assert ask(node, request(GET, "s")).code == CONTENT
    assert ask(node, request(PUT, "s")).code == UNAUTHORIZED
    assert end.read(ask(node, end.request(request(PUT, "s")))).code == CHANGED
    assert node.said == [] and node.oscore.status == "1 contexts"
    # after a loss of power it wants an Echo
    node = node_of()
    assert end.read(ask(node, end.request(request(PUT, "s")))).code == UNAUTHORIZED
    remove()


def test_several_security_contexts():
    remove()
    other = dict(GOOD, sender_id="0303", id_context="c0ffee", gateway=False)
    write_keys(FILE, [other, GOOD])
    node = node_of()
    assert [context.sender_id for context in node.oscore.contexts] == [b"\x03\x03", b"\x01"]
    credentials.protect(node, "gateway")
    assert node.oscore.context_of("gateway").sender_id == b"\x01"
    remove()


def test_node_without_keys_refuses_changes():
    remove()
    node = node_of()
    assert node.said == ["OSCORE: no keys-test.json: requests that change anything are refused"]
    assert ask(node, request(PUT, "s")).code == UNAUTHORIZED
    assert ask(node, request(GET, "s")).code == CONTENT
    assert node.oscore is None and node.access.status == "no keys"
    credentials.protect(node, "gateway")


@cases(
    ("", "must be JSON"),
    ('{"secret": "a1"', "must be JSON"),
    ("[1]", "must be a JSON object"),
    ("7", "must be JSON"),
    ("[" * 7000, "must be JSON"),
    ("[" * 30000, "has at most 8192 bytes"),
    (dict(GOOD, extra="1"), "extra: unknown field"),
    (dict(GOOD, secret="a1" * 15), "secret: must have 16"),
    (dict(GOOD, secret="a1" * 33), "secret: must have 16"),
    (dict(GOOD, secret="00" * 16), "secret: this one"),
    (dict(GOOD, secret="ab" * 16), "secret: this one"),
    (dict(GOOD, secret="0102030405060708090a0b0c0d0e0f10"), "secret: this one"),
    (dict(GOOD, secret="zz" * 16), "secret: must be a text"),
    (dict(GOOD, secret=7), "secret: must be a text"),
    (dict(GOOD, salt="abc"), "salt: must be a text"),
    (dict(GOOD, sender_id="01" * 8), "sender_id: has at most"),
    (dict(GOOD, recipient_id="01"), "recipient_id: must not"),
    (dict(GOOD, id_context="00" * 33), "id_context: has at most"),
    (dict(GOOD, gateway="yes"), "gateway: must be true"),
    ({"secret": GOOD["secret"], "sender_id": "01"}, "recipient_id: is missing"),
)
def test_invalid_key_file_is_refused_with_a_reason(content, why):
    remove()
    write(content)
    error = str(raises(ValueError, credentials.load, FILE))
    assert error.startswith(FILE + ": " + why), error
    assert GOOD["secret"] not in error
    node = node_of()
    assert node.access.status == error and ask(node, request(PUT, "s")).code == UNAUTHORIZED
    remove()


@cases(
    GOOD,
    dict(GOOD, recipient_id="03"),
    dict(GOOD, recipient_id="03", gateway=False),
    dict(GOOD, salt=GOOD["salt"] + "00"),
)
def test_contexts_sharing_a_sender_key_are_refused(other):
    remove()
    write([GOOD, dict(GOOD, sender_id="07"), other])
    error = str(raises(ValueError, credentials.load, FILE))
    assert error.startswith(FILE + ": sender_id: ") and GOOD["secret"] not in error
    node = node_of()
    assert node.oscore is None and node.said == ["OSCORE: " + error]
    assert node.access.status == error and ask(node, request(PUT, "s")).code == UNAUTHORIZED
    assert credentials.Numbers(FILE + credentials.NUMBERS).load() == b"", "nothing was counted"
    remove()


def test_contexts_sharing_less_are_accepted():
    remove()
    write_keys(
        FILE,
        [
            GOOD,
            dict(GOOD, id_context="00"),
            dict(GOOD, salt="01"),
            dict(GOOD, secret="a1" + "b2" * 15),
        ],
    )
    assert node_of().oscore.status == "4 contexts"
    remove()


def test_number_file_is_replaced_atomically():
    remove()
    store = credentials.Numbers(FILE + credentials.NUMBERS)
    assert store.load() == b""
    store.save(b"one")
    with open(FILE + credentials.NUMBERS + ".new", "wb") as file:
        file.write(b"tw")  # the power went here
    assert store.load() == b"one"
    store.save(b"two")
    assert store.load() == b"two"
    remove()


def test_new_keys_on_a_full_flash_are_not_used():
    """Since a restart would find their numbers unused again."""
    remove()
    write_keys(FILE, GOOD)

    def full(path, content):
        raise OSError(28)

    kept, config.replace_file = config.replace_file, full
    try:
        node = node_of()
    finally:
        config.replace_file = kept
    assert "28" in node.said[0] and node.oscore.status.startswith("sequence numbers lost")
    end = End(b"\x02", b"\x01", hexbytes(GOOD["secret"]), hexbytes(GOOD["salt"]))
    assert ask(node, end.request(request(PUT, "s"))).code == UNAUTHORIZED
    assert node_of().oscore.status == "1 contexts"
    remove()


def test_serial_peer_may_write_without_keys():
    remove()
    node = node_of()
    line = object()
    node.access.line = line
    assert ask(node, request(PUT, "s"), peer=line).code == CHANGED
    assert ask(node, request(PUT, "s"), peer="other").code == UNAUTHORIZED
    assert node.access.default == READ_ONLY
