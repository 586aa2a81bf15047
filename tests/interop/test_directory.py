"""Nodes that register with aiocoap's resource directory: its lookups find and reach them."""

import time

import aiocoap
import aiocoapclient
import pytest
from aiocoap.util.linkformat import parse
from processes import HOST, ROOT, free_port, running, simulated

from coap.presets import Node, default_extensions
from coap.resource_directory import RegistrationClient
from coap.transports.udp import Udp, peer

START_S = 60


@pytest.fixture(scope="module")
def directory():
    port = free_port()
    command = [ROOT / ".venv/bin/aiocoap-rd", "--bind", f"{HOST}:{port}"]
    with running("aiocoap-rd", command, port) as process:
        yield process


@pytest.fixture(scope="module", params=["micropython", "cpython"])
def registered(request, directory):
    with simulated(request.param, "both", "--rd", directory.url) as node:
        node.wait_for(lambda: "directory: " in node.printed, "registration")
        assert "directory: registered\n" in node.printed, node.printed
        yield node


def lookup(directory, path, query):
    response = aiocoapclient.request(f"{directory.url}{path}?{query}")
    assert str(response.code) == "2.05 Content", response
    return response.payload.decode()


def test_the_lookup_of_endpoints_knows_it(directory, registered):
    entries = lookup(directory, "/endpoint-lookup/", f"ep=mote-{registered.port}")
    assert f'base="{registered.url}"' in entries and "reg/" in entries


def test_the_lookup_of_resources_leads_to_it(directory, registered):
    found = parse(lookup(directory, "/resource-lookup/", f"ep=mote-{registered.port}")).links
    links = {link.href for link in found}
    assert {f"{registered.url}/s/batt", f"{registered.url}/dev"} <= links
    for link in links:
        # a sensor may have no value yet, but it is there and says so
        assert str(aiocoapclient.request(link).code)[:4] in ("2.05", "5.03"), link


def test_by_type(directory, registered):
    text = lookup(directory, "/resource-lookup/", "rt=oic.r.sensor.contact")
    assert f"{registered.url}/s/" in text


class Own:
    """A node in this process, with a Directory whose steps the test can hasten."""

    def __init__(self, directory, ep, **settings):
        self.node = Node(*default_extensions(requests=2))
        self.node.get("hello", rt="greeting")(lambda request, reply: b"world")
        self.udp = Udp(self.node, HOST, free_port())
        self.server = directory
        self.directory = RegistrationClient(self.node, peer(HOST, directory.port), ep, **settings)
        self.query = f"ep={ep}"

    def until(self, is_so):
        deadline = time.monotonic() + START_S
        while not is_so():
            assert time.monotonic() < deadline, (self.directory.error, self.directory.location)
            self.udp.step(20)

    def found(self):
        return "/hello" in lookup(self.server, "/resource-lookup/", self.query)


@pytest.fixture
def own(directory, request):
    own = Own(directory, f"own-{request.node.name}", **getattr(request, "param", {}))
    yield own
    own.udp.close()


def test_the_life_of_a_registration(own):
    directory = own.directory
    own.until(lambda: directory.registered)
    first = directory.location
    assert first.endswith("/") and own.found()

    before = own.node.messaging.mid
    directory.step(0)  # as its timer will, at half the lifetime
    own.until(lambda: directory.request is None)
    assert own.node.messaging.mid != before
    assert directory.registered and directory.location == first and not directory.error

    # the directory loses it
    deleted = aiocoapclient.request(f"{own.server.url}/{first}", code=aiocoap.DELETE)
    assert deleted.code.is_successful() and not own.found()
    directory.step(0)
    own.until(lambda: directory.request is None and own.found())
    assert directory.registered and own.found()

    # more to be found
    own.node.get("more")(lambda request, reply: b"1")
    directory.changed()
    own.until(lambda: "/more" in lookup(own.server, "/resource-lookup/", own.query))
    own.until(lambda: directory.request is None)

    directory.stop()
    own.until(lambda: not directory.registered)
    assert not own.found()


@pytest.mark.parametrize("own", [{"simple": True}], indirect=True)
def test_simple_registration(own):
    own.until(lambda: own.directory.registered)
    own.until(own.found)
