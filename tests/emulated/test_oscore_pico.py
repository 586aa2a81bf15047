"""OSCORE on real firmware: `make provision`, then aiocoap's and libcoap's clients, restarts, cost.

The tests of one Pico's life stand in their order: without keys, with keys, rotated.
"""

import json
import shutil
import sys
from pathlib import Path

import aiocoap
import pytest
from aiocoap.oscore import NotAProtectedMessage
from pico_client import (
    HOST,
    LINK_LIMIT_MS,
    PicoClient,
    await_node,
    path_options,
    power_cycle,
    run_make,
)

from emulator import run
from emulator.pico import Pico
from emulator.pseudo_terminal import PseudoTerminal

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "interop"))

import aiocoapclient  # noqa: E402
from oscoreclient import libcoap_request, requests, watch  # noqa: E402
from oscoreserver import SecuredReceiver  # noqa: E402
from relay import Relay  # noqa: E402

from support.engine import decode, request  # noqa: E402
from support.oscore_peer import SALT, SECRET, End  # noqa: E402

pytestmark = pytest.mark.emulated
GET, PUT, OSCORE = 1, 3, 9
CHANGED, UNAUTHORIZED = 0x44, 0x81
BOOTS_MS = 120_000
THIS_COMPUTER = b"10.0.0.1"  # as the Pico sees it
# A resource that strangers may not use, beside those of the firmware.
MORE = """
import startup
def add_apps(node, board, settings, add=startup.add_apps):
    add(node, board, settings)
    node.get("secret", access=2)(lambda request, response: b"for friends")
startup.add_apps = add_apps
"""
ROUNDS = 8
# Heap and time of one node that responds to the same GET, plain and under OSCORE.
MEASURE = """
import gc, time
from binascii import unhexlify
from coap.access import READ_ONLY, Access
from coap.oscore.context import Context
from coap.presets import default_extensions
from coap.node import Node
from coap.oscore import Oscore
def free():
    gc.collect()
    return gc.mem_free()
def make(i):
    return Context(%r, bytes((1, i)), b"\\x02", %r)
make(9)
kept, found = [], []
before = free()
for i in range(4):
    kept.append(make(i))
    found.append(before - free())
before = free()
node = Node(*default_extensions(), Access(READ_ONLY), Oscore(kept, volatile=True))
for one in kept:
    one.window.valid = True
payload = b"open"
node.get("s/door", content_format=0)(lambda request, response: payload)
whole = before - free()
def spend(text):
    spent = []
    for line in text.split():
        datagram = unhexlify(line)
        gc.collect()
        start = time.ticks_us()
        n = node.datagram(datagram, len(datagram), "peer", 0)
        spent.append(time.ticks_diff(time.ticks_us(), start))
        assert n > 8 and node.tx[1] in (0x45, 0x44), node.tx[1]
    return sorted(spent[2:])[len(spent) // 2 - 1]
print([found[0], found[1], found[3], whole, spend("%s"), spend("%s")])
"""


@pytest.fixture(scope="module")
def pico(image):
    """A Pico with its sensors and MORE, without keys, in virtual time."""
    with Pico(image) as pico:
        pico.wiring = run.Wiring(pico)
        pico.power()
        board = run.BOARD_FILE.read_text() + MORE
        pico.repl().exec(f"with open('board.py', 'w') as file: file.write({board!r})")
        pico.url = f"coap://{HOST}:{pico.udp_port}"
        restart(pico)
        yield pico


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The folder of all keys."""
    return tmp_path_factory.mktemp("pico") / "keys"


@pytest.fixture
def live(pico):
    """The Pico, in real time."""
    pico.set_realtime(True)
    yield pico
    pico.set_realtime(False)


def restart(pico, how=None):
    """Restart, by the reset button or `how`, and wait until the node responds."""
    pico.set_realtime(False)
    pico.link_up = False
    (how or pico.reset)()
    await_node(pico)


def provision(pico, keys, *more):
    """Run `make provision` until the node responds again; return what it printed."""
    boots = len(pico.boots)
    pico.set_realtime(True)
    with PseudoTerminal(pico.console) as terminal:
        pico.link_up = False
        printed = run_make(
            "provision", "NODE=door-1", f"KEYS={keys}", f"DEV={terminal.device}", *more
        )
        assert pico.run_until(lambda: len(pico.boots) > boots, BOOTS_MS)
    pico.set_realtime(False)
    await_node(pico)
    assert pico.boots[boots:] == ["software"]
    return printed


def changes(heartbeat_s):
    return aiocoap.PUT, "/config", b'{"heartbeat_s": %d}' % heartbeat_s


def codes(responses):
    return [str(response.code)[:4] for response in responses]


def listed(pico):
    """What a stranger finds."""
    return aiocoapclient.links(aiocoapclient.request(pico.url + "/.well-known/core"))


def test_without_keys_what_changes_something_is_refused(pico):
    with PicoClient(pico) as client:
        assert client.request(PUT, path_options("/config") + b"\xff{}")[1] == UNAUTHORIZED
        assert client.request(GET, path_options("/secret"))[1] == UNAUTHORIZED
        assert b"oscore: no keys\n" in client.get("/diag")
        assert json.loads(client.get("/config"))["heartbeat_s"]
    assert (
        b"OSCORE: no oscore.json: requests that change anything are refused" in pico.console.read()
    )


def test_without_keys_what_is_secured_is_not_listed(live):
    links = listed(live)
    assert "/config" in links and "/secret" not in links


def test_make_provision(pico, keys):
    printed = run_make("keys", "NODE=door-1", f"KEYS={keys}")
    printed += provision(pico, keys)
    for node in json.loads((keys / "door-1" / "oscore.json").read_text()):
        assert node["secret"] not in printed and node["salt"] not in printed
    assert "The board has the keys of door-1" in printed
    with PicoClient(pico) as client:
        assert client.request(GET, path_options("/diag"))[1] == UNAUTHORIZED
        assert client.request(PUT, path_options("/config") + b"\xff{}")[1] == UNAUTHORIZED


def test_aiocoap_with_keys(live, keys):
    responses = requests(
        keys / "door-1",
        live.url,
        (aiocoap.GET, "/s/contact", b""),
        changes(77),
        (aiocoap.GET, "/config", b""),
        (aiocoap.GET, "/secret", b""),
        (aiocoap.GET, "/.well-known/core", b""),  # in blocks, inside
        (aiocoap.GET, "/no/such", b""),
    )
    assert codes(responses) == ["2.05", "2.04", "2.05", "2.05", "2.05", "4.04"]
    assert responses[0].payload == b"closed" and responses[3].payload == b"for friends"
    assert json.loads(responses[2].payload)["heartbeat_s"] == 77
    assert b"</secret>" in responses[4].payload and len(responses[4].payload) > 1024
    assert "/secret" not in listed(live)


def test_aiocoap_observes_under_oscore(live, keys):
    lines = [lambda line=line: live.wiring.command(line) for line in ("door open", "door close")]
    found = watch(keys / "door-1", live.url + "/s/contact", lines)
    assert found == [b"closed", b"open", b"closed"]


def test_rotated_keys_take_the_place_of_the_old_ones(pico, keys, tmp_path):
    made = keys / "door-1"
    run_make("keys", "NODE=door-1", f"KEYS={keys}", "ROTATE=1")
    pico.set_realtime(True)
    secret = aiocoap.GET, "/secret", b""
    assert codes(requests(made, pico.url, secret)) == ["2.05"], "the old ones are still good"
    entry = json.loads((made / "client.json").read_text())["coap://*"]["oscore"]
    shutil.copytree(entry["basedir"], tmp_path / "old")
    entry["basedir"] = f"{tmp_path / 'old'}/"
    (tmp_path / "client.json").write_text(json.dumps({"coap://*": {"oscore": entry}}))
    provision(pico, keys)
    pico.set_realtime(True)
    assert codes(requests(made, pico.url, secret, changes(66))) == ["2.05", "2.04"]
    with pytest.raises(NotAProtectedMessage) as refused:
        requests(tmp_path, pico.url, secret)
    assert refused.value.plain_message.payload == b"Decryption failed"


@pytest.mark.parametrize("how", ["reset", "power"])
def test_after_a_restart_an_echo_comes_first_and_no_number_twice(pico, keys, how):
    passed = []
    for _ in range(2):
        with Relay(pico.udp_port, lambda *_: False) as relay:
            pico.set_realtime(True)
            before = len(relay.passed)
            responses = requests(keys / "door-1", relay.url, changes(55), changes(56))
            assert codes(responses) == ["2.04", "2.04"]
            rounds = len({data for way, data in relay.passed[before:] if way == "request"})
        passed.append((rounds, relay.passed))
        restart(pico, pico.reset if how == "reset" else lambda: power_cycle(pico))
    assert passed[1][0] == 3, "a challenge, then both requests"
    sent, received = numbers(passed[0][1] + passed[1][1])
    assert len(sent) == len(set(sent)) == passed[0][0] + passed[1][0]
    assert received and len(received) == len(set(received))


def numbers(passed):
    """Return the Partial IVs of requests, and of responses that have one."""
    found = {"request": [], "response": []}
    for way, data in dict.fromkeys(passed):  # the same datagram again is no new one
        for value in decode(data).all(OSCORE):
            if value:
                found[way].append(value[1 : 1 + (value[0] & 7)])
    return found["request"], found["response"]


def test_a_recording_is_worth_nothing_after_a_loss_of_power(pico, keys):
    with Relay(pico.udp_port, lambda *_: False) as relay:
        pico.set_realtime(True)
        requests(keys / "door-1", relay.url, changes(44))
        taped = [data for way, data in relay.passed if way == "request"][-1]
        requests(keys / "door-1", relay.url, changes(45))
    restart(pico, lambda: power_cycle(pico))
    with PicoClient(pico) as client:
        for _ in range(2):
            client.send(taped)
            response = decode(client.receive())
            assert response.code == CHANGED and response.all(OSCORE), "the challenge, protected"
        assert json.loads(client.get("/config"))["heartbeat_s"] == 45
    pico.set_realtime(True)
    assert codes(requests(keys / "door-1", pico.url, changes(46))) == ["2.04"]


def test_it_registers_under_oscore(pico, keys):
    receiver = SecuredReceiver(keys / "door-1")
    gateway = b'{"gateway": "coap://%s:%d"}' % (THIS_COMPUTER, receiver.port)
    pico.set_realtime(True)
    responses = requests(keys / "door-1", pico.url, (aiocoap.PUT, "/config", gateway))
    assert codes(responses) == ["2.04"]
    with receiver:
        restart(pico)
        pico.set_realtime(True)
        assert pico.run_until(lambda: receiver.registrations, LINK_LIMIT_MS), pico.console.read()
    links, claims = receiver.registrations[0]
    assert b"</s/contact>" in links and b"</secret>" not in links and claims == [":door-1"]


def test_libcoap_with_keys(live, keys, tmp_path):
    # libcoap counts from 0: with the keys that aiocoap has used, its requests would be replays
    run_make("keys", "NODE=door-1", f"KEYS={keys}", "ROTATE=1")
    made = keys / "door-1"
    provision(live, keys)
    live.set_realtime(True)
    payload, printed = libcoap_request(made, tmp_path, live.url + "/secret")
    assert payload == b"for friends", printed
    change = "%7B%22heartbeat_s%22:88%7D"
    _, printed = libcoap_request(
        made, tmp_path, live.url + "/config", "-t", "50", "-e", change, method="put"
    )
    assert "2.04" in printed, printed


def test_what_it_costs(pico, capsys):
    end = End(b"\x02", b"\x01\x00")
    path = [(11, b"s"), (11, b"door")]
    plain = [request(GET, None, options=path) for _ in range(ROUNDS)]
    secured = [end.request(request(GET, None, options=path)) for _ in range(ROUNDS)]
    pico.set_realtime(False)
    datagrams = [" ".join(one.hex() for one in many) for many in (plain, secured)]
    printed = pico.repl().exec(MEASURE % (SECRET, SALT, *datagrams), limit_ms=60_000)
    one, two, four, node, open_us, secured_us = json.loads(printed)
    with capsys.disabled():
        print(
            f"\nemulated Pico: a GET takes {open_us} us in the clear, {secured_us} us under "
            f"OSCORE; 1, 2, 4 contexts take {one}, {two}, {four} bytes of its heap, the node "
            f"that has them {node}"
        )
    assert open_us < secured_us < 20 * open_us
    assert four - two == 2 * (two - one) or abs(four / 4 - one) < 100
    assert 600 < one < 2000
