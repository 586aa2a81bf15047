"""Membership in a multicast group, on a socket of its own (RFC 7252 sections 8.1 and 12.8).

A second socket, bound to the group's address, tells requests to the group from those to the node.
Ports differ: unix MicroPython before 1.27 has no name for IP_ADD_MEMBERSHIP, boards have no IPv6
groups, and on ESP32 and rp2 a membership is lost with the link: join() must be called again
(micropython issue 11294), as Udp.reopen() does.
"""

import socket

from micropython import const

from coap.transports.polling import ticks_ms

_IP_ADD_MEMBERSHIP = const(35)
_IP_MULTICAST_ALL = const(49)
_IPPROTO_IPV6 = const(41)
_IPV6_JOIN_GROUP = const(20)
_IPV6_MULTICAST_ALL = const(29)
ALL_NODES = "224.0.1.187"


class Group:
    """The node of `udp` in the group `address`; iface: the address of the interface, for IPv6 its
    number. Raise OSError when the group cannot be joined.
    """

    def __init__(self, udp, address=ALL_NODES, iface="0.0.0.0"):
        if udp.node.group is None:
            raise ValueError("give the node coap.multicast.Multicast() to answer to a group")
        self.udp = udp
        self.address = address
        self.iface = iface
        self.sock = None
        self.empty = False  # the last datagram was empty
        udp.groups.append(self)
        udp.reopen()
        if self.sock is None:
            udp.groups.remove(self)
            udp.reopen()
            raise OSError(udp.node.last_error)

    def join(self):
        """Open the socket and join the group; also after a loss of the link."""
        address = socket.getaddrinfo(self.address, self.udp.port)[0]
        sock = socket.socket(address[0], socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(self._scoped(address[-1]) if ":" in self.address else address[-1])
            if ":" in self.address:
                sock.setsockopt(_IPPROTO_IPV6, _IPV6_JOIN_GROUP, self._membership6())
            else:
                number = getattr(socket, "IP_ADD_MEMBERSHIP", _IP_ADD_MEMBERSHIP)
                sock.setsockopt(0, number, _packed(self.address) + _packed(self.iface))
        except (OSError, ValueError) as error:
            # ValueError: rp2 before 1.24.1 (micropython issue 16100)
            sock.close()
            raise OSError(*error.args)
        self.sock = sock
        self.udp.watch(sock, self.take)

    def leave(self):
        """Close the socket."""
        if self.sock is not None:
            self.udp.unwatch(self.sock)
            self.sock.close()
            self.sock = None

    def take(self, sock):
        """Give the datagram that waits to the node."""
        buf, peer = sock.recvfrom(self.udp.size)
        if buf:
            self.empty = False
            self.udp.node.group.arrive(buf, len(buf), peer, ticks_ms())
        elif self.empty:
            self.empty = False
            self.udp.reopen()  # empty twice in a row: the socket is dead, see udp.py
        else:
            self.empty = True

    def _scoped(self, address):
        # a link-local address needs the number of its interface
        number = int(self.iface) if self.iface.isdigit() else 0
        if isinstance(address, tuple):
            return address[:2] + (0, number)
        return bytes(address[:24]) + number.to_bytes(4, "little")  # unix: a struct sockaddr_in6

    def exclude(self, sock):
        """Keep the node's own socket from receiving multicast datagrams, as on Linux."""
        for level, number in ((0, _IP_MULTICAST_ALL), (_IPPROTO_IPV6, _IPV6_MULTICAST_ALL)):
            try:
                sock.setsockopt(level, number, bytes(4))
            except (OSError, ValueError, TypeError):
                pass  # only Linux has these options, one for each family

    def _membership6(self):
        number = int(self.iface) if self.iface.isdigit() else 0
        group = socket.inet_pton(socket.AF_INET6, self.address)  # pyright: ignore[reportAttributeAccessIssue]
        return group + number.to_bytes(4, "little")


def _packed(address):
    return bytes([int(part) for part in address.split(".")])
