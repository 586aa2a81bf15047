"""Requests to a multicast group, over loopback, as libcoap sends them (RFC 7252 section 8)."""

import re

import libcoapclient
import pytest
from processes import HOST, simulated

GROUP = "224.0.1.187"
# from this interface, and longer than the leisure of the node
MORE = ("-a", HOST, "-B", "6")


@pytest.fixture(scope="module", params=["micropython", "cpython"])
def member(request):
    arguments = ("--group", GROUP, "--iface", HOST)
    with simulated(request.param, "plugtest", *arguments) as process:
        yield process


def ask(member, path):
    url = f"coap://{GROUP}:{member.port}/{path}"
    return libcoapclient.request(url, non=True, more=MORE)


def test_discovery_is_answered_from_the_address_of_the_node(member):
    exchange = ask(member, ".well-known/core?rt=Type1")
    assert (exchange.reply.type, exchange.reply.code) == ("NON", "2.05"), exchange.transcript
    assert "</link1>" in exchange.payload.decode(), exchange.transcript
    senders = re.findall(r"<-> (\S+) UDP : received", exchange.transcript)
    assert senders == [f"{HOST}:{member.port}"], exchange.transcript


def test_a_filter_that_nothing_matches_is_not_answered(member):
    with pytest.raises(pytest.fail.Exception, match="no response") as raised:
        ask(member, ".well-known/core?rt=nobody")
    transcript = str(raised.value)
    assert "sent" in transcript and "received" not in transcript
