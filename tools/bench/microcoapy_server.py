# One resource, s/contact, served by microCoAPy on MicroPython. Arguments: FOLDER HOST PORT.
import socket
import sys

sys.path.insert(0, sys.argv[1])

from microcoapy import Coap  # noqa: E402
from microcoapy.coap_macros import COAP_CONTENT_FORMAT, COAP_RESPONSE_CODE  # noqa: E402


class UnixSocket:
    """Convert addresses: microCoAPy expects a pair, unix MicroPython has packed bytes."""

    def __init__(self, sock):
        self.sock = sock
        self.setblocking = sock.setblocking

    def recvfrom(self, size):
        """Return (datagram, (packed address, 0))."""
        data, peer = self.sock.recvfrom(size)
        return data, (peer, 0)

    def sendto(self, data, address):
        """Send a datagram to the packed address in `address`."""
        return self.sock.sendto(data, address[0])


def serve(host, port):
    """Serve s/contact without end."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(socket.getaddrinfo(host, port)[0][-1])
    node = Coap()
    node.debug = False
    node.setCustomSocket(UnixSocket(sock))

    def contact(request, ip, port):
        node.sendResponse(
            ip,
            port,
            request.messageid,
            "closed",
            COAP_RESPONSE_CODE.COAP_CONTENT,
            COAP_CONTENT_FORMAT.COAP_TEXT_PLAIN,
            request.token,
        )

    node.addIncomingRequestCallback("s/contact", contact)
    while True:
        node.loop()


serve(sys.argv[2], int(sys.argv[3]))
