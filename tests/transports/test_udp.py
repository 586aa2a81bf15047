"""UDP: what the ports' sockets really do, on fake ones; then one of the machine's own.

Each port's quirk is reproduced as its source has it; where Udp deals with it is said there.
"""

import os
import select
import socket
import time

import coap.transports.udp as udp_module
from coap import SEPARATE
from coap.counters import COUNT_GIVEN_UP, COUNT_REOPENED, COUNT_SEND_ERRORS
from coap.node import Node
from coap.numbers import ACK, CHANGED, CON, CONTENT, GET, NON, POST
from coap.rate_limit import RateLimit
from coap.transports.udp import Udp, run
from support import cases, only, raises, retained
from support.engine import decode, encode, request
from support.features import verify

EBADF = 9
EAGAIN = 11
EACCES = 13
EINVAL = 22
ENOMEM = 12
ENODEV = 19
ETIMEDOUT_ESP32 = 116
ETIMEDOUT_LINUX = 110
EHOSTUNREACH_ESP32 = 118
EADDRINUSE = 98

TUPLE = ("10.0.0.7", 40000)
PACKED = b"\x02\x00\x9c\x40\x0a\x00\x00\x07" + bytes(8)


class Port:
    """A port's network: what it has for the node, what it got, and how it misbehaves."""

    def __init__(self, peer=TUPLE):
        self.peer = peer
        self.waiting = []  # datagrams that the network holds for the node
        self.sent = []
        self.now_ms = 0
        self.waits = []  # what ipoll() was asked to wait
        self.sockets = []
        self.asked = []  # what recvfrom() was asked for
        self.send_errors = []
        self.receive_errors = []
        self.bind_errors = []
        self.empty_kills = False  # ESP32
        self.spurious = 0  # so often poll says that there is something, and there is not

    def open(self):
        """The one socket that is open."""
        found = [sock for sock in self.sockets if not sock.closed]
        assert len(found) <= 1, "a socket was left open"
        return found[0] if found else None


class FakeSocket:
    def __init__(self, port, family, kind):
        assert kind == 2
        self.port = port
        self.closed = False
        self.dead = False
        self.bound = None
        self.blocking = True
        port.sockets.append(self)

    def setblocking(self, flag):
        self.blocking = flag

    def bind(self, address):
        if self.port.bind_errors:
            raise OSError(self.port.bind_errors.pop(0), "bind")
        self.bound = address

    def recvfrom(self, n):
        assert not self.closed and not self.blocking
        port = self.port
        port.asked.append(n)
        if self.dead:
            # modsocket.c: the peer-closed state is never left, and the address is not set
            return b"", ("93.31.0.0", 61234)
        if port.receive_errors:
            raise OSError(port.receive_errors.pop(0), "recvfrom")
        if not port.waiting:
            raise OSError(EAGAIN, "recvfrom")
        data = port.waiting.pop(0)
        if not data and port.empty_kills:
            self.dead = True
        # the excess is cut off and lost, and nobody says so
        return data[:n], port.peer

    def sendto(self, data, peer):
        assert not self.closed
        port = self.port
        assert peer is port.peer or peer == port.peer
        if port.send_errors:
            raise OSError(port.send_errors.pop(0), "sendto")
        port.sent.append(bytes(data))
        return len(data)

    def readinto(self, *_args):
        raise AssertionError("readinto() joins datagrams")

    read = recv = recv_into = recvfrom_into = readinto

    def close(self):
        assert not self.closed
        self.closed = True


class FakePoll:
    def __init__(self, port):
        self.port = port
        self.registered = []

    def register(self, stream, events):
        assert events == 1
        self.registered.append(stream)

    def unregister(self, stream):
        self.registered.remove(stream)

    def ipoll(self, wait_ms):
        port = self.port
        port.waits.append(wait_ms)
        found = []
        for stream in self.registered:
            if isinstance(stream, FakeSocket):
                assert not stream.closed
                if port.waiting or stream.dead or port.spurious or port.receive_errors:
                    found.append((stream, 1))
            elif stream.ready():
                found.append((stream, 1))
        if port.spurious:
            port.spurious -= 1
        if not found:
            assert wait_ms >= 0
            port.now_ms = (port.now_ms + wait_ms) & 0x3FFFFFFF
        return found


class FakeSocketModule:
    SOCK_DGRAM = 2
    AF_INET = 2

    def __init__(self, port):
        self.port = port

    def getaddrinfo(self, host, port):
        return [(2, 2, 0, "", (host, port))]

    def socket(self, family, kind):
        return FakeSocket(self.port, family, kind)


class on:
    """`with on(port):` udp.py meets the fake socket, poll and clock."""

    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.kept = (udp_module.socket, udp_module._Poller, udp_module.ticks_ms)
        udp_module.socket = FakeSocketModule(self.port)
        udp_module._Poller = lambda: FakePoll(self.port)
        udp_module.ticks_ms = lambda: self.port.now_ms
        return self.port

    def __exit__(self, *_error):
        udp_module.socket, udp_module._Poller, udp_module.ticks_ms = self.kept


def serving():
    node = Node()
    node.get("a")(lambda request, reply: b"ok")
    done = []
    node.post("a")(lambda request, reply: done.append(1))
    return node, done


def exchange(udp, port, data, turns=1):
    """Pass a datagram to the node; return its responses."""
    before = len(port.sent)
    port.waiting.append(data)
    for _ in range(turns):
        udp.step(10)
    return port.sent[before:]


def check(udp, port, turns=1):
    """The node serves."""
    sent = exchange(udp, port, request(GET, "a"), turns)
    assert len(sent) == 1 and decode(sent[0]).payload == b"ok", sent


# Addresses


@cases((TUPLE,), (PACKED,), (("fe80::1", 40000, 0, 2),))
def test_peers_are_handed_back_as_they_came(peer):
    with on(Port(peer)) as port:
        node, done = serving()
        udp = Udp(node)
        check(udp, port)
        data = request(POST, "a")
        first = exchange(udp, port, data)
        # an equal address, another object: ports make a new one for each datagram
        port.peer = peer[:1] + peer[1:] if isinstance(peer, tuple) else bytes(bytearray(peer))
        assert exchange(udp, port, data) == first
        assert done == [1]
        port.peer = TUPLE[:1] + (40001,) if isinstance(peer, tuple) else b"\x02\x00" + bytes(14)
        assert exchange(udp, port, data) != [] and done == [1, 1]


def test_binds_to_the_address_that_works_everywhere():
    # Pico W: "" is the IPv6 wildcard, and no IPv4 arrives (micropython issue 16740)
    with on(Port()) as port:
        Udp(serving()[0])
        assert port.open().bound == ("0.0.0.0", 5683)
        Udp(serving()[0], "127.0.0.1", 61616)
        assert port.sockets[-1].bound == ("127.0.0.1", 61616)


def test_a_port_that_is_taken():
    with on(Port()) as port:
        port.bind_errors = [EADDRINUSE]
        assert raises(OSError, Udp, serving()[0]).errno == EADDRINUSE
        assert port.open() is None


# Receiving


def test_asks_for_one_byte_more_than_a_message_has():
    with on(Port()) as port:
        udp = Udp(Node(max_payload=256))
        check_size = 256 + 128 + 1
        exchange(udp, port, request(GET, "a"))
        assert port.asked == [check_size]


@cases((1153,), (1154,), (1472,), (65507,))
def test_a_truncated_datagram_is_too_long(size):
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        head = request(POST, "a", payload=b"x")
        data = head + bytes(size - len(head))
        sent = exchange(udp, port, data)
        message = decode(sent[0])
        assert (message.code, message.uint(60)) == (0x8D, 1024)
        assert done == []
        # the longest one that fits is not
        data = request(POST, "a", payload=b"x" + bytes(1152 - len(head)))
        assert decode(exchange(udp, port, data)[0]).code == CHANGED


def test_recvfrom_is_called_when_poll_says_so_and_only_then():
    # it allocates its buffer before it looks, and an OSError when nothing is there
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        for _ in range(3):
            udp.step(10)
        assert port.asked == []
        for _ in range(5):
            port.waiting.append(request(GET, "a"))
        for _ in range(9):
            udp.step(10)
        assert len(port.asked) == len(port.sent) == 5


def test_an_empty_datagram_where_it_kills_the_socket():
    # ESP32: recvfrom() returns b"" for ever after, and poll says that there is something
    # (micropython-lib issue 736)
    with on(Port()) as port:
        port.empty_kills = True
        node, done = serving()
        udp = Udp(node)
        check(udp, port)
        for number in (1, 2, 3):
            assert exchange(udp, port, b"") == []
            for _ in range(5):
                udp.step(10)
            assert node.counters[COUNT_REOPENED] == number
            assert port.open() is not None and port.open().bound == ("0.0.0.0", 5683)
            check(udp, port)


def test_an_empty_datagram_among_others():
    for kills in (True, False):
        with on(Port()) as port:
            port.empty_kills = kills
            node, done = serving()
            udp = Udp(node)
            port.waiting = [request(GET, "a"), b"", request(GET, "a"), b"", request(GET, "a")]
            for _ in range(12):
                udp.step(10)
            assert len(port.sent) == 3
            # where it does no harm nobody can have what waits dropped by an empty datagram
            assert node.counters[COUNT_REOPENED] == (2 if kills else 0)
            check(udp, port)


def test_empty_datagrams_in_a_row_cost_others_nothing():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        port.waiting = [b"", b"", b"", request(GET, "a")]
        for _ in range(4):
            udp.step(10)
        assert node.counters[COUNT_REOPENED] == 0
        assert len(port.sent) == 1
        check(udp, port)


@cases(EINVAL, EACCES)
def test_sources_that_can_not_be_sent_to_cost_others_nothing(code):
    # port 0, and a broadcast address
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        for _ in range(20):
            port.send_errors = [code]
            assert exchange(udp, port, request(GET, "a")) == []
            check(udp, port)
        assert node.counters[COUNT_REOPENED] == 0


def test_a_host_with_many_ports_leaves_others_their_share():
    with on(Port()) as port:
        node = Node(RateLimit(20, 40))
        node.get("a")(lambda request, reply: b"ok")
        udp = Udp(node)
        for i in range(16):
            verify(node, ("10.0.0.9", 1024 + i))
        answered = 0
        for i in range(25 * 20):
            port.peer = ("10.0.0.9", 9999)
            exchange(udp, port, request(GET, "a", NON))
            port.now_ms += 30
            if i >= 25 * 5 and i % 25 == 0:
                port.peer = ("10.0.0.8", 40000 + i)
                sent = exchange(udp, port, request(GET, "a"))
                answered += len(sent) == 1 and decode(sent[0]).code == CONTENT
        assert answered == 15


def test_poll_that_is_wrong():
    # lwIP drops a datagram with a bad checksum after poll has seen it
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        for _ in range(3):
            port.spurious = 1
            udp.step(10)
        assert node.counters[COUNT_SEND_ERRORS] == 0
        assert node.counters[COUNT_REOPENED] == 0
        check(udp, port)


def test_poll_that_stays_wrong():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        port.spurious = 1000
        for _ in range(30):
            udp.step(10)
        assert node.counters[COUNT_REOPENED] > 0
        port.spurious = 0
        check(udp, port)


def test_a_burst_is_served_and_timers_have_their_turn():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        ran = []
        node.every(5, ran.append)
        udp.step(0)
        port.waiting = [request(GET, "a") for _ in range(40)]
        answered = []
        while port.waiting:
            port.now_ms += 5
            udp.step(0)
            answered.append(len(port.sent))
        assert answered == [16, 32, 40]
        assert ran == [5, 10, 15]


# Sending


@cases((ENOMEM,), (ETIMEDOUT_ESP32,), (ETIMEDOUT_LINUX,), (EHOSTUNREACH_ESP32,), (1,))
def test_an_answer_that_can_not_be_sent(error):
    # rp2: no pbuf is free (ENOMEM); ESP32: a full queue is ETIMEDOUT, and never EAGAIN
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        port.send_errors = [error]
        data = request(POST, "a")
        assert exchange(udp, port, data) == []
        assert node.counters[COUNT_SEND_ERRORS] == 1
        assert node.counters[COUNT_REOPENED] == 0
        assert str(error) in node.last_error
        # the client retransmits it: the response is repeated without executing it again
        assert decode(exchange(udp, port, data)[0]).code == CHANGED
        assert done == [1]


def test_errors_do_not_add_up_while_datagrams_come():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        for _ in range(30):
            port.send_errors = [ENOMEM]
            exchange(udp, port, request(GET, "a"))
        assert node.counters[COUNT_SEND_ERRORS] == 30
        assert node.counters[COUNT_REOPENED] == 0
        check(udp, port)


def test_errors_without_end_open_the_socket_anew():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        node.every(1000, lambda now_ms: node.messaging.open_exchange(Silent(node), port.peer))
        port.send_errors = [ENOMEM] * 20
        for _ in range(400):
            udp.step()
        assert node.counters[COUNT_REOPENED] >= 1
        # one of the node's own messages may be due again in between
        sent = [decode(data) for data in exchange(udp, port, request(GET, "a"), 5)]
        assert [message.payload for message in sent if message.kind == ACK] == [b"ok"], sent


class Silent:
    def __init__(self, node):
        self.node = node

    def transmit(self, slot, mid):
        data = encode(CON, CONTENT, mid)
        self.node.tx[: len(data)] = data
        return len(data)

    def on_exchange_done(self, slot, how):
        pass


@cases((EBADF,), (ENODEV,), (107,), (5,))
def test_an_error_of_the_socket_itself(error):
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        port.send_errors = [error]
        exchange(udp, port, request(GET, "a"))
        assert node.counters[COUNT_REOPENED] == 1
        check(udp, port)
        port.receive_errors = [error]
        udp.step(10)
        assert node.counters[COUNT_REOPENED] == 2
        check(udp, port)


def test_a_network_that_is_away_for_a_while():
    # Wi-Fi is lost: the socket fails, and no new one can be had until it is back
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        port.send_errors = [EBADF]
        port.bind_errors = [ENODEV] * 5
        node.messaging.open_exchange(Silent(node), port.peer)
        ran = []
        node.every(200, ran.append)
        exchange(udp, port, request(GET, "a"))
        assert port.open() is None
        steps = 0
        while port.open() is None:
            udp.step()
            steps += 1
            assert steps < 100, "the socket is not opened again"
        assert len(ran) > 0 or steps < 5  # the application goes on meanwhile
        check(udp, port, 4)
        assert node.counters[COUNT_REOPENED] >= 6


def test_steps_without_a_socket_take_time():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        port.send_errors = [EBADF]
        port.bind_errors = [ENODEV] * 50
        exchange(udp, port, request(GET, "a"))
        before_ms = port.now_ms
        for _ in range(10):
            udp.step()
        assert port.now_ms - before_ms >= 1000  # no busy loop
        assert port.now_ms - before_ms < 100000  # and it is tried often enough


def test_everything_that_is_due_is_sent():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        tickets = []

        @node.get("slow")
        def slow(request, reply):
            tickets.append(request.defer())
            return SEPARATE

        ack = exchange(udp, port, request(GET, "slow", token=b"1"))
        assert decode(ack[0]).code == 0
        node.respond(tickets[0], b"at last")
        del port.sent[:]
        udp.step(10)
        assert decode(port.sent[0]).payload == b"at last"
        for _ in range(20):
            udp.step()
        assert len(port.sent) == 5 and port.sent[0] == port.sent[4]
        assert node.counters[COUNT_GIVEN_UP] == 1


def test_an_ack_ends_it():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        node.messaging.open_exchange(Silent(node), port.peer)
        udp.step(10)
        mid = decode(port.sent[0]).mid
        assert exchange(udp, port, encode(ACK, 0, mid)) == []
        udp.step(100000)
        assert len(port.sent) == 1


# Waiting


def test_waits_until_something_is_due_and_no_longer_than_it_may():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        node.every(5000, lambda now_ms: None)
        udp.step(0)
        for max_ms, waits_ms in ((100, 100), (-1, 4900), (0, 0), (9000, 5000)):
            del port.waits[:]
            udp.step(max_ms)
            assert port.waits[0] == waits_ms, (max_ms, port.waits)


def test_an_idle_node_sleeps_long():
    with on(Port()) as port:
        udp = Udp(serving()[0])
        udp.step(0)
        udp.step()
        assert port.waits[-1] > 3600000 or port.waits[-2] > 3600000


# Other streams


class Stream:
    def __init__(self, lines):
        self.lines = lines

    def ready(self):
        return bool(self.lines)


def test_other_streams():
    with on(Port()) as port:
        node, done = serving()
        udp = Udp(node)
        stream = Stream([1, 2, 3])
        other = Stream([])
        got = []
        udp.watch(stream, lambda one: got.append(one.lines.pop(0)))
        udp.watch(other, lambda one: got.append("other"))
        check(udp, port, 2)
        udp.step(10)
        udp.step(10)
        assert got == [1, 2, 3]
        udp.unwatch(stream)
        stream.lines.append(4)
        udp.step(10)
        assert got == [1, 2, 3]
        # a socket that is opened anew does not lose them
        udp.watch(stream, lambda one: got.append(one.lines.pop(0)))
        exchange(udp, port, b"")
        udp.step(10)
        assert got == [1, 2, 3, 4]


def test_close():
    with on(Port()) as port:
        udp = Udp(serving()[0])
        udp.close()
        assert port.open() is None and udp.poller.registered == []
        udp.close()


def test_run():
    class Interrupted(FakePoll):
        def ipoll(self, wait_ms):
            if not self.port.waiting and self.port.sent:
                raise KeyboardInterrupt
            return super().ipoll(wait_ms)

    with on(Port()) as port:
        udp_module._Poller = lambda: Interrupted(port)
        port.waiting.append(request(GET, "a"))
        raises(KeyboardInterrupt, run, serving()[0], "127.0.0.1", 61000)
        assert len(port.sent) == 1
        assert port.sockets[0].bound == ("127.0.0.1", 61000)
        assert port.open() is None


# The machine's own sockets


def own_port():
    """A port that is probably free."""
    low, high = os.urandom(2)
    return 20000 + (low | high << 8) % 12000


def opened(node):
    for _ in range(20):
        port = own_port()
        try:
            return Udp(node, "127.0.0.1", port), port
        except OSError:
            pass
    raise AssertionError("no free port")


class Client:
    def __init__(self, port):
        self.address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.poll = select.poll()
        self.poll.register(self.sock, 1)

    def send(self, data):
        self.sock.sendto(data, self.address)

    def receive(self):
        assert self.poll.poll(20000), "no answer"
        return self.sock.recvfrom(2000)[0]

    def close(self):
        self.sock.close()


def test_on_the_machine_s_own_sockets():
    node, done = serving()
    udp, port = opened(node)
    client = Client(port)
    try:
        for data, code in (
            (request(GET, "a"), CONTENT),
            (request(GET, "nowhere"), 0x84),
            (request(POST, "a", payload=bytes(1000)), CHANGED),
            (request(POST, "a", payload=bytes(1400)), 0x8D),
            (encode(CON, 0, 7), 0),
        ):
            client.send(data)
            udp.step(2000)
            assert decode(client.receive()).code == code
        for _ in range(3):
            client.send(b"")
            udp.step(2000)
        assert node.counters[COUNT_REOPENED] == 0
        client.send(request(GET, "a"))
        udp.step(2000)
        assert decode(client.receive()).payload == b"ok"
    finally:
        client.close()
        udp.close()


def test_two_clients_are_two_peers():
    node, done = serving()
    udp, port = opened(node)
    clients = [Client(port), Client(port)]
    try:
        data = request(POST, "a")
        for client in clients * 2:
            client.send(data)
            udp.step(2000)
            assert decode(client.receive()).code == CHANGED
        assert done == [1, 1]
    finally:
        for client in clients:
            client.close()
        udp.close()


def test_step_ends_in_time():
    node, done = serving()
    udp, port = opened(node)
    try:
        start = time.time()
        for _ in range(5):
            udp.step(20)
        assert 0.05 <= time.time() - start < 30
    finally:
        udp.close()


@only("cpython")
def test_a_stream_that_is_no_longer_watched():
    node, done = serving()
    udp, port = opened(node)
    one, two = socket.socketpair()
    three, four = socket.socketpair()
    try:
        got = []
        udp.watch(one, lambda stream: (got.append(stream.recv(1)), udp.unwatch(three)))
        udp.watch(three, lambda stream: got.append(stream.recv(1)))
        two.send(b"x")
        four.send(b"y")
        udp.step(100)
        udp.step(10)
        assert got == [b"x"] or got == [b"y", b"x"]
    finally:
        for sock in (one, two, three, four):
            sock.close()
        udp.close()


def bare():
    """Return a minimal server that sends 40 bytes for each datagram."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(20):
        port = own_port()
        try:
            sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            break
        except OSError:
            pass
    poll = select.poll()
    poll.register(sock, 1)
    out = memoryview(bytearray(40))

    def step():
        for ready in poll.ipoll(2000):
            _buf, peer = ready[0].recvfrom(1153)
            ready[0].sendto(out, peer)

    return sock, port, step


@cases((GET,), (POST,))
@only("micropython")
def test_the_node_retains_what_recvfrom_returns_and_nothing_else(method):
    node, done = serving()
    node.resource_at("a").handlers[POST] = lambda request, reply: None
    data = bytearray(request(method, "a"))
    udp, port = opened(node)
    client = Client(port)
    sock = None
    try:
        sent = 0
        while sent < 30:  # each with its own MID, until nothing is new any more
            data[3] = sent
            client.send(data)
            udp.step(2000)
            client.receive()
            sent += 1

        def served():
            data[3] = data[3] + 1 & 255
            client.send(data)
            udp.step(2000)

        grown = retained(served, 8)
        sock, other_port, step = bare()
        other = Client(other_port)

        def echoed():
            other.send(data)
            step()

        assert grown == retained(echoed, 8)
        assert grown > 0
        other.close()
    finally:
        client.close()
        udp.close()
        if sock:
            sock.close()


def test_the_clock():
    first = udp_module.ticks_ms()
    assert 0 <= first < 1 << 30
    time.sleep(0.02)
    assert 10 <= (udp_module.ticks_ms() - first) & 0x3FFFFFFF < 60000
