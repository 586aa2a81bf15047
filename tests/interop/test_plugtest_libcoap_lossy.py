"""The plugtest's slow descriptions with libcoap's client: losses, and answers that come late.

All of them run at the same time on both interpreters, for they do little but wait.
"""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import aiocoapclient
import pytest
from aiocoap import PUT
from libcoapclient import request
from processes import free_port, program, simulated
from relay import Relay

INTERPRETERS = ("micropython", "cpython")
SETTLED_S = 0.4  # by then a client that was started has sent its first request
RETRANSMITTED_S = 4
LATE = b"answered separately"


def separate(node):
    exchange = request(f"{node.url}/separate", more=["-T", "8 bytes."])
    asked, ack, response, settled = exchange.messages
    assert (ack.type, ack.code, ack.mid) == ("ACK", "0.00", asked.mid), exchange.transcript
    assert (response.type, response.code) == ("CON", "2.05"), exchange.transcript
    assert len(asked.token) == 2 * 8 and response.token == asked.token, exchange.transcript
    assert (settled.type, settled.mid) == ("ACK", response.mid), exchange.transcript
    assert exchange.payload == LATE


def separate_by_non(node):
    exchange = request(f"{node.url}/separate", non=True)
    assert [m.type for m in exchange.messages] == ["NON", "NON"], exchange.transcript
    assert (exchange.reply.code, exchange.payload) == ("2.05", LATE), exchange.transcript


def lost(way):
    """The first message of this way is lost: the client sends again, the server answers."""

    def scenario(node):
        with Relay(node.port, lambda *seen: seen == (way, 1)) as relay:
            exchange = request(f"{relay.url}/test")
        assert exchange.reply.code == "2.05", exchange.transcript
        assert len({m.mid for m in exchange.messages}) == 1, exchange.transcript
        assert len(relay.lost) == 1

    return scenario


def lost_separately(number):
    """1: the empty ACK is lost, 2: the separate response, at first."""

    def scenario(node):
        with Relay(node.port, lambda *seen: seen == ("response", number)) as relay:
            exchange = request(f"{relay.url}/separate")
        assert exchange.payload == LATE, exchange.transcript
        assert len(relay.lost) == 1

    return scenario


def lost_acknowledgement(node):
    """The ACK of the separate response is lost: that comes again, and again until it is heard."""
    with Relay(node.port, lambda *seen: seen == ("request", 2)) as relay:
        request(f"{relay.url}/separate")
        time.sleep(RETRANSMITTED_S)
    responses = [data for way, data in relay.passed if way == "response" and data[1] == 0x45]
    assert len(responses) > 1 and len(set(responses)) == 1, relay.passed


def lost_of_observation(node):
    """The ACK of a notification is lost: it comes again, and no other one beside it."""
    url = f"{node.url}/obs"
    with Relay(node.port, lambda *seen: seen == ("request", 2)) as relay:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(request, f"{relay.url}/obs", more=["-s", "4"])
            time.sleep(SETTLED_S)
            aiocoapclient.request(url, PUT, b"told twice", content_format=0)
            exchange = running.result()
    told = [m for m in exchange.messages if m.payload == "told twice" and m.way == "received"]
    assert len(told) > 1, exchange.transcript
    assert {m.type for m in told} == {"CON"} and len({m.mid for m in told}) == 1


def rebooted(node):
    """A client dies; whoever has its port then knows nothing of the observation: RST ends it."""
    url, port = f"{node.url}/store/rebooted", str(free_port())
    aiocoapclient.request(url, PUT, b"at first", content_format=0)
    client = program("coap-client-notls", "coap-client", package="libcoap3-bin")
    process = subprocess.Popen([client, "-p", port, "-s", "60", url], stdout=subprocess.DEVNULL)
    time.sleep(SETTLED_S)
    process.kill()  # no time to deregister
    process.wait()
    heard = []
    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            more = ["-p", port, "-T", "other"]
            running = pool.submit(request, f"{node.url}/separate", more=more)
            time.sleep(SETTLED_S)
            aiocoapclient.request(url, PUT, b"for nobody", content_format=0)
            exchange = running.result()
        strange = [m for m in exchange.messages if m.payload == "for nobody"]
        resets = [m.mid for m in exchange.messages if (m.way, m.type) == ("sent", "RST")]
        assert [m.mid for m in strange] == resets, exchange.transcript
        heard.append(len(resets))
    assert heard == [1, 0], exchange.transcript


SCENARIOS = {
    "separate": separate,
    "separate_by_non": separate_by_non,
    "lost_request": lost("request"),
    "lost_response": lost("response"),
    "lost_empty_ack": lost_separately(1),
    "lost_separate_response": lost_separately(2),
    "lost_acknowledgement": lost_acknowledgement,
    "lost_of_observation": lost_of_observation,
    "rebooted": rebooted,
}


@pytest.fixture(scope="module")
def runs():
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


@pytest.fixture(params=INTERPRETERS)
def done(request, runs):
    """done(scenario): its end on this interpreter; what it raised is raised here."""
    return lambda name: runs[name, request.param].result()


def test_core_09_11_separate(done):
    done("separate")


def test_core_17_separate_by_non(done):
    done("separate_by_non")


@pytest.mark.parametrize("what", ["lost_request", "lost_response"])
def test_core_15_lossy(done, what):
    done(what)


@pytest.mark.parametrize(
    "what", ["lost_empty_ack", "lost_separate_response", "lost_acknowledgement"]
)
def test_core_16_lossy_separate(done, what):
    done(what)


def test_obs_06_reset_by_a_client_that_knows_nothing(done):
    done("rebooted")


def test_obs_11_lossy_observation(done):
    done("lost_of_observation")
