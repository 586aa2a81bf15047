"""The plugtest's descriptions with aiocoap's client: test_core_01_... is TD_COAP_CORE_01."""

import asyncio

import aiocoap
import pytest
from aiocoapclient import TRANSPORTS, described, links, request

TEXT, LINK_FORMAT, XML, JSON = 0, 40, 41, 50
BODY = b"".join(b"%03d: a line of a body that comes in blocks\n" % i for i in range(30))
PATIENCE_S = 60
ENDED = "the server ended the observation"  # aiocoap does not say by which message


def put(url, payload, form=TEXT, **options):
    return request(url, aiocoap.PUT, payload, content_format=form, **options)


def observe(url, *changes):
    """The first response, then what follows each of the changes: a response, or ENDED."""

    async def watch():
        context = await aiocoap.Context.create_client_context(transports=TRANSPORTS)
        seen = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                asked = context.request(aiocoap.Message(code=aiocoap.GET, uri=url, observe=0))
                seen.append(await asked.response)
                notifications = aiter(asked.observation)
                for change in changes:
                    await asyncio.to_thread(change)
                    seen.append(await anext(notifications, ENDED))
                if not asked.observation.cancelled:
                    asked.observation.cancel()
        finally:
            await context.shutdown()
        return seen

    return asyncio.run(watch())


@pytest.mark.parametrize("non", [False, True], ids=["con", "non"])
def test_core_01_02_03_04_05_06_07_08_methods(plugtest, non):
    url = f"{plugtest.url}/test"
    answers = [
        put(url, b"there", non=non),
        request(url, non=non),
        request(url, aiocoap.POST, b"posted", non=non, content_format=TEXT),
        request(url, aiocoap.DELETE, non=non),
        put(url, b"there", non=non),
    ]
    assert {answer.mtype for answer in answers} == {aiocoap.NON if non else aiocoap.ACK}
    codes = [answer.code.dotted for answer in answers]
    assert codes[1:] == ["2.05", "2.01", "2.02", "2.01"]
    assert (answers[1].payload, answers[1].opt.content_format) == (b"there", TEXT)


def test_core_09_separate(plugtest):
    response = request(f"{plugtest.url}/separate")
    assert (response.mtype, response.code) == (aiocoap.CON, aiocoap.CONTENT), described(response)
    assert response.payload


def test_core_13_14_several_uri_path_and_uri_query(plugtest):
    assert request(f"{plugtest.url}/seg1/seg2/seg3").payload == b"three segments"
    response = request(f"{plugtest.url}/query?first=1&second=2&third=3")
    assert response.payload == b"first=1\nsecond=2\nthird=3"


def test_core_18_19_location(plugtest):
    response = request(f"{plugtest.url}/test", aiocoap.POST, b"posted", content_format=TEXT)
    assert response.code == aiocoap.CREATED, described(response)
    assert response.opt.location_path == ("location1", "location2", "location3")
    response = request(f"{plugtest.url}/location-query", aiocoap.POST)
    assert response.code == aiocoap.CREATED, described(response)
    assert response.opt.location_query == ("first=1", "second=2")


@pytest.mark.parametrize("form", [TEXT, XML, JSON])
def test_core_20_accept(plugtest, form):
    response = request(f"{plugtest.url}/multi-format", accept=form)
    assert (response.code, response.opt.content_format) == (aiocoap.CONTENT, form)
    assert b"21.5" in response.payload


def test_core_21_22_etag_and_if_match(plugtest):
    url = f"{plugtest.url}/validate"
    put(url, b"for aiocoap")
    tag = request(url).opt.etag
    valid = request(url, etags=[tag])
    assert (valid.code, valid.opt.etag, valid.payload) == (aiocoap.VALID, tag, b"")
    assert put(url, b"changed for aiocoap", if_match=[tag]).code == aiocoap.CHANGED
    changed = request(url, etags=[tag])
    assert (changed.code, changed.payload) == (aiocoap.CONTENT, b"changed for aiocoap")
    late = put(url, b"too late", if_match=[tag])
    assert late.code == aiocoap.PRECONDITION_FAILED, described(late)
    assert request(url).payload == b"changed for aiocoap"


def test_core_23_if_none_match(plugtest):
    url = f"{plugtest.url}/create1"
    request(url, aiocoap.DELETE)
    assert put(url, b"one", if_none_match=True).code == aiocoap.CREATED
    assert put(url, b"two", if_none_match=True).code == aiocoap.PRECONDITION_FAILED
    assert request(url).payload == b"one"


def test_block_01_06_early_negotiation(plugtest):
    url = f"{plugtest.url}/large"
    whole = request(url).payload
    for szx in (0, 2):
        block = aiocoap.optiontypes.BlockOption.BlockwiseTuple(0, False, szx)
        response = request(url, block2=block)
        assert response.code == aiocoap.CONTENT, described(response)
        assert response.payload == whole and len(whole) > 2048


def test_block_02_late_negotiation(plugtest):
    response = request(f"{plugtest.url}/large")
    assert response.code == aiocoap.CONTENT, described(response)
    assert response.payload.count(b"\n") == 40


def test_block_03_put(plugtest):
    url = f"{plugtest.url}/large-update"
    assert put(url, BODY).code == aiocoap.CHANGED
    assert request(url).payload == BODY


def test_block_04_post_creates(plugtest):
    response = request(f"{plugtest.url}/large-create", aiocoap.POST, BODY, content_format=TEXT)
    assert response.code == aiocoap.CREATED, described(response)
    location = "/".join(response.opt.location_path)
    assert request(f"{plugtest.url}/{location}").payload == BODY


def test_block_05_post_both_ways(plugtest):
    response = request(f"{plugtest.url}/large-post", aiocoap.POST, BODY, content_format=TEXT)
    assert (response.code, response.payload) == (aiocoap.CHANGED, BODY), described(response)


def test_obs_01_09_notifications(plugtest):
    url = f"{plugtest.url}/obs"
    first, *told = observe(url, lambda: put(url, b"one"), lambda: put(url, b"two"))
    assert first.opt.observe is not None, described(first)
    assert [message.payload for message in told] == [b"one", b"two"]
    numbers = [message.opt.observe for message in (first, *told)]
    assert numbers == sorted(set(numbers))
    assert {message.mtype for message in told} == {aiocoap.CON}


def test_obs_02_non_notifications(plugtest):
    url = f"{plugtest.url}/obs-non"
    _, told = observe(url, lambda: put(url, b"one"))
    assert (told.mtype, told.payload) == (aiocoap.NON, b"one"), described(told)


@pytest.mark.parametrize("why", ["07 DELETE", "08 another format"])
def test_obs_07_08_the_last_notification(plugtest, why):
    url = f"{plugtest.url}/obs"
    changes = {
        "07 DELETE": lambda: request(url, aiocoap.DELETE),
        "08 another format": lambda: put(url, b"{}", JSON),
    }
    try:
        first, last = observe(url, changes[why])
        # aiocoap hands the last message out only to who waits for it already
        ended = last == ENDED or not last.code.is_successful()
        assert first.opt.observe is not None and ended
    finally:
        put(url, b"back")


def test_obs_10_plain_get_does_not_end_it(plugtest):
    url = f"{plugtest.url}/obs"
    _, told = observe(url, lambda: (request(url), put(url, b"still told")))
    assert told.payload == b"still told", described(told)


def test_obs_13_14_large(plugtest):
    url = f"{plugtest.url}/obs-large"
    body = b"large for aiocoap " * 80
    first, told, small = observe(url, lambda: put(url, body), lambda: put(url, b"small"))
    assert len(first.payload) > 4, described(first)
    assert (told.payload, small.payload) == (body, b"small")


def discovered(plugtest, query=""):
    return links(request(f"{plugtest.url}/.well-known/core{query}"))


def test_link_01_all(plugtest):
    found = discovered(plugtest)
    for path in ("/test", "/obs", "/large", "/link1", "/path", "/path/sub1", "/store"):
        assert path in found, path
    assert found["/obs"]["obs"] == [None]
    assert found["/link1"]["rt"] == ["Type1 Type2"]


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("?rt=Type1", {"/link1", "/link3"}),
        ("?rt=*", {"/link1", "/link2", "/link3"}),
        ("?rt=Type2", {"/link1", "/link2"}),
        ("?if=If*", {"/link1", "/link2"}),
        ("?sz=*", {"/large"}),
        ("?href=/link1", {"/link1"}),
        ("?href=/link*", {"/link1", "/link2", "/link3"}),
    ],
)
def test_link_02_03_04_05_06_07_08_filters(plugtest, query, paths):
    assert set(discovered(plugtest, query)) == paths


def test_link_09_hierarchy(plugtest):
    assert discovered(plugtest)["/path"]["ct"] == [str(LINK_FORMAT)]
    found = links(request(f"{plugtest.url}/path"))
    assert set(found) == {"/path/sub1", "/path/sub2"}
    for path in found:
        assert request(plugtest.url + path).payload == path.encode()
