"""Peers as bytes and back, so that observers survive a deep sleep.

A peer is packed bytes on unix, and on boards a tuple of host and port, with more numbers for IPv6.
No other file looks into a peer.
"""


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
