"""A node on UDP sockets: the one file that knows sockets, and what the ports do differently.

- ESP32: after one empty datagram a socket returns b"" for ever (micropython-lib issue 736), so
  many of them in a row make us open the socket again. If few did, any sender could discard what
  waits.
- Only recvfrom() keeps datagrams apart (readinto() joins them), and it allocates even when nothing
  is there: it is called only when poll reports a datagram.
- Pico W: a socket bound to "" gets no IPv4 (micropython issue 16740), hence "0.0.0.0".
- A peer is a tuple on boards and packed bytes on unix: it is passed on as it came.
- A truncated datagram looks like a whole one: we receive one byte more than a message may have.
"""

import gc
import os
import socket

import micropython
from micropython import const

from coap.codec import DATAGRAM_COUNT, MAX_MESSAGE
from coap.counters import COUNT_OUT_OF_MEMORY, COUNT_REOPENED, COUNT_SEND_ERRORS
from coap.extension import run_step
from coap.transports.polling import POLLIN as _POLLIN
from coap.transports.polling import Poller as _Poller
from coap.transports.polling import ticks_ms

_BURST = const(16)  # datagrams that are served before due() is called
_PATIENCE = const(8)  # faults without a datagram in between before the socket is reopened
_EMPTY_MAX = const(64)  # empty datagrams in a row that a live socket may have
_RETRY_MS = const(1000)  # between attempts to open a socket while there is no network
_len = len  # cached builtin: see lib/coap/README.md
_EAGAIN = const(11)
_EAGAIN_MAC = const(35)
# Errors of sendto() about the network, the peer or the memory, not the socket: EPERM, ENOMEM,
# EHOSTUNREACH, ENETUNREACH, ENETDOWN, ETIMEDOUT, EMSGSIZE in Linux and lwIP numbers; EACCES and
# EINVAL for a broadcast address or port 0 as the source of a request
_PASSING = (1, 11, 12, 13, 22, 35, 51, 60, 65, 90, 100, 101, 105, 110, 113, 114, 116, 118)


class Udp:
    """One node on one UDP port.

    Raise OSError when the port cannot be bound at first; later no fault of the network leaves
    step(): it is counted, and the socket is reopened where that helps.
    """

    line = None  # a serial line beside the socket: Slipmux.beside()

    def __init__(self, node, host="0.0.0.0", port=5683):
        self.node = node
        self.datagram = node.datagram  # bound once: looking a method up takes longer
        self.tx_view = node.tx_view
        self.host = host
        self.port = port
        self.size = node.view.index[MAX_MESSAGE] + 1
        self.poller = _Poller()
        self.watched = []
        self.groups = []
        self.sock = None
        self.wait_ms = 0
        self.faults = 0
        self.datagrams = 0  # datagrams received when the last fault occurred
        self.empty_after = -1  # datagrams received when an empty one came
        self.empty_count = 0  # empty ones since then
        self._open()
        node.seed(os.urandom(8))

    def step(self, max_ms=-1):  # hot
        """Serve the datagrams that come within max_ms (-1: until something is due)."""
        wait_ms = self.node.wait_ms(ticks_ms())
        if 0 <= max_ms < wait_ms:
            wait_ms = max_ms
        if self.sock is None:
            self.reopen()
            if self.sock is None and wait_ms > _RETRY_MS:
                wait_ms = _RETRY_MS
        self.wait_ms = wait_ms
        run_step(self)

    def watch(self, stream, callback):
        """Call callback(stream) whenever `stream` can be read, from step()."""
        self.watched.append((stream, callback))
        self.poller.register(stream, _POLLIN)
        self.node.reschedule()

    def unwatch(self, stream):
        """Stop watching `stream`."""
        self.watched = [pair for pair in self.watched if pair[0] is not stream]
        self.poller.unregister(stream)

    def close(self):
        """Close the sockets."""
        for group in self.groups:
            group.leave()
        if self.sock is not None:
            self.poller.unregister(self.sock)
            self.sock.close()
            self.sock = None

    def reopen(self):
        """Open the socket again, after a fault or when the link is back."""
        self.node.counters[COUNT_REOPENED] += 1
        self.node.reschedule()
        try:
            self.close()
            self._open()
        except OSError as error:
            # no network yet: the next step() tries again
            self.close()
            self.node.last_error = repr(error)

    def _open(self):
        address = socket.getaddrinfo(self.host, self.port)[0]
        if not isinstance(address[-1], tuple) or len(address[-1]) > 2:
            # on a computer; a board's peers are tuples of host and port
            from coap.transports.address import host_key

            self.node.messaging.host_key = host_key
        sock = socket.socket(address[0], socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if self.groups:
                self.groups[0].exclude(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address[-1])
        except OSError:
            sock.close()
            raise
        self.sock = sock
        self.poller.register(sock, _POLLIN)
        for group in self.groups:
            group.join()

    # Machine code, since as bytecode its frames would come from the heap: see lib/coap/README.md.

    @micropython.native
    def run_step(self):
        """Serve what came, then send what is due. Raises OSError."""
        wait_ms = self.wait_ms
        burst = _BURST
        while burst:
            burst -= 1
            more = False
            for ready in self.poller.ipoll(wait_ms):
                stream = ready[0]
                if stream is self.sock:
                    more = self.take()
                else:
                    self._call_watcher(stream)
            if not more:
                break
            wait_ms = 0
        self.flush()

    def flush(self):  # hot
        """Send what is due; without a socket it is lost. Raise OSError."""
        node = self.node
        n = node.due(ticks_ms())
        while n:
            if node.peer is self.line:
                self.line.send(node.tx_view(n))  # pyright: ignore[reportAttributeAccessIssue]
            elif self.sock is not None:
                self.sock.sendto(node.tx_view(n), node.peer)
            n = node.due(ticks_ms())

    @micropython.native
    def take(self):
        """Serve the datagram that waits. Return False when the socket had to be reopened."""
        sock = self.sock
        buf, peer = sock.recvfrom(self.size)
        n = _len(buf)
        if not n:
            return self._is_alive()
        n = self.datagram(buf, n, peer, ticks_ms())
        if n:
            sock.sendto(self.tx_view(n), peer)
        return True

    def _is_alive(self):
        """Return True after an empty datagram, reopen the socket after _EMPTY_MAX in a row."""
        came = self.node.view.index[DATAGRAM_COUNT]
        if came != self.empty_after:
            self.empty_after = came
            self.empty_count = 0
        self.empty_count += 1
        if self.empty_count < _EMPTY_MAX:
            return True
        self.empty_after = -1
        self.reopen()
        return False

    def _call_watcher(self, stream):  # hot
        for other, callback in self.watched:
            if other is stream:
                callback(stream)
                return

    def fault(self, error):  # hot
        """Handle an error of the network or the heap: wait until it passes, or reopen the socket.

        Raise MemoryError when after several collections there is still no room for a datagram: the
        caller can only restart the node.
        """
        node = self.node
        datagrams = node.view.index[DATAGRAM_COUNT]
        if datagrams != self.datagrams:
            self.datagrams = datagrams
            self.faults = 0
        self.faults += 1
        if isinstance(error, MemoryError):
            node.counters[COUNT_OUT_OF_MEMORY] += 1
            node.last_error = "no memory"
            node.views.clear()  # a node does without both, and their gaps take datagrams
            node.listing = False
            gc.collect()
            if self.faults >= _PATIENCE:
                raise error
            return
        code = error.errno
        if self.sock is not None and code in _PASSING:
            if code != _EAGAIN and code != _EAGAIN_MAC:
                node.counters[COUNT_SEND_ERRORS] += 1
                node.last_error = repr(error)
            if self.faults < _PATIENCE:
                return
        self.faults = 0
        self.reopen()


def peer(host, port=5683):
    """Return the address of a server, for node.client. Raise OSError for an unknown name."""
    return socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0][-1]


def run(node, host="0.0.0.0", port=5683):
    """Serve until an exception, such as KeyboardInterrupt."""
    udp = Udp(node, host, port)
    try:
        while True:
            udp.step()
    finally:
        udp.close()
