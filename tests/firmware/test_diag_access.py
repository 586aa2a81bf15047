"""Who may read /diag: the response is much longer than the request and tells the node's state."""

import board
from machine import clock

import credentials
from apps import device
from coap.numbers import CONTENT, GET, UNAUTHORIZED
from coap.presets import node_for_board
from config import Settings
from support import hexbytes
from support.engine import ask, request
from support.features import verify
from support.key_file import remove_keys, write_keys
from support.oscore_peer import End

HEAP = "2m"
FILE = "diag-access-test.json"
KEYS = {"secret": "a1a2a3a4a5a6a7a8a9aaabacadaeafb0", "sender_id": "01", "recipient_id": "02"}
START_MS = 1000


def made():
    """A board's node, with keys where there is a file of them."""
    board.power_on()
    clock.hold(0)
    node = node_for_board(board.SLOTS, board.RECV_MAX, 20, False, credentials.features(FILE, str))
    device.setup(node, board, Settings())
    node.seed(b"entropy!")
    return node


def test_without_keys_diag_requires_a_verified_peer():
    node = made()
    for path in ("diag", "diag/log"):
        assert ask(node, request(GET, path), "stranger", START_MS).code == UNAUTHORIZED
    verify(node, "known", START_MS)
    assert ask(node, request(GET, "diag"), "known", START_MS).code == CONTENT
    clock.release()


def test_with_keys_diag_requires_oscore():
    write_keys(FILE, KEYS)
    try:
        node = made()
        verify(node, "known", START_MS)
        for peer in ("stranger", "known"):
            assert ask(node, request(GET, "diag"), peer, START_MS).code == UNAUTHORIZED
        end = End(b"\x02", b"\x01", hexbytes(KEYS["secret"]), b"")
        message = ask(node, end.request(request(GET, "diag")), "phone", START_MS)
        assert end.inner(message).code == CONTENT
    finally:
        remove_keys(FILE)
    clock.release()
