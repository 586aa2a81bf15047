"""A request of ours allocates nothing, once warm, beyond what the application makes itself."""

from coap.numbers import ACK, CON, NON, SENML_CBOR
from support import allocated, cases, locked, only, retained
from support.client_node import BLOCK1, BLOCK2, OBSERVE, asking
from support.engine import encode
from support.features import block, option

PAYLOAD = bytes(20)
LONG = bytes(1500)


def heard(response):
    assert response.code and response.length < 2000


class Turn:
    """Send one request and process its response, with no allocation."""

    def __init__(self, kind=ACK, code=0x45, options=(), payload=b"answer"):
        self.node, self.client, _ = asking()
        self.answer = bytearray(encode(kind, code, 1, b"abcd", options, payload))
        self.ack = bytearray(encode(ACK, 0, 1))
        self.now_ms = 1000
        self.mid = 0

    def send(self):
        n = self.node.due(self.now_ms)
        assert n and self.node.tx[2] << 8 | self.node.tx[3]
        self.node.tx_view(n)
        i = 4
        while i < 8:
            self.answer[i] = self.node.tx[i]
            i += 1
        return n

    def take(self, data, mid_high, mid_low):
        data[2] = mid_high
        data[3] = mid_low
        n = self.node.datagram(data, len(data), "server", self.now_ms)
        if n:
            self.node.tx_view(n)
        return n


def check(once, turn):
    for _ in range(40):
        once()
    assert not turn.client.active_count
    locked(once)
    assert allocated(once, 10) == 0
    assert retained(once, 10) == 0


def piggybacked(turn):
    turn.send()
    assert turn.take(turn.answer, turn.node.tx[2], turn.node.tx[3]) == 0


@only("micropython")
def test_get():
    turn = Turn()

    def once():
        turn.client.get("server", "s/door?x=1", heard)
        piggybacked(turn)

    check(once, turn)


@only("micropython")
def test_post_with_options():
    turn = Turn(code=0x44, payload=b"")

    def once():
        call = turn.client.post("server", b"r/node", PAYLOAD, heard)
        call.content_format = SENML_CBOR
        call.accept = 60
        call.timeout_ms = 5000
        piggybacked(turn)

    check(once, turn)


@only("micropython")
def test_non():
    turn = Turn(NON)

    def once():
        call = turn.client.put("server", "v", PAYLOAD, heard)
        call.confirmable = False
        turn.send()
        assert turn.take(turn.answer, 7, 7) == 0

    check(once, turn)


@only("micropython")
def test_separate_response_and_its_repeat():
    turn = Turn(CON)

    def once():
        turn.client.get("server", "v", heard)
        turn.send()
        assert turn.take(turn.ack, turn.node.tx[2], turn.node.tx[3]) == 0
        turn.mid = turn.mid + 1 & 255
        assert turn.take(turn.answer, 9, turn.mid) == 4
        assert turn.take(turn.answer, 9, turn.mid) == 4

    check(once, turn)


@only("micropython")
def test_retransmission_and_giving_up():
    turn = Turn()

    def once():
        turn.client.get("server", "v")
        sent = 0
        while turn.client.active_count:
            if turn.node.due(turn.now_ms):
                sent += 1
            else:
                turn.now_ms = (turn.now_ms + turn.node.wait_ms(turn.now_ms)) & 0x3FFFFFFF
        assert sent == 5

    check(once, turn)


@only("micropython")
def test_block1():
    turn = Turn(code=0x5F, options=[block(BLOCK1, 0, 1, 6)], payload=b"")
    last = Turn(code=0x44, options=[block(BLOCK1, 1, 0, 6)], payload=b"").answer

    def once():
        turn.client.post("server", "v", LONG, heard)
        piggybacked(turn)
        turn.send()
        i = 4
        while i < 8:
            last[i] = turn.answer[i]
            i += 1
        assert turn.take(last, turn.node.tx[2], turn.node.tx[3]) == 0

    check(once, turn)


@cases(False, True)
@only("micropython")
def test_block2(collected):
    turn = Turn(options=[block(BLOCK2, 0, 1, 2)], payload=bytes(64))
    last = Turn(options=[block(BLOCK2, 1, 0, 2)], payload=bytes(64)).answer
    into = bytearray(200) if collected else None

    def once():
        call = turn.client.get("server", "v", heard)
        call.into = into
        piggybacked(turn)
        turn.send()
        i = 4
        while i < 8:
            last[i] = turn.answer[i]
            i += 1
        assert turn.take(last, turn.node.tx[2], turn.node.tx[3]) == 0

    check(once, turn)


@only("micropython")
def test_notification():
    turn = Turn(options=[option(OBSERVE, 1 << 16)])
    turn.client.observe("server", "v", heard)
    piggybacked(turn)
    data = bytearray(
        encode(CON, 0x45, 1, bytes(turn.answer[4:8]), [option(OBSERVE, 1 << 16)], b"n")
    )

    def once():
        turn.mid = turn.mid + 1 & 255
        data[11] = turn.mid  # the lowest byte of the number
        if not turn.mid:
            data[10] += 1
        assert turn.take(data, 9, turn.mid) == 4

    for _ in range(40):
        once()
    locked(once)
    assert allocated(once, 10) == 0
