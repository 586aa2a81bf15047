"""Makes a node on a serial line a CoAP server on this computer: `make slipmux DEV= PORT=`.

    coap-client -m get coap://127.0.0.1:5683/s/contact

No client speaks slipmux, and every client speaks UDP. The bridge takes datagrams on a port of
127.0.0.1, and what the node prints or says in diagnostic frames goes to the terminal.

Slipmux has no addresses: to the node, all clients are one peer, the line. It tells requests apart
by their message IDs, answers and observations by their tokens, and two clients may well choose the
same, for both need only be new to the client itself. So each client's message IDs and tokens are
replaced by ones of the bridge on the way to the node, and put back on the way to the client. What
repeats a message gets the same ID again, else the node would execute it twice. Message IDs that
the node gives pass unchanged, in both directions. Block-wise uploads of two clients to the same
resource at once remain one upload to the node, which then answers 4.08 to one of them.
"""

import codecs
import random
import select
import socket
import sys
import time
from array import array
from collections import OrderedDict

from coap.counters import NAMES
from coap.message import View
from coap.transports.polling import POLLIN, Poller
from coap.transports.slipmux import Slipmux
from host.device import Problem, baud_rate, check_ports
from host.serial_port import BAUD, find_device, open_port
from setup.console import Arguments

HOST = "127.0.0.1"
MESSAGE_BYTES = 1280  # longer ones are nobody's on such a line
CON, NON, ACK, RST = range(4)
EXCHANGE_LIFETIME_S = 247  # RFC 7252 section 4.8.2: a message ID means the same for so long
NAMES_KEPT = 4096
TOKEN_BYTES = 4
TOKEN_MAX = 8


class Names:
    """Numbers for what the clients name; of too many, those used longest ago are given anew.

    lifetime_s: after so long the same name is that of something else; None: never.
    """

    def __init__(self, limit, lifetime_s=None):
        self.limit = limit
        self.lifetime_s = lifetime_s
        self.next = random.randrange(limit)
        self.numbers = OrderedDict()  # owner: (number, when it was given)
        self.owners = {}

    def number(self, owner, now_s):
        """The number of an owner, a new one where it has none."""
        number, since_s = self.numbers.get(owner, (None, now_s))
        if number is not None and self.lifetime_s and now_s - since_s > self.lifetime_s:
            self._drop(owner)
            number = None
        if number is None:
            number = self._new(owner, now_s)
        self.numbers.move_to_end(owner)
        return number

    def owner(self, number):
        """Whose number it is, None: nobody's."""
        owner = self.owners.get(number)
        if owner is not None:
            self.numbers.move_to_end(owner)
        return owner

    def _new(self, owner, now_s):
        if len(self.numbers) >= NAMES_KEPT:
            self._drop(next(iter(self.numbers)))
        while self.next in self.owners:
            self.next = (self.next + 1) % self.limit
        number = self.next
        self.next = (self.next + 1) % self.limit
        self.numbers[owner] = (number, now_s)
        self.owners[number] = owner
        return number

    def _drop(self, owner):
        number, _ = self.numbers.pop(owner)
        del self.owners[number]


class Bridge:
    """Between clients and the line. `reply(data, address)` sends to a client.

    To Slipmux it is the node: it takes the messages, and answers at once where nobody wants them.
    """

    def __init__(self, reply, now_s=time.monotonic):
        self.reply = reply
        self.now_s = now_s
        self.mids = Names(1 << 16, EXCHANGE_LIFETIME_S)
        self.tokens = Names(1 << 8 * TOKEN_BYTES)
        self.view = View(MESSAGE_BYTES)
        self.counters = array("i", [0] * len(NAMES))
        self.last_error = ""
        self.answer = b""

    def to_line(self, data, address):
        """A client's datagram as the node gets it; None: it is not for the node."""
        if len(data) < 4 or data[0] >> 6 != 1 or len(data) > MESSAGE_BYTES:
            return None
        kind, length = data[0] >> 4 & 3, data[0] & 15
        if length > TOKEN_MAX or len(data) < 4 + length:
            if kind == CON:
                self.reply(b"\x70\0" + data[2:4], address)
            return None
        if kind in (ACK, RST):
            return data
        now_s = self.now_s()
        mid = self.mids.number((address, data[2:4]), now_s).to_bytes(2, "big")
        if not data[1]:
            return data[:2] + mid + data[4:]
        token = self.tokens.number((address, data[4 : 4 + length]), now_s)
        head = bytes((data[0] & 0xF0 | TOKEN_BYTES, data[1]))
        return head + mid + token.to_bytes(TOKEN_BYTES, "big") + data[4 + length :]

    def datagram(self, buf, n, _line, _now_ms):
        """Take a message of the node: the length of what it gets back at once, 0 for nothing."""
        data = bytes(buf[:n])
        if n < 4 or data[0] >> 6 != 1 or n < 4 + (data[0] & 15):
            return 0
        kind = data[0] >> 4 & 3
        address, data = self._for_client(data, kind)
        if address is not None:
            self.reply(data, address)
        elif kind in (CON, NON):
            self.answer = b"\x70\0" + data[2:4]  # nobody asked: it need not be sent again
            return 4
        return 0

    def _for_client(self, data, kind):
        """(address, data) of a message of the node; None as the address where nobody wants it."""
        mid = data[2:4]
        address = None
        if kind in (ACK, RST):
            owner = self.mids.owner(int.from_bytes(mid, "big"))
            if owner is None:
                return None, data
            address, mid = owner
        if not data[1]:
            return address, data[:2] + mid + data[4:]
        length = data[0] & 15
        owner = None
        if data[1] > 31 and length == TOKEN_BYTES:
            owner = self.tokens.owner(int.from_bytes(data[4 : 4 + length], "big"))
        if owner is None:
            return None, data
        address, token = owner
        head = bytes((data[0] & 0xF0 | len(token), data[1]))
        return address, head + mid + token + data[4 + length :]

    # What else Slipmux wants of a node

    def out(self, n):
        return self.answer[:n]

    def due(self, _now_ms):
        return 0

    def seed(self, _entropy):
        pass


class Terminal:
    """Shows what a node says; it must not steer the terminal."""

    def __init__(self, output):
        self.output = output
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def show(self, text):
        """Takes bytes, also parts of a character."""
        shown = self.decoder.decode(bytes(text)).replace("\r", "")
        self.output.write("".join(c if c.isprintable() or c in "\n\t" else "?" for c in shown))
        self.output.flush()


def work(argv):
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
    """A socket on the port. Raises Problem."""
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
    """Carries messages until the line ends. Raises Problem then."""
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
    raise Problem(f"{dev} is gone: plug the board in again and start anew")
