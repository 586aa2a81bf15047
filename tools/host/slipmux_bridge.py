"""Make a node on a serial line a CoAP server on this computer: `make slipmux DEV= PORT=`.

    coap-client -m get coap://127.0.0.1:5683/s/contact

CoAP clients speak UDP, none speaks slipmux. The bridge receives datagrams on a port of 127.0.0.1;
the node's console and diagnostic frames go to the terminal.

Slipmux has no addresses: to the node, all clients are one endpoint, the line. The node
distinguishes requests by MID, responses and observations by token, and two clients may choose the
same. The bridge therefore replaces each client's MIDs and tokens by its own on the way to the
node, and restores them on the way back. A retransmission gets the same MID again, so the node
deduplicates it. MIDs of messages that the node originates pass unchanged. Block-wise uploads of
two clients to one resource at the same time remain one upload to the node, which then responds
4.08 to one.
"""

import codecs
import random
import select
import socket
import sys
import time
from array import array
from collections import OrderedDict

from coap.counters import COUNTER_NAMES
from coap.message import MessageView
from coap.transports.polling import POLLIN, Poller
from coap.transports.slipmux import Slipmux
from host.device import Problem, baud_rate, check_ports
from host.serial_port import BAUD, find_device, open_port
from setup.console import Arguments

HOST = "127.0.0.1"
MESSAGE_BYTES = 1280  # longer messages are dropped: no node on a line receives them
CON, NON, ACK, RST = range(4)
EXCHANGE_LIFETIME_S = 247  # RFC 7252 section 4.8.2: a client may use a MID again after this
TABLE_ENTRIES = 4096
TOKEN_BYTES = 4
TOKEN_MAX = 8


class NumberTable:
    """Numbers below `limit` for keys; a full table reuses the number used longest ago.

    A key that is older than `lifetime_s` gets a new number; None: never.
    """

    def __init__(self, limit, lifetime_s=None):
        self.limit = limit
        self.lifetime_s = lifetime_s
        self.next = random.randrange(limit)
        self.numbers = OrderedDict()  # key: (number, time of its assignment)
        self.keys = {}

    def number(self, key, now_s):
        """Return the number of a key; assign one if it has none."""
        number, since_s = self.numbers.get(key, (None, now_s))
        if number is not None and self.lifetime_s and now_s - since_s > self.lifetime_s:
            self._remove(key)
            number = None
        if number is None:
            number = self._assign(key, now_s)
        self.numbers.move_to_end(key)
        return number

    def key(self, number):
        """Return the key of a number, None if it has none."""
        key = self.keys.get(number)
        if key is not None:
            self.numbers.move_to_end(key)
        return key

    def _assign(self, key, now_s):
        """Give a key the next free number and return that."""
        if len(self.numbers) >= TABLE_ENTRIES:
            self._remove(next(iter(self.numbers)))
        while self.next in self.keys:
            self.next = (self.next + 1) % self.limit
        number = self.next
        self.next = (self.next + 1) % self.limit
        self.numbers[key] = (number, now_s)
        self.keys[number] = key
        return number

    def _remove(self, key):
        """Free a key's number."""
        number, _ = self.numbers.pop(key)
        del self.keys[number]


class Bridge:
    """Translate messages between clients and the line; `send(data, address)` reaches a client.

    To Slipmux it is a Node: it receives the node's messages, and resets those for no client.
    """

    def __init__(self, send, now_s=time.monotonic):
        self.send = send
        self.now_s = now_s
        self.mids = NumberTable(1 << 16, EXCHANGE_LIFETIME_S)
        self.tokens = NumberTable(1 << 8 * TOKEN_BYTES)
        self.view = MessageView(MESSAGE_BYTES)
        self.counters = array("i", [0] * len(COUNTER_NAMES))
        self.last_error = ""
        self.reset = b""

    def to_line(self, data, address):
        """Return a client's datagram as the node receives it, None if the node must not."""
        if len(data) < 4 or data[0] >> 6 != 1 or len(data) > MESSAGE_BYTES:
            return None
        kind, length = data[0] >> 4 & 3, data[0] & 15
        if length > TOKEN_MAX or len(data) < 4 + length:
            if kind == CON:
                self.send(reset_of(data), address)
            return None
        if kind in (ACK, RST):
            return data
        now_s = self.now_s()
        mid = self.mids.number((address, data[2:4]), now_s).to_bytes(2, "big")
        if not data[1]:
            return data[:2] + mid + data[4:]
        token = self.tokens.number((address, data[4 : 4 + length]), now_s)
        start = bytes((data[0] & 0xF0 | TOKEN_BYTES, data[1]))
        return start + mid + token.to_bytes(TOKEN_BYTES, "big") + data[4 + length :]

    def datagram(self, buf, n, _line, _now_ms):
        """Receive a message of the node; return the length of the RST to send at once, or 0."""
        data = bytes(buf[:n])
        if n < 4 or data[0] >> 6 != 1 or n < 4 + (data[0] & 15):
            return 0
        kind = data[0] >> 4 & 3
        address, data = self._for_client(data, kind)
        if address is not None:
            self.send(data, address)
        elif kind in (CON, NON):
            self.reset = reset_of(data)
            return 4
        return 0

    def _for_client(self, data, kind):
        """Return (client's address, or None if there is none, the message for it)."""
        mid = data[2:4]
        address = None
        if kind in (ACK, RST):
            client = self.mids.key(int.from_bytes(mid, "big"))
            if client is None:
                return None, data
            address, mid = client
        if not data[1]:
            return address, data[:2] + mid + data[4:]
        length = data[0] & 15
        client = None
        if data[1] > 31 and length == TOKEN_BYTES:
            client = self.tokens.key(int.from_bytes(data[4 : 4 + length], "big"))
        if client is None:
            return None, data
        address, token = client
        start = bytes((data[0] & 0xF0 | len(token), data[1]))
        return address, start + mid + token + data[4 + length :]

    def tx_view(self, n):
        """Return the n bytes to send at once."""
        return self.reset[:n]

    def due(self, _now_ms):
        """Do nothing: a bridge has no timers. Return 0."""
        return 0

    def seed(self, _entropy):
        """Do nothing: a bridge makes no MIDs of its own."""


def reset_of(data):
    """Return the RST of a message (RFC 7252 section 4.3)."""
    return b"\x70\0" + data[2:4]


class Terminal:
    """Show what a node prints, without characters that steer the terminal."""

    def __init__(self, output):
        self.output = output
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def show(self, text):
        """Print bytes, which may end within a character."""
        shown = self.decoder.decode(bytes(text)).replace("\r", "")
        self.output.write("".join(c if c.isprintable() or c in "\n\t" else "?" for c in shown))
        self.output.flush()


def work(argv):
    """Run the bridge. Raise Problem if it cannot start, and when the line ends."""
    parser = Arguments(prog="slipmux", description=__doc__.splitlines()[0])
    parser.add_argument("dev", nargs="?", default="auto", help="serial device, tcp://HOST:PORT")
    parser.add_argument("--port", default="5683", help="UDP port on 127.0.0.1; 0: any")
    parser.add_argument("--baud", type=baud_rate, default=BAUD, help=f"bits per second ({BAUD})")
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    if not hasattr(select, "poll"):
        raise Problem("this system has no poll(): run the bridge on Linux, macOS or WSL")
    dev = find_device(options.dev)
    with bound(int(options.port or 0)) as sock, open_port(dev, options.baud) as port:
        serve(sock, port, dev)


def bound(port):
    """Return a socket bound to the port. Raise Problem if the port cannot be bound."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise Problem(
            f"cannot listen on port {port} ({error.strerror}): name another, PORT=5684"
        ) from None
    sock.setblocking(False)
    return sock


def serve(sock, port, dev):
    """Forward messages until the line ends; then raise Problem."""
    bridge = Bridge(sock.sendto)
    line = Slipmux(bridge, port, waits=False, text=Terminal(sys.stdout).show)
    poller = Poller()
    poller.register(sock, POLLIN)
    poller.register(port, POLLIN)
    print(f"ready coap://{HOST}:{sock.getsockname()[1]} over {dev}", flush=True)
    while not line.ended:
        for ready, _ in poller.ipoll(-1):
            if ready is port:
                line.take(port)
            elif data := bridge.to_line(*sock.recvfrom(2 * MESSAGE_BYTES)):
                line.send(data)
    raise Problem(f"{dev} is gone: plug the board in again and restart the bridge")
