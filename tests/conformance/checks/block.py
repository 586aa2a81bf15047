"""Block-wise transfers (RFC 7959): TD_COAP_BLOCK_01 to 06, and what may go wrong."""

from coap.numbers import BLOCK1, BLOCK2, ETAG, JSON, LOCATION_PATH, SIZE1, SIZE2, TEXT
from conformance.check import check, want, want_code
from support import engine

SZX_MAX = 6
BODY = b"".join(b"%03d: a line of a body that comes in blocks\n" % i for i in range(30))
TOO_LARGE = 1 << 20


def rest(client, path, first, method="GET", code="2.05", **parts):
    """Return the whole payload; `first` is the response with its first block."""
    szx = first.block(BLOCK2)[2]
    payload = first.payload
    more = True
    while more:
        number = len(payload) >> (szx + 4)
        response = client.ask(method, path, block2=(number, 0, szx), **parts)
        want_code(response, code)
        want(response.block(BLOCK2) is not None, "without Block2", response)
        got, more, got_szx = response.block(BLOCK2)
        want((got, got_szx) == (number, szx), f"not block {number} of SZX {szx}", response)
        want(response.all(ETAG) == first.all(ETAG), "the ETag changed between blocks", response)
        size = len(response.payload)
        want(size == 16 << szx if more else 0 < size <= 16 << szx, f"{size} bytes", response)
        payload += response.payload
    return payload


def download(client, path, szx=None):
    """Return the whole payload of a GET. szx: the block size to negotiate early, None: late."""
    first = client.ask("GET", path, block2=None if szx is None else (0, 0, szx))
    want_code(first, "2.05")
    want(first.block(BLOCK2) is not None, "the first response has no Block2", first)
    number, more, got = first.block(BLOCK2)
    want(number == 0 and more == 1, "not the first block", first)
    want(szx is None or got <= szx, f"SZX over {szx}", first)
    want(len(first.payload) == 16 << got, "not a whole block", first)
    return rest(client, path, first)


def upload(client, method, path, body, szx, **parts):
    """Send a body in blocks and return the response to the last one."""
    at = 0
    while True:
        more = at + (16 << szx) < len(body)
        response = client.ask(
            method,
            path,
            payload=body[at : at + (16 << szx)],
            block1=(at >> (szx + 4), int(more), szx),
            content_format=TEXT,
            **parts,
        )
        want(response.block(BLOCK1) is not None, "without Block1", response)
        number, _, got = response.block(BLOCK1)
        want(number == at >> (szx + 4), f"another block than {at >> (szx + 4)}", response)
        if not more:
            return response
        want_code(response, "2.31", "2.04")
        want(got <= szx, "a larger SZX", response)
        at += 16 << szx
        szx = got


def got_back(client, path, body):
    """Check that GET returns this body."""
    response = client.ask("GET", path)
    want_code(response, "2.05")
    payload = rest(client, path, response) if response.block(BLOCK2) else response.payload
    want(payload == body, f"{len(payload)} bytes come back, not the {len(body)} that were sent")


@check("7959 2.4", "GET, early negotiation", "large", plugtest="BLOCK_01")
def early(subject, large):
    client = subject.client()
    want(len(download(client, large, 2)) > 1024, "the resource is too small for this check")


@check("7959 2.4", "GET, late negotiation", "large", plugtest="BLOCK_02")
def late(subject, large):
    client = subject.client()
    first = client.ask("GET", large)
    want_code(first, "2.05")
    want(first.block(BLOCK2) is not None, "no Block2", first)
    _, more, szx = first.block(BLOCK2)
    want(more and szx > 1 and len(first.payload) == 16 << szx, "not a whole block", first)
    number = 1 << (szx - 1)  # the client wants smaller blocks from here on
    response = client.ask("GET", large, block2=(number, 0, 1))
    want(response.block(BLOCK2) == (number, 1, 1), "not the block asked for", response)
    want(first.payload + response.payload == download(client, large, 1)[: (16 << szx) + 32], "gap")


@check("7959 2.5", "PUT", "large-update", plugtest="BLOCK_03")
def put(subject, path):
    client = subject.client()
    want_code(upload(client, "PUT", path, BODY, 4), "2.04", "2.01")
    got_back(client, path, BODY)


@check("7959 2.5", "POST creates", "large-create", plugtest="BLOCK_04")
def create(subject, path):
    client = subject.client()
    response = upload(client, "POST", path, BODY, 4)
    want_code(response, "2.01")
    location = response.all(LOCATION_PATH)
    want(len(location) > 1 and b"/" not in b"".join(location), "not a location", response)
    got_back(client, location, BODY)


@check("7959 2.7", "POST both ways", "large-post", plugtest="BLOCK_05")
def both_ways(subject, path):
    client = subject.client()
    response = upload(client, "POST", path, BODY, 4)
    want_code(response, "2.04")
    want(response.block(BLOCK2) is not None, "without Block2", response)
    number, more, szx = response.block(BLOCK2)
    whole = number == 0 and more and len(response.payload) == 16 << szx
    want(whole, "not a whole first block", response)
    payload = rest(client, path, response, "POST", "2.04", content_format=TEXT)
    want(payload == BODY, "another payload")


@check("7959 2.4", "GET in blocks of 16 bytes", "large", plugtest="BLOCK_06")
def small(subject, large):
    client = subject.client()
    first = client.ask("GET", large, block2=(0, 0, 0))
    want(first.block(BLOCK2) == (0, 1, 0), "another block size", first)
    same = rest(client, large, first) == download(client, large, SZX_MAX)
    want(same, "another payload than in blocks of 1024 bytes")


@check("7959 2.2", "GET gives the same in every block size", "large")
def sizes(subject, large):
    client = subject.client()
    payloads = {download(client, large, szx) for szx in range(1, SZX_MAX + 1)}  # 0: small()
    want(len(payloads) == 1, f"{len(payloads)} payloads")


@check("7959 2.2", "PUT in every block size", "large-update")
def put_sizes(subject, path):
    client = subject.client()
    for szx in range(SZX_MAX + 1):
        body = BODY[szx:]
        want_code(upload(client, "PUT", path, body, szx), "2.04", "2.01")
        got_back(client, path, body)


@check("7959 2.2", "SZX 7 is reserved: 4.00", ("large", "large-update"))
def reserved(subject, large, update):
    client = subject.client()
    want_code(client.ask("GET", large, block2=(0, 0, 7)), "4.00")
    response = client.ask("PUT", update, payload=b"x", block1=(0, 0, 7), content_format=TEXT)
    want_code(response, "4.00")


@check("7959 2.4", "a block beyond the end: 4.00", "large")
def beyond(subject, large):
    want_code(subject.client().ask("GET", large, block2=(1000, 0, 6)), "4.00", "4.02")


@check("7959 2.4", "blocks of 64 bytes in any order", "large")
def any_order(subject, large):
    client = subject.client()
    whole = download(client, large, 2)
    for number in (5, 3, 9, 0, 9):
        response = client.ask("GET", large, block2=(number, 0, 2))
        want(response.payload == whole[number * 64 : number * 64 + 64], "another block", response)


@check("7959 2.2", "a small resource under Block2: one block", "test")
def one_block(subject, test):
    client = subject.client()
    want_code(client.ask("PUT", test, payload=b"small", content_format=TEXT), "2.04", "2.01")
    response = client.ask("GET", test, block2=(0, 0, 6))
    want_code(response, "2.05")
    want(response.payload == b"small", "not the whole", response)
    want(response.block(BLOCK2) in (None, (0, 0, 6)), "more blocks", response)


@check("7959 4", "Size2 is the size", "large")
def size2(subject, large):
    client = subject.client()
    whole = download(client, large)
    response = client.ask("GET", large, block2=(0, 0, 6), options=[(SIZE2, b"")])
    want(response.uint(SIZE2) == len(whole), f"not {len(whole)}", response)


@check("7959 2.9.2", "a block that does not follow: 4.08", "large-update")
def gap(subject, path):
    client = subject.client()
    parts = {"payload": BODY[:64], "content_format": TEXT}
    want_code(client.ask("PUT", path, block1=(0, 1, 2), **parts), "2.31")
    want_code(client.ask("PUT", path, block1=(2, 1, 2), **parts), "4.08")
    other = subject.client()
    want_code(other.ask("PUT", path, block1=(1, 0, 2), **parts), "4.08")


@check("7959 2.5", "a transfer that starts again replaces the earlier one", "large-update")
def restarted(subject, path):
    client = subject.client()
    parts = {"payload": b"x" * 64, "content_format": TEXT}
    want_code(client.ask("PUT", path, block1=(0, 1, 2), **parts), "2.31")
    want_code(upload(client, "PUT", path, BODY, 2), "2.04", "2.01")
    got_back(client, path, BODY)


@check("7959 2.5", "a block whose length does not fit its SZX: 4.00", "large-update")
def wrong_length(subject, path):
    client = subject.client()
    for length, more in ((63, 1), (65, 1), (65, 0)):
        parts = {"payload": BODY[:length], "content_format": TEXT}
        want_code(client.ask("PUT", path, block1=(0, more, 2), **parts), "4.00")


@check("7959 2.9.3", "too large: 4.13, with Size1", "large-update")
def too_large(subject, path):
    client = subject.client()
    parts = {"payload": BODY[:64], "content_format": TEXT}
    options = [(SIZE1, engine.uint(TOO_LARGE))]
    response = client.ask("PUT", path, block1=(0, 1, 2), options=options, **parts)
    want_code(response, "4.13")
    want(response.uint(SIZE1) is not None, "without Size1", response)


@check("7959 2.5", "two clients upload at the same time", "large-update")
def two(subject, path):
    one, other = subject.client(), subject.client()
    mine, theirs = BODY[:192], BODY[192:384]
    for at in (0, 64, 128):
        for client, body in ((one, mine), (other, theirs)):
            response = client.ask(
                "PUT",
                path,
                payload=body[at : at + 64],
                block1=(at // 64, int(at < 128), 2),
                content_format=TEXT,
            )
            want_code(response, *(["2.31"] if at < 128 else ["2.04", "2.01"]))
            if at == 128:
                got_back(client, path, body)


@check("7959 2.5", "a repeated block gets the same response", "large-update")
def repeated(subject, path):
    client = subject.client()
    for number in range(3):
        request = client.request(
            "PUT",
            path,
            payload=BODY[number * 64 : number * 64 + 64],
            block1=(number, int(number < 2), 2),
            content_format=TEXT,
        )
        first = client.response(client.send(request))
        again = client.response(client.send(request))
        want(first.encode() == again.encode(), "another response to the repeated block", again)
    got_back(client, path, BODY[:192])


@check("7959 2.3", "a body of one block under Block1", "test")
def single(subject, test):
    client = subject.client()
    response = client.ask("PUT", test, payload=b"all", block1=(0, 0, 6), content_format=TEXT)
    want_code(response, "2.04", "2.01")
    want(client.ask("GET", test).payload == b"all", "not taken")


@check("7959 2.9.2", "4.08 leaves the resource as it was", "large-update")
def untouched(subject, path):
    client = subject.client()
    want_code(upload(client, "PUT", path, BODY, 6), "2.04", "2.01")
    client.ask("PUT", path, payload=b"y" * 64, block1=(0, 1, 2), content_format=JSON)
    client.ask("PUT", path, payload=b"y" * 64, block1=(5, 0, 2), content_format=JSON)
    got_back(client, path, BODY)
