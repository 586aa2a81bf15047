"""Nodes that register with aiocoap's resource directory: its lookups find and reach them."""

import aiocoapclient
import pytest
from aiocoap.util.linkformat import parse
from processes import HOST, ROOT, free_port, running, simulated

START_S = 15


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
    assert f'base="{registered.url}"' in entries and 'lt="' not in entries.replace("lt=90000", "")


def test_the_lookup_of_resources_leads_to_it(directory, registered):
    found = parse(lookup(directory, "/resource-lookup/", f"ep=mote-{registered.port}")).links
    links = {link.href for link in found}
    assert f"{registered.url}/s/batt" in links and len(links) > 5
    for link in links:
        if "/s/" in link:
            assert aiocoapclient.request(link).code.is_successful() or "temp" in link, link


def test_by_type(directory, registered):
    text = lookup(directory, "/resource-lookup/", "rt=oic.r.sensor.contact")
    assert f"{registered.url}/s/" in text
