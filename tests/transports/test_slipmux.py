"""Slipmux: frames against a codec written from RFC 1055 and RFC 1662; damage, text, memory."""

import micropython

import coap.transports.slipmux as slip
import coap.transports.slipmux as slipmux_module
from coap import SEPARATE, Resource
from coap.codec import MAX_MESSAGE
from coap.counters import COUNT_FRAMES_DROPPED, COUNT_FRAMES_IGNORED, COUNT_SEND_ERRORS
from coap.node import Node
from coap.numbers import ACK, CON, CONTENT, GET, NON, POST, RST
from coap.observe import Observe
from coap.transports.slipmux import Slipmux
from support import allocated, cases, locked, only, raises, retained
from support.engine import decode, encode, request, uint

OBSERVE = 6


def fcs(data):
    """RFC 1662 section C.1 without its table: the polynomial x^16 + x^12 + x^5 + 1, bit by bit."""
    register = 0xFFFF
    for byte in data:
        for _ in range(8):
            feedback = (register ^ byte) & 1
            register >>= 1
            if feedback:
                register ^= 0x8408
            byte >>= 1
    return register ^ 0xFFFF


def wrap(content):
    """A frame of SLIP."""
    body = content.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return b"\xc0" + body + b"\xc0"


def framed(message):
    """A frame with a CoAP message."""
    check = fcs(b"\xa9" + message)
    return wrap(b"\xa9" + message + bytes((check & 255, check >> 8)))


def unwrap(data):
    """(messages, diagnostics, text outside of frames) of what a node sent."""
    messages, diagnostics, text = [], [], b""
    for i, part in enumerate(data.split(b"\xc0")):
        if not i % 2:
            text += part
            continue
        content = part.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
        if content[0] == 0xA9:
            check = fcs(content[:-2])
            assert content[-2:] == bytes((check & 255, check >> 8)), content
            messages.append(decode(content[1:-2]))
        else:
            assert content[0] == 10
            diagnostics.append(content[1:])
    return messages, diagnostics, text


class Stream:
    """A serial port in memory; it gives at most `burst` bytes at a time."""

    def __init__(self, burst=1000):
        self.waiting = b""
        self.at = 0
        self.burst = burst
        self.sent = b""
        self.takes = None  # how many bytes each write() takes, in turn
        self.error = None
        self.end = False

    def left(self):
        return len(self.waiting) - self.at

    def ready(self):
        return self.left() > 0 or self.end or self.error is not None

    def readinto(self, buf):
        if self.error:
            raise OSError(self.error)
        n = min(len(buf), self.left(), self.burst)
        if not n:
            return 0 if self.end else None
        buf[:n] = self.waiting[self.at : self.at + n]
        self.at += n
        return n

    def write(self, data):
        if self.error:
            raise OSError(self.error)
        n = len(data)
        if self.takes is not None:
            n = self.takes.pop(0) if self.takes else None
        if n is not None:
            self.sent += bytes(data[:n])
        return n


class Console(Stream):
    """Waits until the buffer is full: to ask for more than there is would be to wait for ever."""

    def readinto(self, buf):
        assert len(buf) <= self.left() or self.end or self.error, "it hangs"
        return super().readinto(buf)


class Poll:
    def __init__(self):
        self.streams = []

    def register(self, stream, _events):
        self.streams.append(stream)

    def unregister(self, stream):
        self.streams.remove(stream)

    def ipoll(self, wait_ms):
        for stream in self.streams:
            if stream.ready():
                return ((stream, 1),)
        slipmux_module.clock[0] += max(wait_ms, 0)
        return ()


class Line:
    """`with Line() as line:` a node on a stream in memory, with a clock that does not run."""

    def __init__(self, node=None, stream=None, **settings):
        self.node = node or serving()
        self.stream = stream or Stream()
        self.settings = settings

    def __enter__(self):
        self.kept = (slipmux_module.Poller, slipmux_module.ticks_ms)
        slipmux_module.clock = [0]
        slipmux_module.Poller = Poll
        slipmux_module.ticks_ms = lambda: slipmux_module.clock[0]
        waits = isinstance(self.stream, Console)
        self.line = Slipmux(self.node, self.stream, waits=waits, **self.settings)
        return self

    def __exit__(self, *_error):
        slipmux_module.Poller, slipmux_module.ticks_ms = self.kept

    def feed(self, data, steps=1):
        """What the node sends when these bytes come."""
        stream = self.stream
        stream.waiting = stream.waiting[stream.at :] + data
        stream.at = 0
        before = len(stream.sent)
        for _ in range(steps):
            self.line.step(0)
        while stream.left() and not self.line.ended:
            self.line.step(0)
        return stream.sent[before:]

    def counted(self):
        counters = self.node.counters
        return counters[COUNT_FRAMES_DROPPED], counters[COUNT_FRAMES_IGNORED]

    def check(self):
        """The node serves."""
        messages, _, _ = unwrap(self.feed(framed(request(GET, "a"))))
        assert len(messages) == 1 and messages[0].payload == b"ok", messages


def serving(*features, **settings):
    node = Node(*features, **settings)
    node.get("a")(lambda request, reply: b"ok")
    return node


# The check sequence and the escapes


@cases(
    (b"123456789", 0x906E),  # the check value that catalogues of CRCs list for CRC-16/X-25
    (b"", 0x0000),
    (b"\x00", 0xF078),
    (b"\xff", 0xFF00),
)
def test_the_check_sequence(data, value):
    assert slip.fcs16(data, len(data), 0xFFFF) ^ 0xFFFF == value
    assert fcs(data) == value


def test_every_byte_is_checked_like_bit_by_bit():
    register = 0xFFFF
    data = b""
    for byte in range(256):
        data += bytes((byte,))
        register = slip.fcs16(data[-1:], 1, register)
        assert register ^ 0xFFFF == fcs(data)
    tail = bytes((fcs(data) & 255, fcs(data) >> 8))
    assert slip.fcs16(data + tail, len(data) + 2, 0xFFFF) == 0xF0B8  # the good one of RFC 1662


def test_a_ping_by_hand():
    # 0xA9, Empty CON with MID 0x1234, FCS 0x2D9D; the response is an RST with FCS 0x1E22
    ping = bytes.fromhex("c0a940001234") + _tail(b"\xa9\x40\x00\x12\x34") + b"\xc0"
    with Line() as line:
        sent = line.feed(ping)
    assert sent == bytes.fromhex("c0a970001234") + _tail(b"\xa9\x70\x00\x12\x34") + b"\xc0"


def _tail(content):
    value = fcs(content)
    return bytes((value & 255, value >> 8))


@cases((Stream(),), (Stream(1),), (Console(),))
def test_all_bytes_pass_both_ways(stream):
    node = Node()
    node.post("echo")(lambda request, reply: request.payload_bytes())
    everything = bytes(range(256)) + b"\xc0\xdb" * 100 + b"\xdb\xdc\xdd\xc0\x03"
    with Line(node, stream) as line:
        sent = line.feed(framed(request(POST, "echo", payload=everything)))
    assert unwrap(sent)[0][0].payload == everything
    assert line.counted() == (0, 0)


def test_lengths_around_the_size_of_a_write():
    node = Node()
    payload = [b""]
    node.get("n")(lambda request, reply: payload[0])
    with Line(node) as line:
        for n in range(20, 150):
            payload[0] = (b"\xc0" if n % 2 else b"x") * (n // 2) + b"y" * (n - n // 2)
            messages, _, _ = unwrap(line.feed(framed(request(GET, "n"))))
            assert messages[0].payload == payload[0]


# Damage


DAMAGED = (
    framed(b"\x40\x01\x00\x01")[:-3] + b"\x00\x00\xc0",  # wrong FCS
    b"\xc0\xa9\xc0",
    b"\xc0\xa9\x40\xc0",
    b"\xc0\xa9\x40\x00\xdb\x41\x00\x00\xc0",  # no such escape
    b"\xc0\xa9\x40\x00\xdb\xc0",  # an escape at the end
    b"\xc0\xdb\xdc\x40\x00\xc0",  # an escape at the start
    b"\xc0\x80\x40\x00\xc0",  # no such kind of frame
    b"\xc0\xa9" + b"x" * 5000 + b"\xc0",
)


@cases(*[(data, whole) for data in DAMAGED for whole in (True, False)])
def test_a_damaged_frame_is_dropped_and_the_next_one_serves(data, whole):
    with Line(stream=Stream(1000 if whole else 1)) as line:
        assert line.feed(data) == b""
        assert line.counted() == (1, 0)
        line.check()
        assert line.counted() == (1, 0)


@cases(*range(1, 12))
def test_a_frame_that_lost_a_part_is_dropped(lost):
    frame = framed(request(GET, "a"))
    for cut in (frame[:-lost], frame[lost:], frame[:lost] + frame[lost + 1 :]):
        with Line() as line:
            first = unwrap(line.feed(cut))[0]
            # without an END at its start a frame is still one if the one before it had one
            assert not first
            answers = unwrap(line.feed(framed(request(GET, "a")) * 2))[0]
            assert len(answers) >= 1 and answers[-1].payload == b"ok", lost


def test_frames_may_share_an_end():
    frame = framed(request(GET, "a"))
    with Line() as line:
        assert len(unwrap(line.feed(b"\xc0\xc0\xc0" + frame))[0]) == 1
        assert len(unwrap(line.feed(frame + frame))[0]) == 2


def test_text_after_a_damaged_frame_is_text():
    got = []
    with Line(text=lambda text: got.append(bytes(text))) as line:
        line.feed(DAMAGED[0])
        line.feed(b"help\r")
        assert b"".join(got) == b""  # might be a frame of IP: h is 0x68
        line.feed(b"\xc0")
        line.feed(DAMAGED[0] + b"quit\r")
        assert b"".join(got) == b"quit\r"
        line.check()


@cases((b"\x45" + bytes(30),), (b"\x60" + bytes(30),), (b"\x4f",), (b"\x6f" + bytes(5000),))
def test_ip_is_ignored_and_counted(packet):
    with Line() as line:
        assert line.feed(wrap(packet)) == b""
        assert line.counted() == (0, 1)
        line.check()


def test_the_longest_message_passes_and_a_longer_one_is_dropped():
    node = serving(max_payload=64)
    lengths = []
    node.post("n")(lambda request, reply: lengths.append(request.payload_length))
    longest = node.view.index[MAX_MESSAGE]
    with Line(node) as line:
        empty = request(POST, "n", payload=b"x")
        fits = request(POST, "n", payload=b"x" * (longest - len(empty) + 1))
        assert len(fits) == longest
        line.feed(framed(fits))
        too_long = len(lengths)
        line.feed(framed(request(POST, "n", payload=b"x" * (longest - len(empty) + 2))))
        assert len(lengths) == too_long
        assert line.counted() == (1, 0)
        line.check()


def test_malformed_messages_get_what_they_get_over_udp():
    with Line() as line:
        messages, _, _ = unwrap(line.feed(framed(b"\x4f\x01\x12\x34")))
        assert (messages[0].kind, messages[0].mid) == (RST, 0x1234)
        assert line.feed(framed(b"")) == b"" and line.feed(framed(b"\x40")) == b""
        line.check()


@cases(*range(1, 9))
def test_noise_does_no_harm(seed):
    state = seed
    with Line(stream=Stream(1 + 7 * (seed % 3)), text=len) as line:
        for _ in range(60):
            noise = bytearray(40)
            for i in range(40):
                state = (state * 1103515245 + 12345) & 0x3FFFFFFF
                byte = state >> 14 & 255
                # often what a decoder looks at
                noise[i] = b"\xc0\xdb\xdc\xdd\xa9\n\x45\x03"[byte & 7] if byte < 100 else byte
            line.feed(bytes(noise))
        answers = unwrap(line.feed(framed(request(GET, "a")) * 2))[0]
        assert answers and answers[-1].payload == b"ok"


# Text


def test_text_and_diagnostics_are_handed_on():
    got = []
    with Line(text=lambda text: got.append(bytes(text))) as line:
        line.feed(b"before " + framed(request(GET, "a")) + b"after" + wrap(b"\nwarm\xc0"))
    assert b"".join(got) == b"before afterwarm\xc0"


def test_the_node_says_lines_in_frames():
    with Line() as line:
        line.line.say("21 °C")
        assert unwrap(line.stream.sent) == ([], ["21 °C\n".encode()], b"")


class Interrupts:
    """Stands in for micropython.kbd_intr."""

    def __init__(self):
        self.characters = []

    def __enter__(self):
        self.kept = slipmux_module.micropython
        slipmux_module.micropython = self
        return self.characters

    def __exit__(self, *_error):
        slipmux_module.micropython = self.kept

    def kbd_intr(self, character):
        self.characters.append(character)


def test_ctrl_c_is_off_while_a_shared_line_is_served():
    with Interrupts() as characters, Line(shared=True) as line:
        assert characters == [-1]
        line.feed(framed(encode(CON, 0, 0x0303)))
        line.line.close()
        line.line.close()
        assert characters == [-1, 3]


def test_ctrl_c_outside_of_frames_interrupts():
    with Interrupts(), Line(shared=True) as line:
        raises(KeyboardInterrupt, line.feed, b"\r\x03")
        line.check()
        # what is left of a frame is no keyboard, unless it begins like one
        line.feed(framed(request(GET, "a", mid=0x1234, payload=b"\x03"))[2:-1] + b"\xc0")
        line.feed(framed(b"\x40\x03\x03\x03")[1:])
        line.check()
        raises(KeyboardInterrupt, line.feed, b"\xff\x03\x80\r\x03")


def test_a_line_of_its_own_has_no_ctrl_c():
    with Interrupts() as characters, Line() as line:
        line.feed(b"\x03\x03")
        line.line.close()
        assert characters == []
        assert line.line.ended


@only("micropython")
def test_the_interpreter_has_kbd_intr():
    assert callable(micropython.kbd_intr)


# The stream


def test_a_write_that_takes_a_part_goes_on():
    with Line() as line:
        line.stream.takes = [3, None, 2, 100]
        messages, _, _ = unwrap(line.feed(framed(request(GET, "a"))))
        assert messages[0].payload == b"ok"


def test_a_line_that_takes_nothing_loses_the_answer_and_serves_on():
    with Line() as line:
        line.stream.takes = []
        ticks = slipmux_module.ticks_ms

        def passing():
            slipmux_module.clock[0] += 10
            return ticks()

        slipmux_module.ticks_ms = passing
        assert line.feed(framed(request(GET, "a"))) == b""
        assert slipmux_module.clock[0] < 1000
        assert line.node.counters[COUNT_SEND_ERRORS] == 1
        line.stream.takes = None
        line.check()


def test_errors_are_counted_and_a_line_that_only_has_errors_is_left_alone():
    with Line() as line:
        line.stream.error = 5
        line.line.step(0)
        assert "serial line" in line.node.last_error
        line.stream.error = None
        line.check()
        line.stream.error = 5
        for _ in range(20):
            line.line.step(0)
        assert line.line.ended and line.line.poller.streams == []


@cases((Stream(),), (Console(),))
def test_the_end_of_the_stream_is_seen_once(stream):
    with Line(stream=stream) as line:
        line.stream.end = True
        line.line.step(0)
        assert line.line.ended
        before = slipmux_module.clock[0]
        line.line.step(100)
        assert slipmux_module.clock[0] == before + 100  # it sleeps, as nothing comes any more


# Who gets what


class FakeUdp:
    """What Slipmux needs of a Udp; its flush() is tested with the real one below."""

    line = None

    def __init__(self):
        self.watched = []

    def watch(self, stream, callback):
        self.watched.append((stream, callback))

    def unwatch(self, stream):
        self.watched = [pair for pair in self.watched if pair[0] is not stream]


def test_the_line_is_the_peer():
    node = serving()
    peers = []
    node.post("who")(lambda request, reply: peers.append(request.peer))
    with Line(node) as line:
        line.feed(framed(request(POST, "who")))
        assert peers == [line.line]


def test_a_request_is_executed_once():
    node = serving()
    done = []
    node.post("once")(lambda request, reply: done.append(1))
    with Line(node) as line:
        frame = framed(request(POST, "once"))
        assert line.feed(frame) == line.feed(frame) != b""
        assert done == [1]


class Thing(Resource):
    observable = True

    def get(self, request, reply):
        return b"moved"


def test_separate_answers_and_notifications_come_over_the_line():
    node = serving(Observe(2))
    tickets = []

    def late(request, reply):
        tickets.append(request.defer())
        return SEPARATE

    node.get("late")(late)
    thing = node.add("thing", Thing())
    with Line(node) as line:
        asked = request(GET, "thing", kind=NON, options=((OBSERVE, uint(0)),))
        assert unwrap(line.feed(framed(asked)))[0][0].uint(OBSERVE) is not None
        assert unwrap(line.feed(framed(request(GET, "late"))))[0][0].code == 0
        node.respond(tickets[0], b"at last")
        thing.changed()
        messages, _, _ = unwrap(line.feed(b""))
        acknowledged = framed(encode(ACK, 0, messages[0].mid))
        messages += unwrap(line.feed(acknowledged))[0]
        assert sorted([message.payload for message in messages]) == [b"at last", b"moved"]
        assert [message.code for message in messages] == [CONTENT, CONTENT]


def test_beside_udp_the_streams_are_watched_there():
    with Line() as line:
        udp = FakeUdp()
        line.line.beside(udp)
        assert udp.line is line.line and len(udp.watched) == 1
        stream, callback = udp.watched[0]
        stream.waiting = framed(request(GET, "a"))
        callback(stream)
        assert unwrap(stream.sent)[0][0].payload == b"ok"
        stream.end = True
        callback(stream)
        assert udp.watched == [] and line.line.ended
        line.line.alone()
        assert udp.line is None


# Memory


class Loop:
    """A stream that gives the same bytes again and again, and allocates nothing."""

    def __init__(self, data):
        self.data = data
        self.at = 0
        self.sent = 0

    def readinto(self, buf):
        n = len(buf)
        i = 0
        while i < n:
            buf[i] = self.data[self.at]
            self.at += 1
            if self.at == len(self.data):
                self.at = 0
                return i + 1
            i += 1
        return n

    def write(self, view):
        self.sent += 1
        return len(view)


def serve_one(data):
    """A function that lets a node serve the bytes once, by way of a Udp."""
    with Line(stream=Loop(data)) as line:
        pass
    stream, take = line.stream, line.line.take
    for n in range(len(line.line.outs)):
        line.line.outs[n] = line.line.out[:n]  # as after some time: escapes make any length

    def once():
        take(stream)
        while stream.at:
            take(stream)

    return once, stream


@cases(
    (framed(encode(NON, GET, 0xC0DB, b"\xc0\xdb", ((11, b"a"),))),),
    (framed(request(GET, "a")),),
    (framed(encode(CON, 0, 7)),),
    (DAMAGED[0],),
    (DAMAGED[7],),
    (wrap(b"\x45" + bytes(100)),),
    (b"just text",),
)
@only("micropython")
def test_a_warm_line_allocates_nothing(data):
    once, stream = serve_one(data)
    for _ in range(80):
        once()
    assert allocated(once, 20) == 0
    assert retained(once, 20) == 0
    locked(once)


def test_the_loop_above_is_served_at_all():
    once, stream = serve_one(framed(request(GET, "a")))
    once()
    assert stream.sent == 1
