"""The message layer: duplicates, retransmission, separate responses (RFC 7252 section 4, 5.2)."""

from coap.numbers import ACK, CON, NON
from conformance.check import check, want, want_code
from conformance.client import EMPTY, SILENCE_S, Failed

RETRANSMIT_S = 4.5  # more than ACK_TIMEOUT * ACK_RANDOM_FACTOR


@check("7252 4.2", "the response to a CON is in the ACK with its MID", "test")
def piggybacked(subject, test):
    client = subject.client()
    request = client.send(client.request("GET", test))
    response = client.response(request)
    want(response.kind == ACK and response.mid == request.mid, "not piggybacked", response)


@check("7252 4.3", "the responses to NON are NON with MIDs of their own", "test")
def non(subject, test):
    client = subject.client()
    responses = [client.ask("GET", test, kind=NON) for _ in range(3)]
    for response in responses:
        want(response.kind == NON, "not NON", response)
    want(len({response.mid for response in responses}) == 3, "a MID was used again", responses[0])


@check("7252 4.5", "a repeated CON POST is executed once; same response", "counter")
def duplicate(subject, counter):
    client = subject.client()
    client.ask("POST", counter)
    before = int(client.ask("GET", counter).payload)
    request = client.request("POST", counter)
    responses = [client.response(client.send(request)) for _ in range(3)]
    times = int(client.ask("GET", counter).payload) - before
    want(times == 1, f"executed {times} times")
    for response in responses:
        want(response.encode() == responses[0].encode(), "another response", response)


@check("7252 4.5", "a repeated NON POST is executed once", "counter")
def duplicate_non(subject, counter):
    client = subject.client()
    client.ask("POST", counter)
    before = int(client.ask("GET", counter).payload)
    request = client.request("POST", counter, kind=NON)
    for _ in range(3):
        client.send(request)
    want_code(client.response(request), "2.04")
    subject.clock.sleep(SILENCE_S)
    times = int(client.ask("GET", counter).payload) - before
    want(times == 1, f"executed {times} times")


@check("7252 4.5", "the same MID from another port is another request", "counter")
def other_port(subject, counter):
    one, other = subject.client(), subject.client()
    one.ask("POST", counter)
    before = int(one.ask("GET", counter).payload)
    for client in (one, other):  # to the last byte the same
        client.ask("POST", counter, mid=0x1234, token=b"same")
    want(int(one.ask("GET", counter).payload) == before + 2, "taken for a duplicate")


@check("7252 5.3.1", "tokens of 0 to 8 bytes come back", "test", plugtest="CORE_10 CORE_12")
def tokens(subject, test):
    client = subject.client()
    for length in range(9):
        response = client.ask("GET", test, token=bytes(range(length)))
        want_code(response, "2.05")
        want(response.token == bytes(range(length)), "not the token", response)


def separate_response(client, path, kind=CON, acknowledge=True, **parts):
    """Return the empty ACK (None for a NON request) and the separate response."""
    request = client.send(client.request("GET", path, kind=kind, **parts))
    first = client.reaction(request)
    want(first is not None, "no response")
    if kind == NON:
        return None, first
    if first.kind != ACK:
        raise Failed(f"no ACK before the response: {first}")
    want(first.code == EMPTY and not first.token, "not an empty ACK", first)
    response = client.reaction(request, 5)
    want(response is not None, "no response after the empty ACK")
    want(response.kind == CON, "not CON", response)
    if acknowledge:
        client.acknowledge(response)
    return first, response


@check("7252 5.2.2", "an empty ACK, then a CON response", "separate", plugtest="CORE_09 CORE_11")
def separate(subject, path):
    client = subject.client()
    _, response = separate_response(client, path, token=b"separate")
    want_code(response, "2.05")
    want(response.payload, "no payload", response)
    want(client.receive(RETRANSMIT_S) is None, "sent again though it was acknowledged")


@check("7252 5.2.3", "NON: no ACK, one late NON response", "separate", plugtest="CORE_17")
def separate_non(subject, path):
    client = subject.client()
    _, response = separate_response(client, path, NON)
    want(response.kind == NON, "not NON", response)
    want_code(response, "2.05")
    want(response.payload, "no payload", response)


@check("7252 4.2", "a lost response: the repeated GET gets one too", "test", plugtest="CORE_15")
def lost_piggybacked(subject, test):
    client = subject.client()
    request = client.request("GET", test)
    for _ in range(2):
        response = client.response(client.send(request))
        want_code(response, "2.05")
        want(response.kind == ACK and response.mid == request.mid, "not in the ACK", response)


@check("7252 4.2", "a lost separate response comes again", "separate", plugtest="CORE_16")
def lost_separate(subject, path):
    client = subject.client()
    _, first = separate_response(client, path, acknowledge=False)
    again = client.receive(RETRANSMIT_S)
    want(again is not None, "no retransmission")
    want(again.encode() == first.encode(), "not the same message", again)
    client.acknowledge(again)
    want(client.receive(RETRANSMIT_S) is None, "sent again though it was acknowledged")


@check("7252 5.2.2", "a lost empty ACK comes again", "separate", plugtest="CORE_16")
def lost_ack(subject, path):
    client = subject.client()
    request = client.send(client.request("GET", path))
    want(client.reaction(request).code == EMPTY, "no empty ACK")
    client.send(request)
    again = client.reaction(request)
    want(again is not None and again.code == EMPTY, "not the empty ACK again", again)
    response = client.response(request, 5)
    want_code(response, "2.05")
    extra = client.receive(SILENCE_S)
    want(extra is None, "a second response to the repeated request", extra)


@check("7252 4.2", "RST ends a separate response", "separate")
def reset_response(subject, path):
    client = subject.client()
    _, response = separate_response(client, path, acknowledge=False)
    client.reset(response)
    want(client.receive(RETRANSMIT_S) is None, "sent again after a Reset")
