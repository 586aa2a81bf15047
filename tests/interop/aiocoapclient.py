"""aiocoap's client for plain test functions."""

import asyncio
import sys

import aiocoap
import pytest
from aiocoap.error import Error
from aiocoap.util.linkformat import parse

PATIENCE_S = 60
# aiocoap's better transport runs on Linux alone; TCP and others are not wanted here.
TRANSPORTS = ["udp6" if sys.platform == "linux" else "simple6"]


def request(url, code=aiocoap.GET, payload=b"", non=False, **options):
    """Send one request and return the response.

    Options go by aiocoap's names (`accept=50`, `if_match=[b"..."]`, `etags=[b"..."]`).
    The test fails, and says why, when no response comes.
    """
    return asyncio.run(_request(url, code, payload, non, options))


async def _request(url, code, payload, non, options):
    tuning = aiocoap.Unreliable() if non else aiocoap.Reliable()
    message = aiocoap.Message(code=code, uri=url, payload=payload, transport_tuning=tuning)
    for name, value in options.items():
        setattr(message.opt, name, value)
    return (await exchange(message))[0]


async def exchange(*messages):
    """Send requests at the same time from one client and return their responses in order."""
    context = await aiocoap.Context.create_client_context(transports=TRANSPORTS)
    responses = [context.request(message).response for message in messages]
    what = ", ".join(f"{message.code} {message.get_request_uri()}" for message in messages[:3])
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.gather(*responses)
    except TimeoutError:
        return pytest.fail(f"no response to {what} within {PATIENCE_S} s")
    except Error as error:
        return pytest.fail(f"{what}: {error!r}")
    finally:
        await context.shutdown()


def links(response):
    """Return the links of a discovery: path -> attributes, each a list of values."""
    assert response.code == aiocoap.CONTENT, described(response)
    assert response.opt.content_format == 40, described(response)
    found = {}
    for link in parse(response.payload.decode()).links:
        attributes = {}
        for name, value in link.attr_pairs:
            attributes.setdefault(name, []).append(value)
        found[link.href] = attributes
    return found


def described(response):
    """Return a response as text, for failures."""
    options = {str(option.number): option.value for option in response.opt.option_list()}
    return f"{response.mtype} {response.code} {options} {response.payload!r}"
