"""Requests to a group (RFC 7252 section 8)."""

import os
import socket

from coap.numbers import CON, NON
from conformance.check import check, want, want_code
from conformance.client import Client, decode

LEISURE_S = 5.5
INTERFACE = "127.0.0.1"


class GroupClient(Client):
    """Sends to the group and receives from any address."""

    def __init__(self, group, port, clock):
        self.clock = clock
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        interface = socket.inet_aton(INTERFACE)
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        self.sock.bind((INTERFACE, 0))
        self.group = (group, port)
        self.mid = int.from_bytes(os.urandom(2), "big")
        self.others = []
        self.sender = None

    def raw(self, data):
        self.sock.sendto(data, self.group)

    def receive(self, seconds=LEISURE_S):
        if not self.clock.wait(self.sock, seconds):
            return None
        data, self.sender = self.sock.recvfrom(65536)
        return decode(data)


def member(subject, group):
    client = GroupClient(group, subject.server.address[1], subject.clock)
    subject.clients.append(client)
    return client


@check(
    "7252 8.2",
    "NON GET to the group: a response from the node's own address",
    ("group", "test"),
)
def asked(subject, group, test):
    client = member(subject, group)
    request = client.send(client.request("GET", test, kind=NON))
    response = client.reaction(request, LEISURE_S)
    want_code(response, "2.05")
    want(response.kind == NON, "not NON", response)
    want(client.sender == subject.server.address, f"from {client.sender}", response)


@check(
    "7252 8.1", "no response of the group to CON, no Reset, no errors, no PUT", ("group", "test")
)
def silent(subject, group, test):
    client = member(subject, group)
    client.send(client.request("GET", test, kind=CON))
    client.send(client.request("GET", "no/such", kind=NON))
    client.send(client.request("PUT", test, kind=NON, payload=b"to all"))
    client.raw(b"\x40\x00\x12\x34")
    client.raw(b"\x5f\x01\x12\x35")
    response = client.receive(LEISURE_S)
    want(response is None, "a response", response)


@check("6690 4", "discovery by the group: no response without a matching link", ("group", "link1"))
def discovered(subject, group, _):
    client = member(subject, group)
    client.send(client.request("GET", ".well-known/core?rt=nobody", kind=NON))
    request = client.send(client.request("GET", ".well-known/core?rt=Type1", kind=NON))
    response = client.reaction(request, LEISURE_S)
    want_code(response, "2.05")
    want(b"Type1" in response.payload, "without links", response)
    extra = client.others or [client.receive(1)]
    want(extra == [None], "a response without links", extra[0])
