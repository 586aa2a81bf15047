"""The plugtest's slow descriptions with libcoap's client: losses, and late responses.

All run at the same time on both interpreters, for they mostly wait.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import aiocoapclient
import pytest
from aiocoap import PUT
from libcoapclient import observing, request
from processes import free_port, simulated
from relay import Relay

INTERPRETERS = ("micropython", "cpython")
RETRANSMITTED_S = 60  # at the latest, on any computer
SILENCE_S = 1
LATE = b"answered separately"
EMPTY, CONTENT = 0, 0x45
ACK = 2


def separate(node):
    exchange = request(f"{node.url}/separate", more=["-T", "8 bytes."])
    asked, ack, response, settled = exchange.distinct
    assert (ack.type, ack.code, ack.mid) == ("ACK", "0.00", asked.mid), exchange.transcript
    assert (response.type, response.code) == ("CON", "2.05"), exchange.transcript
    assert len(asked.token) == 2 * 8 and response.token == asked.token, exchange.transcript
    assert (settled.type, settled.mid) == ("ACK", response.mid), exchange.transcript
    assert exchange.payload == LATE


def separate_by_non(node):
    exchange = request(f"{node.url}/separate", non=True)
    assert [m.type for m in exchange.messages] == ["NON", "NON"], exchange.transcript
    assert (exchange.response.code, exchange.payload) == ("2.05", LATE), exchange.transcript


def first(wanted, is_it=lambda data: True):
    """What a Relay loses: the first datagram of a way that is_it(datagram) is true for."""
    left = [wanted]

    def lose(way, data):
        if way not in left or not is_it(data):
            return False
        left.clear()
        return True

    return lose


def is_ack(data):
    return data[0] >> 4 & 3 == ACK


def lost(way):
    """The first message of this way is lost: the request is sent again and gets a response."""

    def scenario(node):
        with Relay(node.port, first(way)) as relay:
            exchange = request(f"{relay.url}/test")
        assert exchange.response.code == "2.05", exchange.transcript
        assert len({m.mid for m in exchange.messages}) == 1, exchange.transcript
        assert len(relay.lost) == 1

    return scenario


def lost_separately(code):
    """EMPTY: the empty ACK is lost, CONTENT: the separate response, at first."""

    def scenario(node):
        with Relay(node.port, first("response", lambda data: data[1] == code)) as relay:
            exchange = request(f"{relay.url}/separate")
        assert exchange.payload == LATE, exchange.transcript
        assert len(relay.lost) == 1

    return scenario


def lost_acknowledgement(node):
    """The ACK of the separate response is lost: the response is sent again."""
    with Relay(node.port, first("request", is_ack)) as relay:
        request(f"{relay.url}/separate")
        end = time.monotonic() + RETRANSMITTED_S
        while len(responses(relay)) < 2 and time.monotonic() < end:
            time.sleep(0.02)
    assert len(responses(relay)) > 1 and len(set(responses(relay))) == 1, relay.passed


def responses(relay):
    return [data for way, data in relay.passed if way == "response" and data[1] == CONTENT]


def lost_of_observation(node):
    """The ACK of a notification is lost: the notification is sent again, and no other one."""

    def notified():
        return [m for m in client.received("2.05") if m.payload == "sent twice"]

    with Relay(node.port, first("request", is_ack)) as relay:
        with observing(f"{relay.url}/obs") as client:
            aiocoapclient.request(f"{node.url}/obs", PUT, b"sent twice", content_format=0)
            client.until(lambda: len(notified()) > 1)
            assert {(m.type, m.mid) for m in notified()} == {("CON", notified()[0].mid)}


def rebooted(node):
    """A client dies; the next one on its port ends the observation by RST."""
    url, port = f"{node.url}/store/rebooted", str(free_port())
    aiocoapclient.request(url, PUT, b"at first", content_format=0)
    with observing(url, more=["-p", port], ended=signal.SIGKILL):
        pass  # no time to deregister
    counts = []
    for expected in (1, 0):
        with observing(f"{node.url}/obs", more=["-p", port, "-T", "other"]) as client:
            aiocoapclient.request(url, PUT, b"for a client that is gone", content_format=0)
            if expected:
                client.until(lambda: resets(client))
            else:
                time.sleep(SILENCE_S)
        strange = [
            m.mid for m in client.exchange.distinct if m.payload == "for a client that is gone"
        ]
        assert strange == resets(client.exchange), client.exchange.transcript
        counts.append(len(strange))
    assert counts == [1, 0], client.exchange.transcript


def resets(exchange):
    return [m.mid for m in exchange.distinct if (m.way, m.type) == ("sent", "RST")]


# By the plugtest's descriptions: core_15_... is TD_COAP_CORE_15.
SCENARIOS = {
    "core_09_11_separate": separate,
    "core_17_separate_by_non": separate_by_non,
    "core_15_lost_request": lost("request"),
    "core_15_lost_response": lost("response"),
    "core_16_lost_empty_ack": lost_separately(EMPTY),
    "core_16_lost_separate_response": lost_separately(CONTENT),
    "core_16_lost_acknowledgement": lost_acknowledgement,
    "obs_11_lost_acknowledgement_of_a_notification": lost_of_observation,
    "obs_06_reset_by_a_client_that_knows_nothing": rebooted,
}


@pytest.fixture(scope="module")
def outcomes():
    """All scenarios on both interpreters, under way: (scenario, interpreter) -> future."""
    with (
        simulated("micropython", "plugtest") as one,
        simulated("cpython", "plugtest") as other,
        ThreadPoolExecutor(2 * len(SCENARIOS)) as pool,
    ):
        nodes = dict(zip(INTERPRETERS, (one, other), strict=True))
        yield {
            (name, interpreter): pool.submit(scenario, node)
            for name, scenario in SCENARIOS.items()
            for interpreter, node in nodes.items()
        }


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("client", ["libcoap"])
def test_scenario(outcomes, client, scenario, interpreter):
    outcomes[scenario, interpreter].result()
