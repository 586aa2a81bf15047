"""A node on a serial line that carries text too: slipmux (draft-bormann-t2trg-slipmux).

A frame of SLIP (RFC 1055) begins with a byte that says what it is: 0xA9 a CoAP message, with the
frame check sequence of RFC 1662 behind it; 0x0A a diagnostic, which is text. What lies outside of
frames is text as well, so a console works unchanged: UTF-8 has no END.

Whatever comes, nothing is raised: a damaged frame is dropped and counted, and the next END begins
anew. IP is counted and ignored, for nobody speaks it on this line.
"""

import os
from array import array

import micropython
from micropython import const

from coap.codec import MAX_MESSAGE
from coap.counters import (
    COUNT_FRAMES_DROPPED,
    COUNT_FRAMES_IGNORED,
    COUNT_OUT_OF_MEMORY,
    COUNT_SEND_ERRORS,
)
from coap.extension import run_step
from coap.transports.polling import POLLIN, Poller, ticks_ms

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
        self.frame = bytearray(node.view.index[MAX_MESSAGE] + _FCS_BYTES)
        self.words = array("i", [0] * SLIP_WORDS)
        self.words[SLIP_ROOM] = len(self.frame)
        self.pouring = array("i", [0] * SLIP_WORDS)
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
        run_step(self)

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

    def run_step(self):  # hot
        """Serve what came, then send what is due."""
        burst = _BURST
        while burst and self._ready(self.wait_ms) and self.take(self.reads):
            self.wait_ms = 0
            burst -= 1
        node = self.node
        n = node.due(ticks_ms())
        while n:
            if node.peer is self:
                self.send(node.tx_view(n))
            n = node.due(ticks_ms())

    def take(self, _stream):  # hot
        """Serve the bytes that wait. False: there were none. Raises KeyboardInterrupt."""
        n = self._fill()
        words = self.words
        words[SLIP_AT] = 0
        words[SLIP_TEXT] = 0
        while unslip(self.chunk, n, self.frame, words):
            if words[SLIP_TEXT]:
                self._pass_on(words)
            self._serve(words)
        if words[SLIP_DROPPED]:
            self.node.counters[COUNT_FRAMES_DROPPED] += words[SLIP_DROPPED]
            words[SLIP_DROPPED] = 0
        if words[SLIP_TEXT]:
            self._pass_on(words)
        return n > 0

    def send(self, message):  # hot
        """Send a CoAP message, a buffer."""
        value = fcs16(message, len(message), _FCS_COAP) ^ 0xFFFF
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
        kind = words[SLIP_KIND]
        if kind == COAP:
            self._message(words, words[SLIP_SIZE] - _FCS_BYTES)
            return
        words[SLIP_MODE] = SLIP_OUTSIDE
        if kind != DIAGNOSTIC:
            self.node.counters[COUNT_FRAMES_IGNORED] += 1
        elif self.text is not None:
            self.text(memoryview(self.frame)[: words[SLIP_SIZE]])

    def _message(self, words, n):  # hot
        if n < 0 or fcs16(self.frame, n + _FCS_BYTES, _FCS_COAP) != _FCS_GOOD:
            words[SLIP_DROPPED] += 1
            return
        words[SLIP_MODE] = SLIP_OUTSIDE
        self.faults = 0
        n = self.node.datagram(self.frame, n, self, ticks_ms())
        if n:
            self.send(self.node.tx_view(n))

    def _pass_on(self, words):
        if self.text is not None:
            self.text(memoryview(self.chunk)[: words[SLIP_TEXT]])
        words[SLIP_TEXT] = 0
        if words[SLIP_BREAK]:
            words[SLIP_BREAK] = 0
            if self.shared:
                raise KeyboardInterrupt

    def _pour(self, at, source):  # hot
        """Append bytes to the frame in `out`, written whenever it is full: its new end."""
        words = self.pouring
        words[SLIP_AT] = 0
        words[SLIP_SIZE] = len(source)
        words[SLIP_ROOM] = _OUT_BYTES
        at = slip(self.out, at, source, words)
        while words[SLIP_AT] < words[SLIP_SIZE]:
            self._write(at)
            at = slip(self.out, 0, source, words)
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
        self.node.counters[COUNT_SEND_ERRORS] += 1
        self.node.last_error = "serial line: " + why
        self.faults += 1
        if self.faults >= _PATIENCE:
            self._give_up()

    def fault(self, error):
        """There was no room in the heap. Raises MemoryError when that does not pass."""
        self.node.counters[COUNT_OUT_OF_MEMORY] += 1
        self.node.last_error = repr(error)
        self.faults += 1
        if self.faults >= _PATIENCE:
            raise error

    def _give_up(self):
        """Stop reading: poll would report a lost line as ready without end."""
        if not self.ended:
            self.ended = True
            self.poller.unregister(self.reads)
            if self.udp is not None:
                self.udp.unwatch(self.reads)


# Frames on a serial line: RFC 1055, and the checksum of RFC 1662 appendix C; machine code.

# What unslip() keeps of a line: how it stands, what the frame is, how long it is, how long one may
# be; the chunk at hand: where to go on, how many bytes of text lie at its start; then counts
SLIP_MODE = const(0)
SLIP_KIND = const(1)  # the first byte of the frame, which is not among its bytes
SLIP_SIZE = const(2)
SLIP_ROOM = const(3)
SLIP_AT = const(4)
SLIP_TEXT = const(5)
SLIP_WILD = const(6)  # text that is none: the rest of a frame whose start was lost
SLIP_BREAK = const(7)  # Ctrl-C came outside of frames
SLIP_DROPPED = const(8)  # frames that were too long or had a wrong escape
SLIP_WORDS = const(9)

# SLIP_MODE
SLIP_OUTSIDE = const(0)
SLIP_BEGUN = const(1)  # after an END
SLIP_INSIDE = const(2)
SLIP_ESCAPED = const(3)
SLIP_SKIPPED = const(4)  # the rest of a damaged frame


@micropython.viper
def unslip(chunk: ptr8, n: int, frame: ptr8, w: ptr32) -> int:
    """Take chunk[w[SLIP_AT]:n] until a frame ends: 1, and its SLIP_SIZE bytes lie in `frame`; 0
    when the chunk ends first.

    Text outside of frames is moved to the start of the chunk. The END of a frame may be the start
    of the next one if bytes were lost, so it is the caller that says whether the frame was good,
    with SLIP_OUTSIDE. Only the start of a long frame is kept, and one with CoAP is dropped.
    """
    at = w[SLIP_AT]
    mode = w[SLIP_MODE]
    size = w[SLIP_SIZE]
    room = w[SLIP_ROOM]
    text = w[SLIP_TEXT]
    while at < n:
        byte = chunk[at]
        at += 1
        if byte == 0xC0:
            done = 0
            if mode == SLIP_INSIDE:
                done = 1
            elif mode == SLIP_ESCAPED:
                w[SLIP_DROPPED] += 1
            mode = SLIP_BEGUN
            w[SLIP_WILD] = 0
            if done:
                w[SLIP_AT] = at
                w[SLIP_MODE] = mode
                w[SLIP_SIZE] = size
                w[SLIP_TEXT] = text
                return 1
        elif mode == SLIP_INSIDE or mode == SLIP_ESCAPED:
            if byte == 0xDB and mode == SLIP_INSIDE:
                mode = SLIP_ESCAPED
                continue
            if mode == SLIP_ESCAPED:
                mode = SLIP_INSIDE
                if byte == 0xDC:
                    byte = 0xC0
                elif byte == 0xDD:
                    byte = 0xDB
                else:
                    mode = SLIP_SKIPPED
                    w[SLIP_DROPPED] += 1
            if size < room:
                frame[size] = byte
                size += 1
            elif mode == SLIP_INSIDE and w[SLIP_KIND] == 0xA9:
                mode = SLIP_SKIPPED
                w[SLIP_DROPPED] += 1
        elif mode != SLIP_SKIPPED:
            high = byte >> 4
            if mode == SLIP_BEGUN and (
                byte == 0xA9 or byte == 10 or high == 6 or (high == 4 and byte & 15 > 4)
            ):
                mode = SLIP_INSIDE
                w[SLIP_KIND] = byte
                size = 0
            elif mode == SLIP_BEGUN and byte > 127:
                mode = SLIP_SKIPPED
                w[SLIP_DROPPED] += 1
            else:
                mode = SLIP_OUTSIDE
                if byte > 127:
                    w[SLIP_WILD] = 1
                elif byte == 13:
                    w[SLIP_WILD] = 0
                elif byte == 3 and w[SLIP_WILD] == 0:
                    w[SLIP_BREAK] = 1
                chunk[text] = byte
                text += 1
    w[SLIP_AT] = at
    w[SLIP_MODE] = mode
    w[SLIP_SIZE] = size
    w[SLIP_TEXT] = text
    return 0


@micropython.viper
def slip(out: ptr8, at: int, source: ptr8, w: ptr32) -> int:
    """Escape source[w[SLIP_AT]:w[SLIP_SIZE]] into out[at:w[SLIP_ROOM]], as much as fits: its end.

    With room for two bytes there is always some that fits.
    """
    i = w[SLIP_AT]
    n = w[SLIP_SIZE]
    room = w[SLIP_ROOM] - 1
    while i < n and at < room:
        byte = source[i]
        i += 1
        if byte == 0xC0 or byte == 0xDB:
            out[at] = 0xDB
            at += 1
            byte = 0xDC if byte == 0xC0 else 0xDD
        out[at] = byte
        at += 1
    w[SLIP_AT] = i
    return at


@micropython.viper
def fcs16(buf: ptr8, n: int, value: int) -> int:
    """Continue the frame check sequence of RFC 1662, which starts as 0xFFFF, over buf[0:n]."""
    i = 0
    while i < n:
        byte = (buf[i] ^ value) & 255
        byte = (byte ^ byte << 4) & 255
        value = value >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
        i += 1
    return value
