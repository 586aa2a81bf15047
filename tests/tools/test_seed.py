"""The random source of a simulated node, from which MIDs and Echo values come."""

import socket

from running import simulated

from support.engine import decode, encode

GET, NON, PATH = 1, 1, 11


def first_mid(*arguments):
    """Return the MID of the first message that a node makes."""
    with simulated(*arguments) as node:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(60)
            client.sendto(encode(NON, GET, 1, b"t", [(PATH, b"dev")]), ("127.0.0.1", node.port))
            return decode(client.recv(2048)).mid


def test_without_a_seed_nobody_can_predict_a_node():
    assert len({first_mid() for _ in range(3)}) > 1


def test_a_seed_repeats_a_node():
    assert first_mid("--seed", "7") == first_mid("--seed", "7")
