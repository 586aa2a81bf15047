"""The plugtest's resources for TD_COAP_OBS, in virtual time."""

from coap.numbers import BLOCK2, CON, DELETE, GET, JSON, NON, OBSERVE
from coap.transports.wire import Wire
from support import cases
from support.engine import Peer, due, get, request, silent
from support.plugtest_node import code, observe, plugnode, put, send, told


@cases(("obs", CON), ("obs-non", NON))
def test_clocks_tell_every_five_seconds(path, kind):
    node = plugnode()
    first = observe(node, path)
    assert (first.payload, first.uint(14)) == (b"tick 0", 5)
    number = first.uint(OBSERVE)
    for tick in range(1, 30):
        assert due(node, 5000 * tick - 1) == []
        message = told(node, 5000 * tick)
        # each 20th is CON, so that a client that is gone is found out
        assert message.kind == (CON if tick == 20 else kind)
        assert message.payload == b"tick %d" % tick
        assert message.uint(OBSERVE) > number
        number = message.uint(OBSERVE)


def test_a_put_lasts_one_whole_period():
    node = plugnode()
    observe(node, "obs")
    put(node, "obs", b"put", now_ms=4000)
    assert told(node, 4000).payload == b"put"
    assert due(node, 8999) == []
    assert get(node, "obs", now_ms=8999).payload == b"put"
    assert told(node, 9000).payload == b"tick 1"
    for i in range(50):  # a timer that is not given back would run out of slots
        assert code(put(node, "obs", b"%d" % i, now_ms=9000)) == "2.04"


def test_delete_ends_obs_and_put_brings_it_back():
    node = plugnode()
    observe(node, "obs")
    assert code(send(node, DELETE, "obs", now_ms=1000)) == "2.02"
    last = told(node, 1000)
    assert (code(last), last.uint(OBSERVE)) == ("4.04", None)
    assert due(node, 60000) == []
    assert code(get(node, "obs")) == "4.04"
    assert code(put(node, "obs", b"back", now_ms=60000)) == "2.01"
    assert get(node, "obs").payload == b"back"
    observe(node, "obs", now_ms=60000)
    assert due(node, 60000) == []
    assert told(node, 65000).payload.startswith(b"tick ")


def test_another_format_ends_obs():
    node = plugnode()
    observe(node, "obs")
    put(node, "obs", b"{}", JSON)
    last = told(node, 0)
    assert (code(last), last.uint(OBSERVE)) == ("4.06", None)
    put(node, "obs", b"text")
    assert due(node, 1) == []


def test_obs_large_and_obs_pumping_need_blocks():
    node = plugnode()
    first = observe(node, "obs-large")
    assert (first.uint(BLOCK2), len(first.payload)) == (14, 1024)
    message = told(node, 5000)
    assert (message.uint(BLOCK2), len(message.payload)) == (14, 1024)
    assert code(put(node, "obs-large", b"small", now_ms=5001)) == "2.04"
    assert told(node, 5001).payload == b"small"
    node = plugnode()
    observe(node, "obs-pumping")
    seen = [told(node, 500 * tick).uint(BLOCK2) for tick in range(1, 9)]
    assert seen == [14, None, 14, None] * 2


def test_pumping_tells_the_newest_to_one_who_is_slow():
    node = plugnode()
    observe(node, "obs-pumping")
    due(node, 500)
    sent = []
    for now_ms in range(1000, 3600, 500):
        sent += due(node, now_ms)
    assert len(sent) == 1  # the retransmission, not one a change
    assert sent[0][1].payload.startswith(b"tick ")
    assert not sent[0][1].payload.startswith(b"tick 1.")


def test_a_client_that_is_gone_is_given_up():
    # TD_COAP_OBS_05
    node = plugnode()
    wire = Wire()
    gone = Peer(wire, silent)
    wire.join("gone", gone)
    wire.join("node", node)
    data = request(GET, "obs", token=b"gone", options=[(OBSERVE, b"")])
    wire.send("gone", "node", data)
    wire.run(300000)
    times = [elapsed_ms for elapsed_ms, message in gone.got[1:]]
    assert len(times) == 5
    assert times[-1] - times[0] < 46000
    assert wire.elapsed_ms == 300000
