"""List the CoAP nodes on the local network with the resources of each.

    make discover                       asks the group 224.0.1.187, which all nodes join
    make discover HOST=192.168.1.7      asks one node, where multicast does not pass

The multicast request goes out on a plain socket: any number of nodes responds, but aiocoap's
client returns one response to a request. The nodes' own client then fetches the whole list of each
node, block by block.
"""

import argparse
import os
import socket
import time

from aiocoap.util.linkformat import parse as parse_links
from aiocoap.util.vendored.link_header import ParseException

from coap.client import Client
from coap.message import MessageBuilder
from coap.node import Node
from coap.numbers import GET, LINK_FORMAT, NON, URI_PATH
from coap.transports.udp import Udp, peer
from setup.console import Arguments, Problem

GROUP = "224.0.1.187"
PORT = 5683
LEISURE_S = 5  # within which nodes respond to a multicast request (RFC 7252 section 8.2)
LIST_BYTES = 1 << 16
COLUMNS = ("resource", "type", "formats", "", "title")


def port_number(text):
    """Return a UDP port, for argparse."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not a UDP port (1 to 65535)")
    return int(text)


def seconds(text):
    """Return a time to wait, for argparse."""
    if not text.isdecimal() or not 0 < int(text) <= 600:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time in seconds (1 to 600)")
    return int(text)


def arguments(argv):
    """Return the command line as a namespace; end the program if it is wrong."""
    parser = Arguments(prog="discover", description="List the CoAP nodes on the network.")
    add = parser.add_argument
    add("--host", help="ask this node instead of the group")
    add("--port", type=port_number, default=PORT, help=f"UDP port of the nodes ({PORT})")
    add("--group", default=GROUP, help=f"IPv4 group to ask ({GROUP})")
    add("--iface", help="address of this computer's interface to ask on")
    add("--wait", type=seconds, default=LEISURE_S + 1, help="seconds to wait for responses (6)")
    options = parser.parse_args(argv)
    if options.host and options.iface:
        parser.error("--iface: is for the group, not for --host")
    return options


def work(argv):
    """Print the table. Raise Problem if no node responds."""
    options = arguments(argv)
    found = [address(options.host, options.port)] if options.host else ask_group(options)
    if not found:
        raise Problem(
            f"no node responds at {options.group} port {options.port}: start one, name this"
            " computer's address with IFACE=, or ask one node with HOST="
        )
    lists = fetch_lists(found, options.wait)
    if options.host and isinstance(lists[found[0]], str):
        raise Problem(f"{url(found[0])} does not list its resources: {lists[found[0]]}")
    for node in found:
        show(node, lists[node])


def address(host, port):
    """Return the address of a node. Raise Problem if the host is unknown."""
    try:
        return peer(host, port)
    except (OSError, UnicodeError):
        raise Problem(
            f"'{host}' is not a known host: give its address, HOST=192.168.1.7"
        ) from None


def ask_group(options):
    """Return the sorted addresses of all nodes that respond to a multicast request.

    Raises:
        Problem: the request cannot be sent.
    """
    found = set()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            if options.iface:
                iface = socket.inet_aton(options.iface)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, iface)
            token = os.urandom(4)
            sock.sendto(discovery_request(token), (options.group, options.port))
            end = time.monotonic() + options.wait
            while (left := end - time.monotonic()) > 0:
                sock.settimeout(left)
                data, sender = sock.recvfrom(2048)
                if len(data) > 8 and data[0] == 0x54 and data[4:8] == token:
                    found.add(sender)
    except TimeoutError:
        pass
    except OSError as error:
        raise Problem(f"cannot ask {options.group}: {error.strerror or error}; name an interface"
                      " of this computer by its address, IFACE=192.168.1.2") from None  # fmt: skip
    return sorted(found)


def discovery_request(token):
    """Return a non-confirmable GET /.well-known/core as bytes."""
    buffer = bytearray(64)
    writer = MessageBuilder(buffer).begin(NON, GET, int.from_bytes(os.urandom(2), "big"), token)
    writer.option(URI_PATH, b".well-known").option(URI_PATH, b"core")
    return bytes(buffer[: writer.n])


def fetch_lists(nodes, wait_s):
    """Return {address: the node's whole list as bytes, or a str that says why there is none}."""
    lists = {}

    def keep(node):
        """Return a callback that stores the response of this node."""

        def on_response(response):
            """Store the list, or why there is none."""
            good = not response.failure and response.code >> 5 == 2
            lists[node] = response.payload_bytes() if good else str(response)

        return on_response

    client = Client(len(nodes))
    udp = Udp(Node(client, exchanges=len(nodes)), "::" if len(nodes[0]) > 2 else "0.0.0.0", 0)
    try:
        for node in nodes:
            call = client.get(node, ".well-known/core", keep(node))
            call.accept = LINK_FORMAT
            call.into = bytearray(LIST_BYTES)
        end = time.monotonic() + wait_s
        while len(lists) < len(nodes) and time.monotonic() < end:
            udp.step(100)
    finally:
        udp.close()
    return {node: lists.get(node, "timeout") for node in nodes}


def show(node, links):
    """Print a node and its resources."""
    print(url(node))
    if isinstance(links, str):
        print(f"  does not list its resources: {links}")
        return
    try:
        rows = [COLUMNS, *(row(link) for link in parse_links(links.decode()).links)]
    except (ValueError, ParseException):
        print("  its list cannot be read")
        return
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(COLUMNS))]
    for cells in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("  " + line.rstrip())


def row(link):
    """Return the cells of a resource's row, without characters that steer the terminal."""
    values = dict(link.attr_pairs)
    observable = "obs" if "obs" in values else ""
    cells = (link.href, values.get("rt"), values.get("ct"), observable, values.get("title"))
    return ["".join(c if c.isprintable() else "?" for c in cell or "") for cell in cells]


def url(node):
    """Return the URL of an address, without the default port."""
    host = f"[{node[0]}]" if ":" in node[0] else node[0]
    return f"coap://{host}" + (f":{node[1]}" if node[1] != PORT else "")
