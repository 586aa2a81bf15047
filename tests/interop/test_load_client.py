"""The bench's load client counts right: against servers that lie, forget and fall silent."""

import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import aiocoap
import pytest
from processes import HOST, ROOT, free_port

sys.path.append(str(ROOT / "tools" / "bench"))

import programs  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")

ACK_CONTENT = bytes([0x64, 0x45])
LONG_MS = 30_000  # a peer here may be late, but what it is asked gets to it


class Peer:
    """A UDP server in a thread: `answer(datagram)` gives the datagrams to send back."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.settimeout(0.1)
        self.port = self.sock.getsockname()[1]
        self.ended = False
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.sock.close()

    def serve(self):
        while not self.ended:
            try:
                datagram, address = self.sock.recvfrom(2048)
            except TimeoutError:
                continue
            self.requests.append((address, datagram))
            for answer in self.answer(datagram):
                self.sock.sendto(answer, address)


def load(port, *arguments):
    """Run the load client for a moment; return the finished process."""
    command = [programs.load_client("load"), "--port", port, "--warmup", 0, "--seconds", 0.2]
    command += ["--retransmit-ms", LONG_MS, *arguments]
    return subprocess.run([str(a) for a in command], capture_output=True, text=True, timeout=120)


def report(port, *arguments):
    """Run the load client for a moment; return its report."""
    done = load(port, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def content(datagram):
    return [ACK_CONTENT + datagram[2:8] + b"\xffopen"]


def test_right_answers_are_counted_without_errors():
    with Peer(content) as peer:
        stats = report(peer.port, "--sockets", 2, "--window", 3, "--count", 200)
    outstanding = 2 * 3
    assert 0 <= len(peer.requests) - stats["requests"] <= 2 * outstanding
    assert len({address for address, _ in peer.requests}) == 2
    # so few are done within milliseconds, of which a tenth is printed
    assert stats["requests"] / stats["rate"] == pytest.approx(stats["seconds"], abs=1e-4)
    assert 0 < stats["p50_us"] <= stats["p99_us"]
    assert (stats["code"], stats["response_bytes"]) == ("2.05", 13)
    for counter in ("errors", "bad_codes", "retransmitted", "unexpected"):
        assert stats[counter] == 0, stats


def test_every_request_has_a_new_mid_and_token():
    with Peer(content) as peer:
        report(peer.port, "--sockets", 1, "--window", 4)
    requests = [datagram for _, datagram in peer.requests]
    assert len({datagram[2:4] for datagram in requests}) == len(requests)
    assert len({datagram[4:8] for datagram in requests}) == len(requests)


@pytest.mark.parametrize(
    "lie",
    [
        lambda d: ACK_CONTENT + d[2:7] + bytes([d[7] ^ 1]) + b"\xffopen",  # another token
        lambda d: bytes([0x54]) + content(d)[0][1:],  # NON instead of ACK
        lambda d: bytes([0xA4]) + content(d)[0][1:],  # version 2
        lambda d: bytes([0x60]) + content(d)[0][1:],  # no token
        lambda d: content(d)[0][:6],  # cut off
    ],
    ids=["token", "type", "version", "token-length", "short"],
)
def test_a_wrong_answer_is_an_error_and_settles_nothing(lie):
    with Peer(lambda datagram: [lie(datagram), *content(datagram)]) as peer:
        stats = report(peer.port)
    assert stats["requests"] > 0
    assert abs(stats["errors"] - stats["requests"]) <= 2 * 8 * 8


def test_an_answer_with_a_foreign_mid_settles_nothing():
    def foreign(datagram):
        return [ACK_CONTENT + bytes([datagram[2] ^ 0x80]) + datagram[3:8], *content(datagram)]

    with Peer(foreign) as peer:
        stats = report(peer.port)
    assert stats["errors"] == 0
    assert abs(stats["unexpected"] - stats["requests"]) <= 2 * 8 * 8


def test_other_codes_than_expected_are_counted():
    with Peer(lambda d: [bytes([0x64, 0x84]) + d[2:8]]) as peer:
        stats = report(peer.port)
        assert stats["bad_codes"] == stats["requests"] > 0
        assert stats["code"] == "4.04"
        assert report(peer.port, "--expect", "4.04")["bad_codes"] == 0


def test_a_lost_request_is_sent_again_as_it_was():
    met = set()

    def forget_the_first(datagram):
        if datagram in met:
            return content(datagram)
        met.add(datagram)
        return []

    with Peer(forget_the_first) as peer:
        stats = report(peer.port, "--sockets", 1, "--window", 2, "--retransmit-ms", 50)
    assert stats["retransmitted"] >= stats["requests"] > 0
    assert stats["errors"] == 0
    assert stats["p50_us"] >= 50000


def test_duplicates_repeat_one_message_per_socket():
    with Peer(content) as peer:
        stats = report(peer.port, "--duplicate", "--sockets", 2, "--window", 3, "--count", 60)
    assert stats["requests"] == 60
    assert stats["errors"] == stats["unexpected"] == 0
    assert len(set(peer.requests)) == 2


def test_count_sends_exactly_so_many():
    with Peer(content) as peer:
        assert report(peer.port, "--count", 100)["requests"] == 100
        assert report(peer.port, "--count", 3)["requests"] == 3
    assert len(peer.requests) == 103


BODY = bytes(97 + i % 23 for i in range(100))


def block(datagram, size=32, body=BODY):
    """The part of a body that a request asks for, as an ACK with Block2 of 32 bytes."""
    asked = aiocoap.Message.decode(datagram).opt.block2
    number = asked.block_number if asked else 0
    more = (number + 1) * size < len(body)
    part = body[number * size : (number + 1) * size]
    return [
        ACK_CONTENT + datagram[2:8] + bytes([0xD1, 10, number << 4 | more << 3 | 1, 255]) + part
    ]


def test_a_body_in_blocks_counts_once():
    with Peer(block) as peer:
        stats = report(peer.port, "--path", "b", "--body", 100, "--count", 30, "--window", 2)
    assert stats["requests"] == 30
    assert stats["errors"] == stats["unexpected"] == stats["retransmitted"] == 0
    assert len(peer.requests) == 30 * 4
    asked = [aiocoap.Message.decode(datagram) for _, datagram in peer.requests]
    assert {m.opt.block2.block_number if m.opt.block2 else 0 for m in asked} == {0, 1, 2, 3}
    assert {m.opt.uri_path for m in asked} == {("b",)}


def refused(body):
    """What the load client says of a body other than BODY."""
    with Peer(lambda datagram: block(datagram, body=body)) as peer:
        return load(peer.port, "--path", "b", "--body", 100)


def test_another_body_is_no_answer():
    bodies = [BODY[:-1], BODY + b"i", BODY[1:] + b"i", b"x" * 100]
    with ThreadPoolExecutor(len(bodies)) as pool:  # each is given up after some seconds
        for done in pool.map(refused, bodies):
            assert (done.returncode, done.stdout) == (2, "")
            assert "no valid answer" in done.stderr


def test_echo_wants_the_datagram_back():
    with Peer(lambda datagram: [datagram]) as peer:
        stats = report(peer.port, "--echo")
    assert stats["requests"] > 0
    assert stats["errors"] == 0
    with Peer(lambda d: [d[:-1] + bytes([d[-1] ^ 1]), d]) as peer:
        assert report(peer.port, "--echo")["errors"] > 0


def test_the_request_is_encoded_as_asked():
    path = f"s/{'long' * 70}/x"
    with Peer(content) as peer:
        arguments = ["--method", "put", "--path", path, "--query", "a=1&b", "--payload", "{}"]
        report(peer.port, *arguments, "--content-format", 50, "--accept", 11542, "--count", 1)
    message = aiocoap.Message.decode(peer.requests[0][1])
    assert (message.mtype, message.code) == (aiocoap.CON, aiocoap.PUT)
    assert message.opt.uri_path == ("s", "long" * 70, "x")
    assert message.opt.uri_query == ("a=1", "b")
    assert (message.opt.content_format, message.opt.accept) == (50, 11542)
    assert message.payload == b"{}"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--nonsense"], "--nonsense"),
        (["--port"], "--port"),
        (["--port", "x"], "--port: give a number from 1 to 65535"),
        (["--method", "steal"], "get, post"),
        (["--expect", "ok"], "2.05"),
        (["--host", "localhost"], "numeric"),
        (["--payload", "x" * 1500], "1500 bytes"),
        (["--port", "free"], "nothing listens"),
    ],
    ids=lambda value: value[-1][:12] if isinstance(value, list) else "",
)
def test_what_cannot_work_ends_with_one_line(arguments, complaint):
    # the row cannot name the port: every process that collects it must find the same rows
    arguments = [str(free_port()) if argument == "free" else argument for argument in arguments]
    done = load(5683, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
