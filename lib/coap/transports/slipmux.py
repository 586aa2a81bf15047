"""A node on a serial line that carries text too: slipmux (draft-bormann-t2trg-slipmux).

A frame of SLIP (RFC 1055) begins with a byte that says what it is: 0xA9 a CoAP message, with the
frame check sequence of RFC 1662 behind it; 0x0A a diagnostic, which is text. What lies outside of
frames is text as well, so that a console goes on as it is: UTF-8 has no END.

Whatever comes, nothing is raised: a damaged frame is dropped and counted, and the next END begins
anew. IP is counted and ignored, for nobody speaks it on this line.
"""

import os
from array import array

import micropython
from micropython import const

import coap.transports.slip as slip
from coap.guard import turn
from coap.transports.polling import POLLIN, Poller, ticks_ms

# Numbers of other files: the compiler folds only the constants of the file at hand
_SEND_ERRORS = const(11)  # counters.SEND_ERRORS
_OUT_OF_MEMORY = const(18)  # counters.OUT_OF_MEMORY
_FRAMES_DROPPED = const(19)  # counters.FRAMES_DROPPED
_FRAMES_IGNORED = const(20)  # counters.FRAMES_IGNORED
_LIMIT = const(62)  # scan.LIMIT

END = 0xC0
DIAGNOSTIC = 0x0A
COAP = 0xA9
_FCS_COAP = const(0x374C)  # the frame check sequence so far, after the byte 0xA9
_FCS_GOOD = const(0xF0B8)
_FCS_BYTES = const(2)
_CTRL_C = const(3)
_CHUNK_BYTES = const(64)  # that are read at a time
_OUT_BYTES = const(64)  # that are written at a time; the views of all lengths are kept
_BURST = const(16)  # chunks that are read before due() gets its turn
_STALL_MS = const(500)  # a line that takes nothing for so long loses the frame
_PATIENCE = const(8)  # faults in a row until the line is given up


class Slipmux:
    """`node` on the stream `reads`. The line itself is the peer: request.peer, in a handler.

    writes: the stream for what goes out, where that is another one, as of a console. waits: does
    readinto() wait until the whole buffer is full? A console does, a UART does not. shared: the
    REPL has the same line; Ctrl-C is no interrupt then, for frames may hold it, but outside of
    frames it makes step() raise KeyboardInterrupt. text: takes the text that comes, as a
    memoryview that is valid within the call.

    ended: the stream came to its end, and is not read any more.
    """

    def __init__(self, node, reads, writes=None, waits=True, shared=False, text=None):
        self.node = node
        self.reads = reads
        self.writes = writes or reads
        self.waits = waits
        self.shared = shared
        self.text = text
        self.ended = False
        self.udp = None
        self.wait_ms = 0
        self.faults = 0
        self.frame = bytearray(node.view.r[_LIMIT] + _FCS_BYTES)
        self.words = array("i", [0] * slip.SLIP_WORDS)
        self.words[slip.SLIP_ROOM] = len(self.frame)
        self.pouring = array("i", [0] * slip.SLIP_WORDS)
        self.chunk = bytearray(_CHUNK_BYTES)
        self.byte = bytearray(1)
        self.out = memoryview(bytearray(_OUT_BYTES))
        self.outs = [None] * (_OUT_BYTES + 1)  # type: list
        self.tail = bytearray(_FCS_BYTES)
        self.poller = Poller()
        self.poller.register(reads, POLLIN)
        node.seed(os.urandom(8))
        if shared:
            micropython.kbd_intr(-1)

    def beside(self, udp):
        """Serve the line from the steps of a Udp, which also sends what the node has for it."""
        self.alone()
        self.udp = udp
        udp.line = self
        if not self.ended:
            udp.watch(self.reads, self.take)

    def alone(self):
        """Serve the line from step() again."""
        if self.udp is not None:
            if not self.ended:
                self.udp.unwatch(self.reads)
            self.udp.line = None
            self.udp = None

    def step(self, max_ms=-1):  # hot
        """Wait for bytes, max_ms at most (-1: as long as nothing is due), and serve them.

        What the node has for others than the line is lost. Raises KeyboardInterrupt, see `shared`.
        """
        wait_ms = self.node.wait_ms(ticks_ms())
        if 0 <= max_ms < wait_ms:
            wait_ms = max_ms
        self.wait_ms = wait_ms
        turn(self)

    def close(self):
        """Let go of the line. The streams stay open, and Ctrl-C is an interrupt again."""
        self._give_up()
        self.alone()
        if self.shared:
            micropython.kbd_intr(_CTRL_C)
            self.shared = False

    def say(self, line):
        """Send a line of text as a diagnostic frame."""
        self.out[0] = END
        self.out[1] = DIAGNOSTIC
        self._end(self._pour(2, (line + "\n").encode()))

    # The frames below stay within 11 words, so that MicroPython needs no heap for them.

    def turn(self):  # hot
        """Serve what came, then send what is due."""
        burst = _BURST
        while burst and self._ready(self.wait_ms) and self.take(self.reads):
            self.wait_ms = 0
            burst -= 1
        node = self.node
        n = node.due(ticks_ms())
        while n:
            if node.peer is self:
                self.send(node.out(n))
            n = node.due(ticks_ms())

    def take(self, _stream):  # hot
        """Serve the bytes that wait. False: there were none. Raises KeyboardInterrupt."""
        n = self._fill()
        words = self.words
        words[slip.SLIP_AT] = 0
        words[slip.SLIP_TEXT] = 0
        while slip.unslip(self.chunk, n, self.frame, words):
            if words[slip.SLIP_TEXT]:
                self._pass_on(words)
            self._serve(words)
        if words[slip.SLIP_DROPPED]:
            self.node.counters[_FRAMES_DROPPED] += words[slip.SLIP_DROPPED]
            words[slip.SLIP_DROPPED] = 0
        if words[slip.SLIP_TEXT]:
            self._pass_on(words)
        return n > 0

    def send(self, message):  # hot
        """Send a CoAP message, a buffer."""
        value = slip.fcs16(message, len(message), _FCS_COAP) ^ 0xFFFF
        self.tail[0] = value & 255
        self.tail[1] = value >> 8
        self.out[0] = END
        self.out[1] = COAP
        self._end(self._pour(self._pour(2, message), self.tail))

    def _ready(self, wait_ms):  # hot
        for _stream in self.poller.ipoll(wait_ms):
            return True
        return False

    def _fill(self):  # hot
        """How many bytes are new in the chunk."""
        if not self.waits:
            return self._read(self.chunk) or 0
        n = 0
        while n < _CHUNK_BYTES and (not n or self._ready(0)) and self._read(self.byte):
            self.chunk[n] = self.byte[0]
            n += 1
        return n

    def _read(self, into):  # hot
        n = self._get(into)
        if n == 0:
            self._give_up()
        return n

    def _get(self, into):  # hot
        try:
            return self.reads.readinto(into)
        except OSError:
            return self._fault("cannot be read")

    def _serve(self, words):  # hot
        kind = words[slip.SLIP_KIND]
        if kind == COAP:
            self._message(words, words[slip.SLIP_SIZE] - _FCS_BYTES)
            return
        words[slip.SLIP_MODE] = slip.SLIP_OUTSIDE
        if kind != DIAGNOSTIC:
            self.node.counters[_FRAMES_IGNORED] += 1
        elif self.text is not None:
            self.text(memoryview(self.frame)[: words[slip.SLIP_SIZE]])

    def _message(self, words, n):  # hot
        if n < 0 or slip.fcs16(self.frame, n + _FCS_BYTES, _FCS_COAP) != _FCS_GOOD:
            words[slip.SLIP_DROPPED] += 1
            return
        words[slip.SLIP_MODE] = slip.SLIP_OUTSIDE
        self.faults = 0
        n = self.node.datagram(self.frame, n, self, ticks_ms())
        if n:
            self.send(self.node.out(n))

    def _pass_on(self, words):
        if self.text is not None:
            self.text(memoryview(self.chunk)[: words[slip.SLIP_TEXT]])
        words[slip.SLIP_TEXT] = 0
        if words[slip.SLIP_BREAK]:
            words[slip.SLIP_BREAK] = 0
            if self.shared:
                raise KeyboardInterrupt

    def _pour(self, at, source):  # hot
        """Append bytes to the frame in `out`, written whenever it is full: its new end."""
        words = self.pouring
        words[slip.SLIP_AT] = 0
        words[slip.SLIP_SIZE] = len(source)
        words[slip.SLIP_ROOM] = _OUT_BYTES
        at = slip.slip(self.out, at, source, words)
        while words[slip.SLIP_AT] < words[slip.SLIP_SIZE]:
            self._write(at)
            at = slip.slip(self.out, 0, source, words)
        return at

    def _end(self, at):  # hot
        if at == _OUT_BYTES:
            self._write(at)
            at = 0
        self.out[at] = END
        self._write(at + 1)

    def _write(self, n):  # hot
        view = self.outs[n]
        if view is None:
            view = self.outs[n] = self.out[:n]
        done = self._put(view)
        if done != n:
            self._push(view, done or 0)

    def _put(self, view):  # hot
        try:
            return self.writes.write(view)
        except OSError:
            self._fault("cannot be written")
            return len(view)  # it is lost

    def _push(self, view, done):
        """Write the rest of what the line did not take at once."""
        since_ms = ticks_ms()
        while done < len(view):
            more = self._put(view[done:])
            if more:
                done += more
                since_ms = ticks_ms()
            elif (ticks_ms() - since_ms) & 0x3FFFFFFF > _STALL_MS:
                self._fault("takes nothing")
                return

    def _fault(self, why):
        """The line refused something."""
        self.node.counters[_SEND_ERRORS] += 1
        self.node.last_error = "serial line: " + why
        self.faults += 1
        if self.faults >= _PATIENCE:
            self._give_up()

    def fault(self, error):
        """There was no room in the heap. Raises MemoryError when that does not pass."""
        self.node.counters[_OUT_OF_MEMORY] += 1
        self.node.last_error = repr(error)
        self.faults += 1
        if self.faults >= _PATIENCE:
            raise error

    def _give_up(self):
        """Read no more: a line that is gone would be ready for ever."""
        if not self.ended:
            self.ended = True
            self.poller.unregister(self.reads)
            if self.udp is not None:
                self.udp.unwatch(self.reads)
