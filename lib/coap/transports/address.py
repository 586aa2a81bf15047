"""Peers as bytes and back, so that observers survive a deep sleep; and the hosts of peers.

A peer is packed bytes on unix, and on boards a tuple of host and port, with more numbers for IPv6.
No other file looks into a peer, but for coap.peers.host_key(), which takes the first item of a
tuple for the host: all that a board needs.
"""

import micropython


def pack(peer):
    """Return the peer as bytes. Raise ValueError for one that no transport has."""
    if isinstance(peer, bytes):
        return b"b" + peer
    if isinstance(peer, str):
        return b"s" + peer.encode()
    if isinstance(peer, tuple) and isinstance(peer[0], str):
        return b" ".join([b"t" + peer[0].encode()] + [b"%d" % number for number in peer[1:]])
    raise ValueError("a peer is bytes, str, or a tuple of str and int")


def unpack(packed):
    """Return the peer that was given to pack(). Raise ValueError for other bytes."""
    kind, rest = packed[:1], packed[1:]
    if kind == b"b":
        return rest
    if kind == b"s":
        return rest.decode()
    if kind == b"t":
        host, *numbers = rest.decode().split(" ")
        return (host,) + tuple([int(number) for number in numbers])
    raise ValueError("no packed peer")


def host_key(peer):  # hot
    """Return a number for the host of a peer, 1 to 2**29; for IPv6, of its /64 prefix."""
    if isinstance(peer, bytes):
        return _packed_key(peer, len(peer))
    host = peer
    if isinstance(peer, tuple):
        host = peer[0]
        if len(peer) > 2:
            host = _prefix(host)
    return (hash(host) & 0x1FFFFFFF) + 1


def _prefix(host):
    """Return the first 64 bits of an IPv6 address given as text; all of one that holds IPv4."""
    if host.lower().startswith("::ffff:"):
        return host[7:]
    head, gap, tail = host.partition("%")[0].partition("::")
    groups = head.split(":") if head else []
    if gap:
        rest = tail.split(":") if tail else []
        groups = groups + ["0"] * (8 - len(groups) - len(rest)) + rest
    return ":".join(groups[:4])


@micropython.viper
def _packed_key(peer: ptr8, n: int) -> int:
    """Return the number for a packed address: family, port, then 4 bytes of IPv4, or for IPv6 a
    flow label and 16 bytes.
    """
    at = 4
    end = 8
    if n > 24:
        at = 8
        end = 16
        i = 8
        zeros = 0
        while i < 18:
            zeros += 1 if peer[i] == 0 else 0
            i += 1
        if zeros == 10 and peer[18] == 255 and peer[19] == 255:
            at = 20  # IPv4 within IPv6
            end = 24
    key = 0
    while at < end:
        key = (key << 8 ^ key >> 21 ^ peer[at]) & 0x1FFFFFFF
        at += 1
    return key + 1
