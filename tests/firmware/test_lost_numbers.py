"""Lost numbers: keys without their file of sequence numbers, restarted event numbers."""

import json
import os

import board

import battery_door
import credentials
from coap.numbers import CHANGED, CON, CONTENT, GET, PUT, UNAUTHORIZED
from coap.oscore.first_numbers import first_numbers, limit_of
from coap.oscore.sequence_numbers import SequenceStore
from coap.presets import node_for_board
from support import cases, hexbytes
from support.battery_stage import Stage, World
from support.engine import ask, decode, due, encode, request
from support.features import text
from support.key_file import remove_keys, write_keys
from support.oscore_peer import OSCORE, End

HEAP = "4m"
FILE = "lost-numbers-test.json"
SLOTS = {"dedup_entries": 8, "exchanges": 2, "peers": 4, "observers": 2, "blocks": 1}
KEYS = {
    "secret": "a1a2a3a4a5a6a7a8a9aaabacadaeafb0",
    "salt": "9e7ca92223786340",
    "sender_id": "01",
    "recipient_id": "02",
}
ACK = 2


OTHERS = dict(KEYS, sender_id="07")
LOST = "sequence numbers lost: make new keys"


class Keyed:
    """A node whose oscore.json is there. numbers: those beside it, bytes, or None for no file."""

    def __init__(self, numbers=None, keys=KEYS):
        self.numbers = numbers
        self.keys = keys

    def __enter__(self):
        remove_keys(FILE)
        self.write(self.keys)
        if self.numbers is not None:
            credentials.Numbers(FILE + credentials.NUMBERS).save(self.numbers)
        self.said = []
        return self

    def __exit__(self, *_error):
        remove_keys(FILE)

    def write(self, keys):
        with open(FILE, "w") as file:
            json.dump(keys, file)

    def lose(self):
        try:
            os.remove(FILE + credentials.NUMBERS)
        except OSError:
            pass  # lost before

    def node(self):
        extensions = credentials.features(FILE, self.said.append)
        node = node_for_board(dict(SLOTS, requests=1), 1152, 0, False, extensions)
        node.seed(b"entropy!")
        node.done = []
        node.get("long")(lambda request, reply: text(900))
        node.put("s")(lambda request, reply: node.done.append(1))
        return node


def end():
    return End(b"\x02", b"\x01", hexbytes(KEYS["secret"]), hexbytes(KEYS["salt"]))


def first(*entries):
    """The first numbers of keys."""
    return first_numbers(credentials.make_contexts([credentials.check(one) for one in entries]))


@cases(
    None,
    b"",
    b"F1",
    b"F1" + bytes(20),
    first(KEYS)[:-1],
    first(),
    first(OTHERS),
)
def test_keys_without_their_numbers_are_a_fault_that_is_named(numbers):
    """In the log and in /diag; what is protected is refused, what is open is served."""
    with Keyed(numbers) as keyed:
        node = keyed.node()
        (line,) = keyed.said
        assert line.startswith("OSCORE: " + FILE + credentials.NUMBERS + ": " + LOST)
        assert "make keys" in line and "make provision" in line
        assert node.oscore.status == LOST
        for datagram in (request(PUT, "s"), end().request(request(PUT, "s"))):
            assert ask(node, datagram).code == UNAUTHORIZED
        assert node.done == [], "executed under numbers that may have been used"
        assert ask(node, request(GET, "long")).code == CONTENT


@cases(None, first(OTHERS))
def test_nothing_is_sent_to_the_gateway_without_its_protection(numbers):
    with Keyed(numbers) as keyed:
        node = keyed.node()
        credentials.protect(node, "gateway")
        told = []
        node.client.post("gateway", "r/door", b"open", lambda response: told.append(str(response)))
        assert due(node, 1000) == []
        assert told == ["not under OSCORE"] and node.last_error == LOST


def test_all_keys_are_refused_when_one_has_no_numbers():
    """As where a line was added to the file on a board."""
    with Keyed(first(KEYS), [KEYS, OTHERS]) as keyed:
        node = keyed.node()
        assert node.oscore.status == LOST and ask(node, request(PUT, "s")).code == UNAUTHORIZED


def test_the_first_numbers_are_good_for_one_start():
    with Keyed(first(KEYS)) as keyed:
        node = keyed.node()
        peer = end()
        assert keyed.said == [] and node.oscore.status == "1 contexts"
        assert peer.read(ask(node, peer.request(request(PUT, "s")))).code == CHANGED
        node = keyed.node()
        assert node.oscore.contexts[0].window.valid is False


def test_numbers_of_an_earlier_version_go_on():
    """Which wrote the limit 0 when the node had only received."""
    context = credentials.make_contexts([credentials.check(KEYS)])[0]
    with Keyed(first(KEYS)) as keyed:
        store = SequenceStore([context], credentials.Numbers(FILE + credentials.NUMBERS))
        assert limit_of(store.flash.load(), context) == bytes(4)
        node = keyed.node()
        assert node.oscore.status == "1 contexts" and not node.oscore.contexts[0].window.valid
        context.next_sequence_number()
        node = keyed.node()
        assert node.oscore.contexts[0].sequence_number == store.step


def test_new_keys_put_all_right():
    with Keyed(None) as keyed:
        keyed.node()
        new = dict(KEYS, id_context="00")
        write_keys(FILE, new)
        keyed.said.clear()
        node = keyed.node()
        assert keyed.said == [] and node.oscore.status == "1 contexts"
        keyed.write(KEYS)  # from a backup
        assert keyed.node().oscore.status == LOST


def test_no_partial_iv_is_used_again_after_the_numbers_are_lost():
    peer = end()
    used = []
    with Keyed(first(KEYS)) as keyed:
        for _ in range(2):
            node = keyed.node()
            datagram = peer.request(request(GET, "long"))
            for _ in range(2):  # the response to a repeat has a Partial IV of its own
                message = ask(node, datagram)
                if message is not None and message.all(OSCORE) and message.all(OSCORE)[0]:
                    piv = message.all(OSCORE)[0][1:]
                    assert piv not in used, "a nonce is used twice"
                    used.append(piv)
            keyed.lose()
        assert used


class Reports(World):
    """A gateway that takes all reports, and keeps them."""

    def __init__(self):
        super().__init__()
        self.payloads = []

    def heard(self, data):
        message = decode(data)
        if message.kind != CON:
            return None
        self.payloads.append(message.payload)
        return encode(ACK, CHANGED, message.mid, message.token)

    def passed(self):
        pass


def first_report(numbers):
    """The report of the first event of a node with nothing in its memory. numbers: of its file."""
    stage = Stage(FILE, Reports())
    world = stage.world
    try:
        if numbers is not None:
            with open(battery_door.NUMBERS_FILE, "wb") as file:
                file.write(numbers)
        world.live(battery_door)
        before = len(world.payloads)
        board.set_door(True)
        world.live(battery_door)
        assert len(world.payloads) == before + 1
        return world.payloads[-1]
    finally:
        stage.end()


def test_events_after_a_loss_are_not_taken_for_earlier_ones():
    assert first_report(None) != first_report(b"")
