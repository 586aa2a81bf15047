"""Format errors (RFC 7252 section 3) and messages that nobody asked for (section 4)."""

from client import ACK, EMPTY, RST, SILENCE_S, Message
from registry import check, want

MID = b"\x5a\xa5"


def rejected(subject, *datagrams):
    """Each CON among the datagrams is answered by RST, then the server still answers."""
    for datagram in datagrams:
        client = subject.client()
        client.raw(datagram)
        answer = client.receive(1)
        want(answer is not None, f"silence to {datagram.hex()}, RST was due")
        is_reset = answer.kind == RST and answer.code == EMPTY and answer.mid == 0x5AA5
        want(is_reset, f"{datagram.hex()} is not answered by RST with its MID", answer)
    ping(subject)


def ignored(subject, *datagrams):
    """None of the datagrams is answered, then the server still answers."""
    client = subject.client()
    for datagram in datagrams:
        client.raw(datagram)
    answer = client.receive(SILENCE_S)
    want(answer is None, f"an answer to {', '.join(d.hex() for d in datagrams)}", answer)
    ping(subject)


def ping(subject):
    client = subject.client()
    request = client.send(Message(0, EMPTY, client.next_mid()))
    answer = client.receive()
    want(answer is not None, "no Reset to a ping")
    want(answer.kind == RST and answer.mid == request.mid, "not a Reset", answer)
    return answer


@check("7252 3", "an empty datagram, 1, 2 and 3 bytes: silence")
def short(subject):
    ignored(subject, b"", b"\x40", b"\x40\x01", b"\x40\x01\x5a")


@check("7252 3", "version 0, 2 and 3: silence")
def version(subject):
    ignored(subject, b"\x00\x01" + MID, b"\x80\x01" + MID, b"\xc0\x01" + MID)


@check("7252 3", "token length 9 to 15: RST to CON")
def token_length(subject):
    rejected(subject, *[bytes([0x40 | n, 1]) + MID + bytes(n) for n in (9, 12, 15)])


@check("7252 3", "token longer than the datagram: RST to CON")
def token_cut(subject):
    rejected(subject, b"\x44\x01" + MID + b"abc")


@check("7252 3", "payload marker without payload: RST to CON")
def marker(subject):
    rejected(subject, b"\x40\x01" + MID + b"\xb4test\xff")


@check("7252 3.1", "option nibble 15 that is no marker: RST to CON")
def nibble(subject):
    rejected(subject, b"\x40\x01" + MID + b"\xf1x", b"\x40\x01" + MID + b"\xbfx")


@check("7252 3.1", "option value beyond the end: RST to CON")
def option_cut(subject):
    rejected(subject, b"\x40\x01" + MID + b"\xb5test", b"\x40\x01" + MID + b"\xbd")


@check("7252 3.1", "option number over 65535: RST to CON")
def option_number(subject):
    rejected(subject, b"\x40\x01" + MID + b"\xe0\xff\xf0\xe0\xff\xf0")


@check("7252 3", "format errors in NON: no answer but RST")
def non_format(subject):
    client = subject.client()
    for datagram in (b"\x50\x01" + MID + b"\xb4test\xff", b"\x59\x01" + MID + bytes(9)):
        client.raw(datagram)
    answer = client.receive(SILENCE_S)
    want(answer is None or answer.kind == RST, "an answer to a NON with a format error", answer)


@check("7252 4.1", "Empty message with a token or more: RST to CON")
def empty(subject):
    rejected(subject, b"\x41\x00" + MID + b"t", b"\x40\x00" + MID + b"\xb4test")


@check("7252 4.2", "reserved code classes 1, 6 and 7: RST to CON")
def classes(subject):
    rejected(subject, *[bytes([0x40, code]) + MID for code in (0x20, 0xC5, 0xE1)])


@check("7252 4.2", "CON response that nobody asked for: RST")
def stray_con(subject):
    rejected(subject, b"\x42\x45" + MID + b"to\xffpayload")


@check("7252 4.3", "NON response that nobody asked for: no answer but RST")
def stray_non(subject):
    client = subject.client()
    client.raw(b"\x52\x45" + MID + b"to\xffpayload")
    answer = client.receive(SILENCE_S)
    want(answer is None or answer.kind == RST, "answered", answer)


@check("7252 4.2", "ACK and RST are never answered, whatever they hold")
def stray_ack(subject):
    ignored(
        subject,
        b"\x60\x00" + MID,
        b"\x70\x00" + MID,
        b"\x60\x01" + MID + b"\xb4test",
        b"\x70\x01" + MID + b"\xb4test",
        b"\x6f\x45" + MID,
        b"\x60\x45" + MID + b"\xff",
        b"\x60\xe1" + MID,
    )


@check("7252 4.3", "ping: CON Empty is answered by RST", plugtest="CORE_31")
def pinged(subject):
    answer = ping(subject)
    want(not answer.options and not answer.payload and not answer.token, "not 4 bytes", answer)


@check("7252 4.2", "an ACK with a request is no request", "counter")
def ack_request(subject, counter):
    client = subject.client()
    before = client.ask("GET", counter).payload
    client.send(client.request("POST", counter, kind=ACK))
    want(client.receive(SILENCE_S) is None, "an ACK was answered")
    want(client.ask("GET", counter).payload == before, "the request in an ACK was executed")
