"""Who may use the web server: Host, Origin, token, session and the count of wrong tries."""

import asyncio
import contextlib
import stat

import pytest
from aiohttp import ClientSession, CookieJar, web
from tools.gateway.auth import COOKIE, SESSION_S, TRIES_S, Auth, host_name, load_token

TOKEN = "00112233445566778899aabbccddeeff"


class Clock:
    """A clock that stands."""

    def __init__(self):
        self.now_s = 1_800_000_000.0

    def __call__(self):
        return self.now_s


@contextlib.asynccontextmanager
async def server(token="", clock=None):
    """Serve one resource behind the checks; yield its address, and a client."""
    auth = Auth(token, frozenset({"gate", "gate.local"}), clock or Clock())

    async def data(request):
        return web.Response(text="data")

    app = web.Application(middlewares=[auth.middleware])
    app.add_routes([web.route("*", "/{path:.*}", data)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        yield f"http://127.0.0.1:{port}", client, auth
    await runner.cleanup()


def statuses(requests, token="", path="/api/nodes", method="GET"):
    """Return the status of a request for each set of headers."""

    async def run():
        async with server(token) as (place, client, _):
            found = []
            for headers in requests:
                headers = {k: v.replace("HERE", place[7:]) for k, v in headers.items()}
                async with client.request(method, place + path, headers=headers) as response:
                    found.append(response.status)
            return found

    return asyncio.run(run())


def test_host_on_loopback():
    good = ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "gate", "GATE.local:1"]
    bad = ["evil.example", "192.168.1.2", "127.0.0.1.evil.example", "[fd00::2]", "0.0.0.0", "1"]
    assert statuses([{"Host": host} for host in good]) == [200] * len(good)
    assert statuses([{"Host": host} for host in bad]) == [421] * len(bad)
    for path in ("/", "/static/page.js", "/healthz", "/hc/coap://door-1/s"):
        assert statuses([{"Host": "evil.example"}], path=path) == [421]


def test_host_on_a_lan():
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    good = ["192.168.1.2:8080", "[fd00::2]:8080", "gate.local", "localhost"]
    bad = ["evil.example", "gate.evil.example"]
    assert statuses([{"Host": host, **bearer} for host in good], TOKEN) == [200] * len(good)
    assert statuses([{"Host": host, **bearer} for host in bad], TOKEN) == [421] * len(bad)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_origin(method):
    good = [{}, {"Origin": "http://HERE"}, {"Origin": "https://HERE"}]
    good += [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
    bad = [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}]
    bad += [{"Origin": "http://HERE.evil.example"}, {"Origin": "http://localhost:1"}]
    bad += [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
    assert statuses(good, method=method) == [200] * len(good)
    assert statuses(bad, method=method) == [403] * len(bad)


def test_a_link_to_the_page_is_followed():
    assert statuses([{"Sec-Fetch-Site": "cross-site"}], path="/") == [200]
    assert statuses([{"Sec-Fetch-Site": "cross-site"}], path="/hc/coap://door-1/s") == [403]


def test_headers_of_security():
    async def run():
        async with server() as (place, client, _):
            for headers in ({}, {"Host": "evil.example"}):
                async with client.get(place, headers=headers) as response:
                    policy = response.headers["Content-Security-Policy"]
                    assert "default-src 'self'" in policy and "unsafe" not in policy
                    assert response.headers["X-Content-Type-Options"] == "nosniff"
                    assert response.headers["Referrer-Policy"] == "no-referrer"

    asyncio.run(run())


def test_a_token_is_wanted_for_all_data():
    for path in ("/api/nodes", "/api/events", "/hc/coap://door-1/s", "/metrics", "/api/lanes"):
        assert statuses([{}], TOKEN, path) == [401], path
    for path in ("/", "/static/page.js", "/healthz"):
        assert statuses([{}], TOKEN, path) == [200], path
    good = [{"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"bearer  {TOKEN}"}]
    assert statuses(good, TOKEN) == [200, 200]
    bad = [{"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer "}]
    bad += [{"Authorization": "Bearer ü"}, {"Cookie": f"{COOKIE}={TOKEN}"}]
    assert statuses(bad, TOKEN) == [401] * len(bad)
    assert statuses([{}], TOKEN, f"/api/nodes?token={TOKEN}") == [401]


def test_five_wrong_tries_a_minute():
    async def run():
        clock = Clock()
        async with server(TOKEN, clock) as (place, client, _):

            async def ask(token):
                headers = {"Authorization": f"Bearer {token}"}
                async with client.get(f"{place}/api/nodes", headers=headers) as response:
                    return response.status, response.headers.get("Retry-After")

            assert [(await ask("wrong"))[0] for _ in range(5)] == [401] * 5
            clock.now_s += 20
            assert await ask("wrong") == (429, "40")
            assert await ask(TOKEN) == (429, "40")  # else guessing would go on
            clock.now_s += TRIES_S
            assert (await ask(TOKEN))[0] == 200
            assert [(await ask("wrong"))[0] for _ in range(5)] == [401] * 5

    asyncio.run(run())


def test_clients_are_counted_apart_and_bounded():
    auth = Auth(TOKEN, frozenset(), Clock())
    for number in range(1200):
        with pytest.raises(web.HTTPUnauthorized):
            auth.check_token(f"10.0.{number // 256}.{number % 256}", "wrong")
    assert len(auth.tries) == 1000
    auth.check_token("192.168.1.9", TOKEN)


def test_sessions():
    clock = Clock()
    auth = Auth(TOKEN, frozenset(), clock)
    session = auth.session()
    assert auth.is_session(session)
    assert TOKEN not in session
    until, _, mac = session.partition(".")
    for forged in (
        "",
        ".",
        "x",
        f"{int(until) + 1}.{mac}",
        f"{until}.",
        f"{until}.{mac[:-1]}0",
        "é",
    ):
        assert not auth.is_session(forged) or forged == session
    assert not Auth(TOKEN[::-1], frozenset(), clock).is_session(session)
    clock.now_s += SESSION_S
    assert not auth.is_session(session)


def test_the_file_of_the_token(tmp_path):
    path = tmp_path / "token"
    token = load_token(path)
    assert len(token) == 32 and load_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short\n")
    with pytest.raises(ValueError, match="remove it"):
        load_token(path)


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.example:80", "a.example"), ("[::1]:8080", "::1"), ("localhost.", "localhost"), ("", "")],
)
def test_host_names(host, name):
    assert host_name(host) == name
