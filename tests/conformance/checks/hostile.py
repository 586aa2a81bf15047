"""Format errors (RFC 7252 section 3) and messages without a request (section 4)."""

from coap.numbers import ACK, RST
from conformance.check import check, want
from conformance.client import EMPTY, SILENCE_S, Message

MID = b"\x5a\xa5"


def rejected(subject, *datagrams):
    """Check that each of the datagrams, all CON, brings an RST, and that the server lives on."""
    for datagram in datagrams:
        client = subject.client()
        client.raw(datagram)
        response = client.receive(1)
        want(response is not None, f"silence to {datagram.hex()} instead of RST")
        is_reset = response.kind == RST and response.code == EMPTY and response.mid == 0x5AA5
        want(is_reset, f"no RST with the MID of {datagram.hex()}", response)
    ping(subject)


def ignored(subject, *datagrams):
    """Check that none of the datagrams brings a message, and that the server lives on."""
    client = subject.client()
    for datagram in datagrams:
        client.raw(datagram)
    response = client.receive(SILENCE_S)
    want(response is None, f"a message after {', '.join(d.hex() for d in datagrams)}", response)
    ping(subject)


def ping(subject):
    client = subject.client()
    request = client.send(Message(0, EMPTY, client.next_mid()))
    response = client.receive()
    want(response is not None, "no Reset to a ping")
    want(response.kind == RST and response.mid == request.mid, "not a Reset", response)
    return response


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


@check("7252 3", "format errors in NON: silence or RST")
def non_format(subject):
    client = subject.client()
    for datagram in (b"\x50\x01" + MID + b"\xb4test\xff", b"\x59\x01" + MID + bytes(9)):
        client.raw(datagram)
    response = client.receive(SILENCE_S)
    want(
        response is None or response.kind == RST,
        "a response to a NON with a format error",
        response,
    )


@check("7252 4.1", "Empty message with a token or more: RST to CON")
def empty(subject):
    rejected(subject, b"\x41\x00" + MID + b"t", b"\x40\x00" + MID + b"\xb4test")


@check("7252 4.2", "reserved code classes 1, 6 and 7: RST to CON")
def classes(subject):
    rejected(subject, *[bytes([0x40, code]) + MID for code in (0x20, 0xC5, 0xE1)])


@check("7252 4.2", "CON response without a request: RST")
def stray_con(subject):
    rejected(subject, b"\x42\x45" + MID + b"to\xffpayload")


@check("7252 4.3", "NON response without a request: silence or RST")
def stray_non(subject):
    client = subject.client()
    client.raw(b"\x52\x45" + MID + b"to\xffpayload")
    response = client.receive(SILENCE_S)
    want(response is None or response.kind == RST, "a response", response)


@check("7252 4.2", "ACK and RST bring silence, whatever they hold")
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


@check("7252 4.3", "ping: RST to a CON Empty", plugtest="CORE_31")
def pinged(subject):
    response = ping(subject)
    want(
        not response.options and not response.payload and not response.token,
        "not 4 bytes",
        response,
    )


@check("7252 4.2", "an ACK with a request is no request", "counter")
def ack_request(subject, counter):
    client = subject.client()
    before = client.ask("GET", counter).payload
    client.send(client.request("POST", counter, kind=ACK))
    want(client.receive(SILENCE_S) is None, "a message after an ACK")
    want(client.ask("GET", counter).payload == before, "the request in an ACK was executed")
