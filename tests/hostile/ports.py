"""A port of this computer that speaks CoAP by the tests' own codec, with keys or without."""

import socket
import time

from support.engine import decode, encode, next_mid, request
from support.oscore_peer import End

ACK, NON = 2, 1
GET = 1
ECHO = 252
UNAUTHORIZED = 0x81
PATIENCE_S = 0.5
TRIES = 4


class Port:
    """A UDP port at `host` that talks to the node at `port` of 127.0.0.1."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, datagram):
        """Send a datagram."""
        self.socket.send(datagram)

    def receive(self, patience_s=PATIENCE_S):
        """Return the next message, None if there is none in that time."""
        self.socket.settimeout(patience_s)
        try:
            return decode(self.socket.recv(2048))
        except OSError:
            return None

    def ask(self, datagram, tries=TRIES):
        """Return the response in the ACK to a confirmable request, repeated as often; or None."""
        mid = decode(datagram).mid
        for _ in range(tries):
            self.send(datagram)
            end_s = time.monotonic() + PATIENCE_S
            while (left_s := end_s - time.monotonic()) > 0:
                message = self.receive(left_s)
                if message is not None and (message.kind, message.mid) == (ACK, mid):
                    return message
        return None

    def get(self, path, *options):
        """Return the response to a GET."""
        return self.ask(request(GET, path, options=options))

    def acknowledge(self, message):
        """Send the ACK for a confirmable message."""
        self.send(encode(ACK, 0, message.mid))


class Keys:
    """The client's end of the keys that `make keys` wrote to the folder `made`."""

    def __init__(self, node):
        id_context = bytes.fromhex(node["id_context"]) if "id_context" in node else None
        names = [bytes.fromhex(node[name]) for name in ("recipient_id", "sender_id")]
        salt = bytes.fromhex(node.get("salt", ""))
        self.end = End(*names, bytes.fromhex(node["secret"]), salt, id_context)

    def ask(self, port, code, path, payload=b"", options=()):
        """Return (response, inner response or None) to a protected request from a Port; a node
        that has just started gets its Echo.
        """
        inner = None
        for _ in range(2):
            plain = request(code, path, mid=next_mid(), options=options, payload=payload)
            outer = port.ask(self.end.request(plain))
            if outer is None or not outer.all(9):
                return outer, None
            inner = self.end.read(outer)
            if inner is None or inner.code != UNAUTHORIZED or not inner.all(ECHO):
                break
            options = [*options, (ECHO, inner.all(ECHO)[0])]
        return outer, inner
