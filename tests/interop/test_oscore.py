"""OSCORE with implementations that are not ours: aiocoap and libcoap, both ways."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import aiocoap
import pytest
from libcoapclient import messages_in
from oscoreclient import PATIENCE_S, conf, gateway, libcoap_request, requests, watch
from oscoreserver import SecuredReceiver
from processes import HOST, free_port, running, simulated

import credentials as node_keys
from coap.numbers import CHANGED, CONTENT, SENML_CBOR
from coap.oscore.context import Context
from coap.presets import Node, default_extensions
from coap.transports.udp import Udp, peer
from keys import make as make_keys
from keys.make import note_provisioned
from keys.provision import check
from power.report import Report
from setup import packages
from support.oscore_peer import volatile

INTERPRETERS = ("micropython", "cpython")
PACK = bytes.fromhex("81a20064646f6f7204f5")  # [{0: "door", 4: true}]


@pytest.fixture
def made(tmp_path):
    """The folder of a node's keys, as `make keys` writes it."""
    return make_keys.make("door-1", keys=tmp_path / "keys")


@pytest.fixture(params=INTERPRETERS)
def secured(request, made):
    """(a simulated node with keys, their folder)"""
    with simulated(request.param, "door", "--oscore", str(made / "oscore.json")) as process:
        yield process, made


def openly(url, code, path, payload=b""):
    """What a stranger gets."""
    from aiocoapclient import request

    return request(url + path, code, payload)


def test_aiocoap_client(secured):
    node, made = secured
    config = b'{"heartbeat_s": 77}'
    assert openly(node.url, aiocoap.PUT, "/config", config).code == aiocoap.UNAUTHORIZED
    assert openly(node.url, aiocoap.GET, "/s/contact").code == aiocoap.CONTENT
    answers = requests(
        made,
        node.url,
        (aiocoap.GET, "/s/contact", b""),
        (aiocoap.PUT, "/config", config),
        (aiocoap.GET, "/config", b""),
        (aiocoap.GET, "/.well-known/core", b""),
        (aiocoap.GET, "/diag", b""),
        (aiocoap.GET, "/no/such", b""),
    )
    codes = [str(answer.code)[:4] for answer in answers]
    assert codes == ["2.05", "2.04", "2.05", "2.05", "2.05", "4.04"]
    assert answers[0].payload == b"closed" or answers[0].payload
    assert json.loads(answers[2].payload)["heartbeat_s"] == 77
    assert b"</config>" in answers[3].payload
    assert b"oscore: 2 contexts" in answers[4].payload
    assert all("OSCORE" in type(answer.remote).__name__.upper() for answer in answers)


def test_aiocoap_observes(secured):
    node, made = secured
    lines = [lambda line=line: node.tell("door " + line) for line in ("open", "close", "open")]
    found = watch(made, node.url + "/s/contact", lines)
    assert found[1] == found[3] != found[0] == found[2]


def test_a_restart_asks_aiocoap_for_an_echo(made):
    program = Path(sys.executable).with_name("aiocoap-client")
    for _ in range(3):
        with simulated("micropython", "door", "--oscore", str(made / "oscore.json")) as node:
            command = [program, "--credentials", made / "client.json", node.url + "/config"]
            command += ["-m", "PUT", "--content-format", "application/json"]
            command += ["--payload", '{"heartbeat_s": 66}']
            for _ in range(2):
                done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
                assert done.returncode == 0, done.stderr
            assert openly(node.url, aiocoap.PUT, "/config", b"{}").code == aiocoap.UNAUTHORIZED


# libcoap


def test_libcoap_client(secured, tmp_path):
    node, made = secured
    payload, printed = libcoap_request(made, tmp_path, node.url + "/config")
    assert json.loads(payload)["name"] == "mote", printed
    assert all("Oscore" in message.option or message.code for message in messages_in(printed))
    config = "%7B%22heartbeat_s%22:88%7D"
    _, printed = libcoap_request(
        made, tmp_path, node.url + "/config", "-t", "50", "-e", config, method="put"
    )
    assert "2.04" in printed, printed
    payload, printed = libcoap_request(made, tmp_path, node.url + "/config")
    assert json.loads(payload)["heartbeat_s"] == 88, printed
    # more than one block inside
    payload, printed = libcoap_request(made, tmp_path, node.url + "/diag", "-b", "64")
    assert b"oscore: 2 contexts" in payload, printed


class Asker:
    """A node of ours with keys, in this process."""

    def __init__(self, made, port, *features, file="oscore.json"):
        entry, _ = node_keys.load(str(made / file))
        ids = entry["sender_id"], entry["recipient_id"]
        context = Context(entry["secret"], *ids, entry["salt"], entry["id_context"])
        self.node = Node(*default_extensions(requests=2), volatile([context]), *features)
        self.server = peer(HOST, port)
        self.node.oscore.bind(self.server, context)
        self.udp = Udp(self.node, HOST, free_port())
        self.told = []

    def take(self, response):
        self.told.append((response.code, response.payload_bytes(), str(response)))

    def until(self, is_so):
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, self.told
            self.udp.step(20)

    def result(self, call):
        before = len(self.told)
        call.deliver_to(self.take)
        call.into = bytearray(8192)
        self.until(lambda: len(self.told) > before)
        return self.told[-1][:2]


def test_our_client_and_libcoaps_server(made, tmp_path):
    port = free_port()
    file = conf(tmp_path / "server.conf", made)
    command = [
        *packages.libcoap(packages.LIBCOAP_SERVER),
        "-A",
        HOST,
        "-p",
        port,
        "-d",
        10,
        "-v",
        7,
    ]
    command += ["-E", f"{file},{tmp_path / 'server-seq'}"]
    with running("libcoap's server with OSCORE", command, port):
        asker = Asker(made, port)
        try:
            client = asker.node.client
            assert asker.result(client.get(asker.server, ".well-known/core"))[0] == CONTENT
            long = bytes(range(256)) * 10
            assert asker.result(client.put(asker.server, "long", long))[0] < 0x60
            assert asker.result(client.get(asker.server, "long")) == (CONTENT, long)
            asker.told.clear()
            call = client.observe(asker.server, "long", asker.take)
            asker.until(lambda: asker.told)
            client.put(asker.server, "long", b"new")
            asker.until(lambda: asker.told[-1][1] == b"new")
            client.cancel(call)
            asker.until(lambda: not client.active_count)
        finally:
            asker.udp.close()


def test_our_client_and_aiocoaps_server(made):
    with SecuredReceiver(made) as receiver:
        asker = Asker(made, receiver.port)
        try:
            client = asker.node.client
            long = bytes(range(256)) * 10
            assert asker.result(client.put(asker.server, "value", long))[0] == CHANGED
            assert asker.result(client.get(asker.server, "value")) == (CONTENT, long)
            # aiocoap does not cut what it notifies of under OSCORE: short ones from here on
            assert asker.result(client.put(asker.server, "value", b"short"))[0] == CHANGED
            asker.told.clear()
            call = client.observe(asker.server, "value", asker.take)
            asker.until(lambda: asker.told)
            for value in (b"new", b"newer", b"newest"):
                client.put(asker.server, "value", value)
                asker.until(lambda value=value: asker.told[-1][1] == value)
                # its Max-Age is over now: aiocoap's first answer to the new registration has no
                # Partial IV, as that to the first one
                told = len(asker.told)
                call.deadline_ms = asker.node.view.now_ms
                asker.node.reschedule()
                asker.until(lambda told=told: len(asker.told) > told)
                assert asker.told[-1][:2] == (CONTENT, value) and call.observing
            client.cancel(call)
            asker.until(lambda: not client.active_count)
        finally:
            asker.udp.close()


# Reports and registration at an aiocoap server


def test_report_to_aiocoap(made):
    (gateway(made) / "sequence.json").write_text(
        json.dumps({"next-to-send": 100, "received": "unknown"})
    )  # it has lost its window: an Echo first
    with SecuredReceiver(made) as receiver:
        report = Report(peer(HOST, receiver.port), "door-1")
        asker = Asker(made, receiver.port, report)
        try:
            for _ in range(2):
                report.send(PACK, content_format=SENML_CBOR)
                asker.until(lambda: not report.busy)
                assert report.released, report.error
        finally:
            asker.udp.close()
    assert [payload for payload, _ in receiver.reports] == [PACK, PACK]
    assert all(claims for _, claims in receiver.reports), "they did not come under OSCORE"


def test_both_generations_report_while_keys_are_rotated(made):
    (made / "oscore.json").rename(made / "before.json")
    shutil.copy(made / "before.json", made / "oscore.json")
    note_provisioned(made, [check(made)])
    assert make_keys.make("door-1", rotate=True, keys=made.parent) == made
    with SecuredReceiver(made) as receiver:
        for file in ("before.json", "oscore.json"):
            report = Report(peer(HOST, receiver.port), "door-1")
            asker = Asker(made, receiver.port, report, file=file)
            try:
                report.send(PACK)
                asker.until(lambda report=report: not report.busy)
                assert report.released, report.error
            finally:
                asker.udp.close()
    new = check(made)
    assert [claims for _, claims in receiver.reports] == [[":door-1"], [f":door-1/{new}"]]


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_node_registers_under_oscore(made, interpreter):
    with SecuredReceiver(made) as receiver:
        directory = f"coap://{HOST}:{receiver.port}"
        more = "--rd", directory, "--oscore", str(made / "oscore.json")
        with simulated(interpreter, "door", *more) as node:
            node.wait_for(lambda: "directory: registered" in node.printed, "registration")
    ((links, claims),) = receiver.registrations
    assert b"</s/contact>" in links and claims == [":door-1"]


def test_wrong_keys_are_told_of(made, tmp_path):
    other = make_keys.make("other", keys=tmp_path / "others")
    with SecuredReceiver(other) as receiver:
        report = Report(peer(HOST, receiver.port), "door-1")
        asker = Asker(made, receiver.port, report)
        try:
            report.send(PACK)
            asker.until(lambda: not report.busy)
        finally:
            asker.udp.close()
    assert report.error == "not under OSCORE" and receiver.reports == []
