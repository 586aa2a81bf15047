"""A serial line to a board, and a CoAP client for a node that serves slipmux on it.

A line is a device, opened by pyserial on every system, or tcp://HOST:PORT: emulators offer their
UARTs as TCP ports or pseudo-terminals.
"""

import errno
import os
import select
import socket
import time

import serial
from serial.tools import list_ports

from coap.client import Client
from coap.node import Node
from coap.transports.slipmux import Slipmux, fcs16
from host.device import Problem

BAUD = 115200
TCP = "tcp://"
CONNECT_LIMIT_S = 5
WRITE_LIMIT_S = 2  # a board that accepts nothing for so long does not read
PINGS = 3
PING_LIMIT_S = 0.5
RESPONSE_LIMIT_S = 10
CON_EMPTY = 0x40
SLIPMUX_COAP = b"\xa9"
CONTROL = bytes(range(1, 32)) + b"\x7f\xc0\xdb"


def first_usb_device():
    """Return the first serial device on USB, None if there is none."""
    return min(
        (port.device for port in list_ports.comports() if port.vid is not None), default=None
    )


def find_device(dev):
    """Return `dev`, or for "auto" the first device on USB. Raise Problem if there is none."""
    found = first_usb_device() if dev == "auto" else dev
    if found is None:
        raise Problem("no board on USB: plug it in, or name the serial line with DEV=/dev/tty...")
    return found


def open_port(dev, baud=BAUD):
    """Open the line; return a stream with fileno(), readinto(), write() and close().

    Reading never blocks. Raise Problem if the line cannot be opened.
    """
    if dev.startswith(TCP):
        return _open_tcp(dev.removeprefix(TCP))
    try:
        return serial.Serial(dev, baud, timeout=0, write_timeout=WRITE_LIMIT_S, exclusive=True)
    except (OSError, ValueError) as error:
        raise Problem(
            f"cannot open {dev} ({reason(error)}): plug the board in, close other programs that"
            " use it, or name the line with DEV=/dev/tty... or DEV=tcp://host:port"
        ) from None


def reason(error):
    """Return in a few words why a line could not be opened."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and error.__context__ is not None:  # pyserial drops the errno of termios
        number, *_ = *error.__context__.args, None
    if number == errno.ENOTTY:
        return "it is no serial line"
    if number == errno.EAGAIN:
        return "another program uses it"
    return os.strerror(number) if isinstance(number, int) else str(error)


def _open_tcp(text):
    """Connect to HOST:PORT; return the connection as a stream. Raise Problem if it fails."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Problem(f"DEV={TCP}{text} names no port: it must be DEV=tcp://host:port")
    try:
        sock = socket.create_connection((host.strip("[]"), int(port)), CONNECT_LIMIT_S)
    except OSError as error:
        raise Problem(
            f"cannot connect to {TCP}{text} ({error.strerror or error}): start what listens there"
        ) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    stream = sock.makefile("rwb", buffering=0)
    sock.close()  # the stream keeps it open
    return stream


class PingingNode(Node):
    """A node that notes whether a ping of its own was reset, the response to a ping."""

    ponged = False

    def rejected(self, view):
        """Note the RST."""
        self.ponged = True


class SerialNode:
    """A node on a serial line, for one request after the other. Raise Problem as open_port()."""

    def __init__(self, dev):
        self.port = open_port(find_device(dev))
        self.client = Client(1)
        self.node = PingingNode(self.client)
        self.line = Slipmux(self.node, self.port, waits=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the line."""
        self.line.close()
        self.port.close()

    def responds(self):
        """Return True if a node responds to a ping. Without a node the line may lead to a REPL."""
        for _ in range(PINGS):
            self.line.send(harmless_ping())
            if self._wait(lambda: self.node.ponged, PING_LIMIT_S):
                return True
        return False

    def request(self, method, path, payload=b"", content_format=None):
        """Send a request; return (code, payload) of the response. Raise Problem if none comes."""
        got = []
        call = self.client.request(self.line, method, path, payload)
        if content_format is not None:
            call.content_format = content_format
        call.deliver_to(lambda response: got.append((response.code, response.payload_bytes())))
        if not self._wait(lambda: got, RESPONSE_LIMIT_S) or not got[0][0]:
            raise Problem("the node does not respond any more: reset it and try again")
        return got[0]

    def _wait(self, condition, limit_s):
        """Run the line until the condition or the limit; return the condition."""
        end = time.monotonic() + limit_s
        while not condition() and not self.line.ended and time.monotonic() < end:
            self.line.step(50)
        return condition()


def harmless_ping():
    """Return a ping whose frame has no control character but 0: a REPL would execute others."""
    for mid in range(0x2020, 0x7F7F):
        message = bytes((CON_EMPTY, 0)) + mid.to_bytes(2, "big")
        check = fcs16(SLIPMUX_COAP + message, 5, 0xFFFF) ^ 0xFFFF
        if not set(message + check.to_bytes(2, "little")) & set(CONTROL):
            return message
    raise AssertionError("no MID has such a checksum")


def find_node(dev):
    """Return the open SerialNode that responds on this line, None if there is none."""
    if not hasattr(select, "poll"):
        return None  # Windows
    try:
        node = SerialNode(dev)
    except Problem:
        return None
    if node.responds():
        return node
    node.close()
    return None
