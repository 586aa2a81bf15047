"""Groups on real sockets of the loopback interface: who gets what, and from where."""

import os
import socket
import time

from coap.counters import COUNT_HANDLER_ERRORS, COUNT_REOPENED
from coap.link_format import WellKnownCore
from coap.multicast import Multicast
from coap.node import Node
from coap.numbers import CON, GET, NON
from coap.transports.group import ALL_NODES, Group
from coap.transports.udp import Udp
from support import cases, raises
from support.engine import decode, request

LOOPBACK = "127.0.0.1"
IP_MULTICAST_IF, IPV6_MULTICAST_IF = 32, 17
V4 = (ALL_NODES, LOOPBACK, LOOPBACK, "0.0.0.0")
V6_LINK = ("ff02::fd", "1", "::1", "::")
V6_SITE = ("ff05::fd", "1", "::1", "::")


class Site:
    """A node in a group on the loopback interface, and somebody who sends to it."""

    def __init__(self, group, iface, host, every):
        self.node = Node(Multicast(leisure_ms=50), WellKnownCore())
        self.asked = []
        self.node.get("v")(self._get)
        self.udp = _bound(self.node, every)
        self.group = Group(self.udp, group, iface)
        self.to_group = socket.getaddrinfo(group, self.udp.port)[0][-1]
        self.to_node = socket.getaddrinfo(host, self.udp.port)[0][-1]
        family = socket.getaddrinfo(host, self.udp.port)[0][0]
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        if ":" in group:
            self.to_group = self.group._scoped(self.to_group)
            self.sock.setsockopt(41, IPV6_MULTICAST_IF, (1).to_bytes(4, "little"))
        else:
            self.sock.setsockopt(0, IP_MULTICAST_IF, b"\x7f\0\0\1")

    def _get(self, request, reply):
        self.asked.append(request.token)
        return b"value"

    def send(self, to, datagram):
        self.sock.sendto(datagram, to)

    def answers(self, span_s=0.15):
        """What comes back within the span: [(message, from)]."""
        found = []
        end = _now_ms() + int(span_s * 1000)
        while _now_ms() < end:
            self.udp.step(5)
            try:
                data, peer = self.sock.recvfrom(2000)
            except OSError:
                continue
            found.append((decode(data), peer))
        return found

    def is_from_node(self, peer):
        """Was it sent by the node's own socket?"""
        if isinstance(peer, tuple):
            return peer[1] == self.udp.port and peer[0] == self.to_node[0]
        length = 8 if len(self.to_node) < 24 else 24  # port and address of struct sockaddr_in
        return bytes(peer[:length]) == bytes(self.to_node[:length])

    def close(self):
        self.udp.close()
        self.sock.close()


def _has_ipv6():
    try:
        address = socket.getaddrinfo("::1", 20000)[0]
        sock = socket.socket(address[0], socket.SOCK_DGRAM)
        sock.connect(address[-1])
        sock.close()
        return True
    except OSError:
        return False


def _now_ms():
    return time.ticks_ms() if hasattr(time, "ticks_ms") else time.monotonic_ns() // 1000000


def _bound(node, host):
    for _ in range(50):
        try:
            return Udp(node, host, 20000 + int.from_bytes(os.urandom(2), "big") % 30000)
        except OSError:
            pass  # taken
    raise AssertionError("no port is free")


def at(where, test):
    site = Site(*where)
    try:
        test(site)
    finally:
        site.close()


def test_a_request_to_the_group_is_answered_once_and_from_the_unicast_socket():
    def test(site):
        site.send(site.to_group, request(GET, "v", NON, token=b"g"))
        ((message, peer),) = site.answers()
        assert (message.kind, message.token, message.payload) == (NON, b"g", b"value")
        assert site.is_from_node(peer)
        # the socket of the node itself does not get it too
        assert site.asked == [b"g"]

    at(V4, test)


# Loopback has no route for IPv6 groups, so that only the membership is seen, and only on a
# machine that has IPv6 at all.
@cases((V4,), *[(where,) for where in (V6_LINK, V6_SITE) if _has_ipv6()])
def test_requests_to_the_node_itself_go_on(where):
    def test(site):
        site.send(site.to_node, request(GET, "v", CON, token=b"u"))
        ((message, peer),) = site.answers()
        assert (message.kind, message.payload) == (2, b"value") and site.is_from_node(peer)

    at(where, test)


def test_what_a_group_is_not_answered():
    def test(site):
        for datagram in (
            request(GET, "v", CON),
            request(GET, "none", NON),
            b"\x40\0\0\1",
            b"\x4f\1\0\1",
            b"x",
        ):
            site.send(site.to_group, datagram)
        assert site.answers() == [] and site.asked == []

    at(V4, test)


def test_an_empty_datagram_to_the_group_does_no_harm():
    def test(site):
        counters = site.node.counters
        before = counters[COUNT_REOPENED]
        for opened_anew in (0, 1):
            site.send(site.to_group, b"")
            assert site.answers() == []
            assert counters[COUNT_REOPENED] == before + opened_anew
        site.send(site.to_group, request(GET, "v", NON))
        assert len(site.answers()) == 1

    at(V4, test)


def test_after_a_loss_of_the_link_it_joins_again():
    def test(site):
        site.group.leave()
        site.send(site.to_group, request(GET, "v", NON))
        assert site.answers() == []
        site.udp.reopen()
        site.send(site.to_group, request(GET, "v", NON))
        assert len(site.answers()) == 1
        assert len(site.udp.watched) == 1

    at(V4, test)


def test_discovery():
    def test(site):
        site.send(site.to_group, request(GET, ".well-known/core", NON, options=[(15, b"href=/v")]))
        ((message, _),) = site.answers()
        assert message.payload == b"</v>;ct=0"

    at(V4, test)


def test_two_groups():
    def test(site):
        other = Group(site.udp, "224.0.1.188", LOOPBACK)
        site.send(site.to_group, request(GET, "v", NON, token=b"1"))
        site.send(
            socket.getaddrinfo(other.address, site.udp.port)[0][-1],
            request(GET, "v", NON, token=b"2"),
        )
        assert sorted([message.token for message, _ in site.answers()]) == [b"1", b"2"]

    at(V4, test)


@cases(("224.0.1.187", "203.0.113.7"), ("192.0.2.1", LOOPBACK))
def test_a_group_that_can_not_be_joined_is_an_error_and_the_node_goes_on(address, iface):
    def test(site):
        raises(OSError, Group, site.udp, address, iface)
        assert len(site.udp.groups) == 1
        site.send(site.to_group, request(GET, "v", NON))
        assert len(site.answers()) == 1
        site.send(site.to_node, request(GET, "v"))
        assert len(site.answers()) == 1
        assert site.node.counters[COUNT_HANDLER_ERRORS] == 0

    at(V4, test)


def test_a_node_without_the_feature_can_not_join():
    node = Node()
    udp = _bound(node, LOOPBACK)
    try:
        assert "Multicast()" in str(raises(ValueError, Group, udp))
        assert udp.groups == []
    finally:
        udp.close()


def test_an_ipv6_address_gets_the_number_of_its_interface():
    class Nowhere:
        iface = "3"

    assert Group._scoped(Nowhere(), ("ff02::fd", 5683, 0, 0)) == ("ff02::fd", 5683, 0, 3)
    packed = bytes(range(28))
    assert Group._scoped(Nowhere(), packed) == packed[:24] + b"\3\0\0\0"


def test_closing_gives_everything_back():
    def test(site):
        port = site.udp.port
        site.udp.close()
        assert site.group.sock is None and site.udp.watched == []
        again = Udp(Node(), "0.0.0.0", port)  # without SO_REUSEADDR
        again.close()

    at(V4, test)
