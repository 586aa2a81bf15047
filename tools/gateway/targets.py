"""What a URI of the proxy means: the node, its path, and where a request for it goes.

A host is the name of a node, or the very address and port that a node has. Nothing else is
reached: no name is resolved, so no DNS answer, no address in another notation and no address of
another machine leads anywhere.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

from .mapping import Refused
from .store import Store

PORT = 5683
SEGMENT_MAX = 255  # bytes of a Uri-Path or Uri-Query option
# A node is never there: the services of a cloud's hypervisor are.
FORBIDDEN = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fd00:ec2::/32"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Target:
    """A resource of a node.

    Attributes:
        address: host and port of a node that is awake; None for one that sleeps: its mirror.
    """

    node: int
    ep: str
    address: str | None
    path: tuple[str, ...]
    query: tuple[str, ...]


def parse(rest: str, query: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return host and port, the segments of the path and the parts of the query, decoded.

    Args:
        rest: what follows `/hc/` in the URI, not decoded: `coap://door-1/s/contact`, without the
            scheme, or empty.
        query: the query of the URI, not decoded; with an empty `rest` it is `target_uri=`.

    Raises:
        Refused: 400, not the URI of a CoAP resource.
    """
    if not rest:
        found = re.fullmatch(r"target_uri=([^&]*)", query)
        if not found:
            raise Refused(400, "name a target: /hc/coap://NODE/PATH or /hc/?target_uri=")
        rest, query = unquote(found[1]), ""
    elif rest[:7].lower() == "coap%3a":
        rest = unquote(rest)
    if "#" in rest:
        raise Refused(400, "a target has no fragment")
    rest, mark, own_query = rest.partition("?")
    query = own_query if mark else query
    # A slash of two may have been lost on the way through another proxy.
    scheme = re.match(r"([a-z][a-z0-9+.-]*):/{1,2}", rest, re.IGNORECASE)
    if scheme:
        rest = rest[scheme.end() :]
    host, _, path = rest.partition("/")
    if not host or scheme and scheme[1].lower() != "coap":
        raise Refused(400, "a target is coap://NODE/PATH")
    segments = tuple(unquote(part) for part in path.split("/")) if path else ()
    queries = tuple(unquote(part) for part in query.split("&")) if query else ()
    for text in (*segments, *queries):
        if len(text.encode(errors="replace")) > SEGMENT_MAX or text in (".", ".."):
            raise Refused(400, "a segment is . or .. or longer than 255 bytes")
    return unquote(host), segments, queries


def endpoint(text: str) -> tuple[Address, int] | None:
    """Return address and port of `1.2.3.4`, `1.2.3.4:5`, `[fd00::2]:5` or `fd00::2`, else None.

    An IPv4 address within IPv6 is that IPv4 address; its other notations, like 2130706433 or
    0x7f.1, are none.
    """
    found = re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?|([^:]+)(?::(\d{1,5}))?", text)
    host, port = (found[1] or found[3], found[2] or found[4]) if found else (text, None)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address, int(port or PORT)


def is_forbidden(address: Address) -> bool:
    """Return True for an address that no node has, whatever it says."""
    return (
        address.is_multicast
        or address.is_unspecified
        or address == ipaddress.IPv4Address("255.255.255.255")
        or any(address in network for network in FORBIDDEN if network.version == address.version)
    )


def find(store: Store, rest: str, query: str, now_s: float) -> Target:
    """Return the target of a URI of the proxy.

    Raises:
        Refused: 400 no URI of a resource; 403 an address that is never a node's; 404 no node
            that is adopted or registered has this name or address.
    """
    host, path, queries = parse(rest, query)
    for node, ep, heard_at, awake_at in known(store, now_s):
        if host not in (ep, f"{ep}:{PORT}") and not _is_place(host, awake_at or heard_at):
            continue
        place = endpoint(awake_at)
        if awake_at and (place is None or is_forbidden(place[0])):
            raise Refused(403, "the address of this node is not one of a node")
        return Target(node, ep, awake_at or None, path, queries)
    raise Refused(404, "no node has this name or address: names are not resolved")


def known(store: Store, now_s: float) -> list[tuple[int, str, str, str]]:
    """Return (id, name, address of its last report, address while awake) of the nodes in reach.

    Awake is a node with a living registration; its address is that which the registration came
    from, not what it says of itself. Unknown addresses are "".
    """
    rows = store.read(
        "SELECT node.id, node.ep, node.addr, reg.addr FROM node LEFT JOIN reg "
        "ON reg.ep = node.ep AND reg.until > ? "
        "WHERE node.state = 'adopted' OR (node.state = 'new' AND reg.ep NOTNULL)",
        (now_s,),
    )
    return [(row[0], row[1], row[2] or "", row[3] or "") for row in rows]


def _is_place(host: str, address: str) -> bool:
    wanted = endpoint(host)
    return wanted is not None and bool(address) and wanted == endpoint(address)
