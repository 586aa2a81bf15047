"""Requests to a multicast group, over loopback, as libcoap sends them (RFC 7252 section 8)."""

import re

import libcoapclient
import pytest
from processes import HOST, simulated

GROUP = "224.0.1.187"
# from this interface; what has not come by then, after the leisure of the node, is not coming
FROM = ("-a", HOST)
SILENCE_S = 6


@pytest.fixture(scope="module", params=["micropython", "cpython"])
def member(request):
    arguments = ("--group", GROUP, "--iface", HOST)
    with simulated(request.param, "plugtest", *arguments) as process:
        yield process


def url_of(member, query):
    return f"coap://{GROUP}:{member.port}/.well-known/core?{query}"


def test_discovery_is_answered_from_the_address_of_the_node(member):
    with libcoapclient.listening(url_of(member, "rt=Type1"), non=True, more=FROM) as client:
        pass
    exchange = client.exchange
    assert (exchange.response.type, exchange.response.code) == ("NON", "2.05"), exchange.transcript
    assert "</link1>" in exchange.payload.decode(), exchange.transcript
    senders = re.findall(r"<-> (\S+) UDP : received", exchange.transcript)
    assert senders == [f"{HOST}:{member.port}"], exchange.transcript


def test_a_filter_that_nothing_matches_is_not_answered(member):
    with pytest.raises(pytest.fail.Exception, match="no response") as raised:
        more = (*FROM, "-B", str(SILENCE_S))
        libcoapclient.request(url_of(member, "rt=nobody"), non=True, more=more)
    transcript = str(raised.value)
    assert "sent" in transcript and "received" not in transcript
