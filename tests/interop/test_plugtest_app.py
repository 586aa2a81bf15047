"""The plugtest's basic resources, as each foreign client uses them (TD_COAP_CORE)."""

import aiocoap
import libcoapclient
import nodeclient
import pytest
from aiocoapclient import described, links, request

METHODS = [("get", {"2.05"}), ("put", {"2.01", "2.04"}), ("post", {"2.01", "2.04"})]
METHODS += [("delete", {"2.02"})]


@pytest.mark.parametrize(("method", "codes"), METHODS)
def test_methods(plugtest, method, codes):
    url = f"{plugtest.url}/test"
    body = "" if method in ("get", "delete") else "x"
    options = {"content_format": 0} if body else {}
    response = request(url, getattr(aiocoap, method.upper()), body.encode(), **options)
    assert response.code.dotted in codes, described(response)
    exchange = libcoapclient.request(url, method, body or None, **options)
    assert exchange.reply.code in codes, exchange.transcript
    options = {"Content-Format": "text/plain"} if body else {}
    response = nodeclient.request(url, method.upper(), body.encode(), options=options)
    assert response.code in codes, response


def test_separate(plugtest):
    response = request(f"{plugtest.url}/separate")
    assert (response.mtype, response.code) == (aiocoap.CON, aiocoap.CONTENT), described(response)


def test_every_linked_resource_answers(plugtest):
    found = links(request(f"{plugtest.url}/.well-known/core"))
    for path in found:
        if path not in ("/separate", "/echo-required"):  # the one takes 2 s, the other only POST
            response = request(plugtest.url + path)
            assert response.code.class_ == 2 or response.code == aiocoap.METHOD_NOT_ALLOWED, path
