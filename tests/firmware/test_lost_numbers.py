"""Lost numbers: keys without their file of sequence numbers, restarted event numbers."""

import json
import os

import board

import battery_door
import credentials
from coap.numbers import CHANGED, CON, GET, PUT
from coap.presets import node_for_board
from support import expected_failure, hexbytes
from support.battery_stage import Stage, World
from support.engine import ask, decode, encode, request
from support.features import text
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


def remove(*paths):
    for path in paths:
        try:
            os.remove(path)
        except OSError:
            pass


class Keyed:
    """A node whose oscore.json is there, and whose file of numbers is not."""

    def __enter__(self):
        remove(FILE + credentials.NUMBERS)
        with open(FILE, "w") as file:
            json.dump(KEYS, file)
        self.said = []
        return self

    def __exit__(self, *_error):
        remove(FILE, FILE + credentials.NUMBERS, FILE + credentials.NUMBERS + ".new")

    def node(self):
        node = node_for_board(SLOTS, 1152, 0, False, credentials.features(FILE, self.said.append))
        node.seed(b"entropy!")
        node.done = []
        node.get("long")(lambda request, reply: text(900))
        node.put("s")(lambda request, reply: node.done.append(1))
        return node


@expected_failure("keys without numbers are taken for new ones")
def test_keys_without_numbers_are_a_fault_that_is_named():
    with Keyed() as keyed:
        node = keyed.node()
        end = End(b"\x02", b"\x01", hexbytes(KEYS["secret"]), hexbytes(KEYS["salt"]))
        ask(node, end.request(request(PUT, "s")))
        assert node.done == [], "executed under numbers that may have been used"
        assert [line for line in keyed.said if credentials.NUMBERS in line], (
            "the console names no fault"
        )


@expected_failure("Partial IVs begin at 0 again")
def test_no_partial_iv_is_used_again_after_the_numbers_are_lost():
    end = End(b"\x02", b"\x01", hexbytes(KEYS["secret"]), hexbytes(KEYS["salt"]))
    used = []
    with Keyed() as keyed:
        for _ in range(2):
            node = keyed.node()
            datagram = end.request(request(GET, "long"))
            for _ in range(2):  # the response to a repeat has a Partial IV of its own
                message = ask(node, datagram)
                if message is not None and message.all(OSCORE) and message.all(OSCORE)[0]:
                    piv = message.all(OSCORE)[0][1:]
                    assert piv not in used, "a nonce is used twice"
                    used.append(piv)
            remove(FILE + credentials.NUMBERS)


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


@expected_failure("the count of events begins at 1 again, and nothing tells them apart")
def test_events_after_a_loss_are_not_taken_for_earlier_ones():
    assert first_report(None) != first_report(b"")
