"""The API, the event stream and the history, over HTTP and with the real store."""

import asyncio
import json
import xml.etree.ElementTree as ElementTree

import pytest
from web_server import DAY_S, NOW_S, run

JSON = {"Content-Type": "application/json"}


def scenario(function):
    """Make a test of `async def test_x(gateway)`."""

    def test(tmp_path):
        run(tmp_path / "data", function)

    return test


@scenario
async def test_the_list_of_nodes(gateway):
    await gateway.add_door(title="Back door", beat_s=3600)
    await gateway.add_last(1, "s/batt", 83, "%EL")
    status, headers, (node,) = await gateway.ask("GET", "/api/nodes")
    assert status == 200 and headers["Cache-Control"] == "no-store"
    wanted = {"id": 1, "ep": "door-1", "title": "Back door", "state": "adopted", "kind": "door"}
    assert {name: node[name] for name in wanted} == wanted
    assert node["heard"] == NOW_S - 600 and node["due"] == NOW_S + 3000
    assert node["last"]["s/contact"] == {"value": 1, "unit": "", "at": NOW_S - 720}
    assert node["needs"] == ["open"]
    assert node["since"] == NOW_S - 720
    assert node["battery"] == {"percent": 83, "days": None, "low": None, "high": None}
    assert node["keys"] and not node["awake"] and not node["overdue"]


@scenario
async def test_what_needs_a_look(gateway):
    await gateway.add_door(1, is_open=0)
    await gateway.add_door(2, "door-2", is_open=0, heard=NOW_S - 9061, beat_s=3600)
    await gateway.add_door(3, "door-3", is_open=0)
    await gateway.add_last(3, "s/tamper", 1)
    await gateway.add_door(4, "door-4", is_open=1)
    await gateway.add_last(4, "s/batt", 9, "%EL")
    await gateway.add_door(5, "door-5", is_open=0, keys=False, needs_key=1)
    await gateway.add_door(6, "door-6", is_open=0, heard=NOW_S - 9059, beat_s=3600)
    _, _, nodes = await gateway.ask("GET", "/api/nodes")
    found = {node["id"]: node["needs"] for node in nodes}
    assert found == {
        1: [],
        2: ["overdue"],
        3: ["tamper"],
        4: ["open", "battery"],
        5: ["keys"],
        6: [],
    }


@scenario
async def test_a_registered_node_is_awake(gateway):
    await gateway.add_door(heard=NOW_S - 60, beat_s=300)
    reg = {"href": "1", "ep": "door-1", "lt": 90000, "base": "", "links": ""}
    await gateway.add("reg", until=NOW_S + 10, addr="127.0.0.1:5683", **reg)
    _, _, node = await gateway.ask("GET", "/api/nodes/1")
    assert node["awake"] and not node["overdue"] and node["due"] is None
    gateway.now_s += 20
    _, _, node = await gateway.ask("GET", "/api/nodes/1")
    assert not node["awake"] and not node["overdue"]
    gateway.now_s += 1000
    _, _, node = await gateway.ask("GET", "/api/nodes/1")
    assert node["overdue"]


@scenario
async def test_adoption_and_title(gateway):
    await gateway.add_door(state="new")
    status, _, node = await gateway.ask("PATCH", "/api/nodes/1", json={"state": "adopted"})
    assert (status, node["state"], node["title"]) == (200, "adopted", "door-1")
    status, _, node = await gateway.ask("PATCH", "/api/nodes/1", json={"title": " Küche "})
    assert (status, node["title"]) == (200, "Küche")
    assert gateway.store.read("SELECT state, title FROM node") == [("adopted", "Küche")]


@scenario
async def test_a_wrong_change_is_refused_in_one_line(gateway):
    await gateway.add_door()
    bodies = [{}, {"state": "gone"}, {"state": "new"}, {"state": None}, {"id": 2}, {"title": 1}]
    bodies += [{"title": "x" * 61}, {"title": "a\nb"}, {"title": "ok", "ep": "x"}, [], "x"]
    for body in bodies:
        status, _, text = await gateway.ask("PATCH", "/api/nodes/1", json=body)
        assert status == 400 and text.count("\n") == 1, (body, text)
    for data in (b"", b"{", b"[" * 60_000):
        status, _, _ = await gateway.ask("PATCH", "/api/nodes/1", data=data, headers=JSON)
        assert status == 400
    status, _, _ = await gateway.ask("PATCH", "/api/nodes/1", data=b'{"state":"adopted"}')
    assert status == 415  # a form of another site can send that
    status, _, _ = await gateway.ask("PATCH", "/api/nodes/1", data=b"x" * 70_000, headers=JSON)
    assert status == 413


@scenario
async def test_unknown_nodes(gateway):
    for path in ("", "/history?name=temp", "/events", "/events.csv", "/label.svg", "/queue"):
        assert (await gateway.ask("GET", f"/api/nodes/7{path}"))[0] == 404
        assert (await gateway.ask("GET", f"/api/nodes/x{path}"))[0] == 404
    assert (await gateway.ask("DELETE", "/api/nodes/7"))[0] == 404
    assert (await gateway.ask("GET", "/api/nodes/99999999999999999999999"))[0] == 404


@scenario
async def test_removal(gateway):
    await gateway.add_door()
    await gateway.ask("POST", "/api/nodes/1/queue", json={"method": "GET", "path": "dev"})
    assert (await gateway.ask("DELETE", "/api/nodes/1"))[0] == 204
    assert (await gateway.ask("GET", "/api/nodes"))[2] == []
    assert gateway.store.read("SELECT count(*) FROM wait") == [(0,)]


@scenario
async def test_events(gateway):
    await gateway.add_door()
    _, _, events = await gateway.ask("GET", "/api/nodes/1/events")
    assert [event["number"] for event in events] == [1, 2]
    assert set(events[0]) >= {"id", "number", "source", "value", "at", "heard"}
    _, _, later = await gateway.ask("GET", f"/api/nodes/1/events?after={events[0]['id']}")
    assert later == events[1:]
    _, _, last = await gateway.ask("GET", "/api/nodes/1/events?last=1")
    assert last == events[1:]
    _, _, early = await gateway.ask("GET", f"/api/nodes/1/events?to={NOW_S - 800}")
    assert early == events[:1]
    for query in ("after=x", "from=nan", "to=inf", "after=1e99"):
        assert (await gateway.ask("GET", f"/api/nodes/1/events?{query}"))[0] == 400


@scenario
async def test_tables(gateway):
    await gateway.add_door(ep='do"or\r\n1')
    await gateway.add_event(1, 3, 1, NOW_S - 60, source="=cmd()")
    status, headers, text = await gateway.ask("GET", "/api/nodes/1/events.csv")
    assert status == 200 and headers["Content-Type"].startswith("text/csv")
    assert headers["Content-Disposition"] == 'attachment; filename="do-or--1.csv"'
    lines = text.splitlines()
    assert lines[0] == "time,event,value,number,epoch,heard"
    assert lines[1].startswith("2027-01-15T06:00:00Z,contact,0.0,1,open-1,")
    assert lines[3].split(",")[1] == "'=cmd()"  # no formula for a spreadsheet
    await gateway.add("reading", node=1, name="temp", at=NOW_S - 60, value=21.5)
    _, _, text = await gateway.ask("GET", "/api/nodes/1/history.csv?name=temp")
    assert text.splitlines() == [
        "time,temp,least,greatest",
        "2027-01-15T07:59:00Z,21.5,21.5,21.5",
    ]


async def add_readings(gateway, days, step_s):
    """Add a temperature that is the number of its day, for some days until now."""

    def insert(connection):
        rows = [
            (1, "temp", NOW_S - back * step_s, back * step_s // DAY_S)
            for back in range(int(days * DAY_S / step_s))
        ]
        connection.executemany("INSERT INTO reading VALUES (?, ?, ?, ?)", rows)

    await gateway.store.write(insert)


@scenario
async def test_history_is_as_fine_as_fits(gateway):
    await gateway.add_door()
    await add_readings(gateway, 20, 600)

    async def curve(days, points=600):
        path = f"/api/nodes/1/history?name=temp&from={NOW_S - days * DAY_S}&to={NOW_S}"
        status, _, found = await gateway.ask("GET", f"{path}&points={points}")
        assert status == 200 and found["name"] == "temp"
        times = [point[0] for point in found["points"]]
        assert times == sorted(times)
        return found["level"], len(times)

    assert await curve(1) == ("raw", 145)
    assert (await curve(10))[0] == "hourly"
    assert (await curve(20, 100))[0] == "daily"
    assert 20 <= (await curve(20, 100))[1] <= 21


@scenario
async def test_history_joins_means_and_readings(gateway):
    await gateway.add_door()
    start = NOW_S - NOW_S % DAY_S - 40 * DAY_S
    for day in range(38):
        await gateway.add(
            "daily", node=1, name="temp", t=start + day * DAY_S, n=2, min=1, max=3, sum=4
        )
    await add_readings(gateway, 20, 600)
    path = f"/api/nodes/1/history?name=temp&from={start}&to={NOW_S}"
    _, _, found = await gateway.ask("GET", path)
    assert found["level"] == "daily"
    times = [point[0] for point in found["points"]]
    assert times == [start + day * DAY_S for day in range(41)]
    assert found["points"][0][1:] == [2, 1, 3]


@scenario
async def test_history_needs_a_name(gateway):
    await gateway.add_door()
    for query in ("", "?name=", "?name=temp&from=x", "?name=temp&points=nan"):
        assert (await gateway.ask("GET", f"/api/nodes/1/history{query}"))[0] == 400
    _, _, found = await gateway.ask("GET", "/api/nodes/1/history?name=nothing")
    assert found["points"] == []


@scenario
async def test_lanes(gateway):
    await gateway.add_door()
    await gateway.add_door(2, "door-2", state="new")
    await gateway.add_event(1, 3, 1, NOW_S - 500, source="tamper")
    await gateway.add("gap", node=1, epoch="open-1", after=1, missing=None, heard=NOW_S - 700)
    _, _, (lane,) = await gateway.ask("GET", f"/api/lanes?from={NOW_S - 3600}&to={NOW_S}")
    assert lane["node"] == 1 and lane["before"] == 0 and lane["known"] is None
    assert lane["contact"] == [[NOW_S - 720, 1]]
    assert lane["tamper"] == [[NOW_S - 500, 1]]
    assert lane["gaps"] == [[NOW_S - 7200, NOW_S - 720]]
    _, _, (lane,) = await gateway.ask("GET", f"/api/lanes?from={NOW_S - 9000}&to={NOW_S}")
    assert lane["before"] is None  # nobody knows


@scenario
async def test_queue(gateway):
    await gateway.add_door()
    body = {"method": "PUT", "path": "/config", "payload": {"heartbeat_s": 600}}
    status, headers, made = await gateway.ask("POST", "/api/nodes/1/queue", json=body)
    assert status == 201
    place = f"/api/nodes/1/queue/{made['id']}"
    assert headers["Location"] == place
    _, _, found = await gateway.ask("GET", place)
    wanted = {"method": "PUT", "path": "config", "format": 50, "payload": '{"heartbeat_s":600}'}
    assert {name: found[name] for name in wanted} == wanted
    assert found["state"] == "waiting" and found["due"] == NOW_S + 30 * DAY_S
    assert (await gateway.ask("GET", "/api/nodes/1"))[2]["waiting"] == 1
    body["payload"] = {"heartbeat_s": 900}
    await gateway.ask("POST", "/api/nodes/1/queue", json=body)  # the newest wins
    _, _, (only,) = await gateway.ask("GET", "/api/nodes/1/queue")
    assert only["payload"] == '{"heartbeat_s":900}'
    assert (await gateway.ask("DELETE", f"/api/nodes/1/queue/{only['id']}"))[0] == 204
    assert (await gateway.ask("DELETE", f"/api/nodes/1/queue/{only['id']}"))[0] == 404
    assert (await gateway.ask("GET", f"/api/nodes/1/queue/{only['id']}"))[0] == 404


@scenario
async def test_queue_needs_keys(gateway):
    await gateway.add_door(keys=False)
    status, _, text = await gateway.ask(
        "POST", "/api/nodes/1/queue", json={"method": "GET", "path": "dev"}
    )
    assert status == 409 and text.startswith("needs keys")


@scenario
async def test_queue_is_bounded(gateway):
    await gateway.add_door()
    for number in range(50):
        body = {"method": "PUT", "path": f"x/{number}", "payload": "1"}
        assert (await gateway.ask("POST", "/api/nodes/1/queue", json=body))[0] == 201
    body = {"method": "PUT", "path": "x/50", "payload": "1"}
    status, _, text = await gateway.ask("POST", "/api/nodes/1/queue", json=body)
    assert status == 409 and "wait already" in text
    body["path"] = "x/49"  # takes the place of one
    assert (await gateway.ask("POST", "/api/nodes/1/queue", json=body))[0] == 201


@scenario
async def test_a_wrong_request_is_not_queued(gateway):
    await gateway.add_door()
    bodies = [{}, {"method": "GET"}, {"path": "dev"}, {"method": "FETCH", "path": "dev"}]
    bodies += [{"method": "GET", "path": "/"}, {"method": "GET", "path": "x" * 256}]
    for body in bodies:
        assert (await gateway.ask("POST", "/api/nodes/1/queue", json=body))[0] == 400, body


@scenario
async def test_label_health_and_links(gateway):
    await gateway.add_door()
    status, headers, text = await gateway.ask("GET", "/api/nodes/1/label.svg")
    assert status == 200 and headers["Content-Type"].startswith("image/svg+xml")
    assert "coap://192.168.1.2/n/door-1" in str(ElementTree.fromstring(text).attrib)
    assert (await gateway.ask("GET", "/healthz"))[::2] == (200, "ok\n")
    gateway.problem = "disk full"
    assert (await gateway.ask("GET", "/healthz"))[::2] == (503, "disk full\n")
    _, headers, text = await gateway.ask("GET", "/.well-known/core")
    assert headers["Content-Type"].startswith("application/link-format")
    assert text == '</hc/>;rt="core.hc"'


@scenario
async def test_no_file_but_the_page(gateway):
    for name in ("page.js", "page.css", "uplot.js", "uplot.css", "words.js"):
        assert (await gateway.ask("GET", f"/static/{name}"))[0] == 200, name
    for name in (
        "index.html",
        "../web.py",
        "..%2fweb.py",
        "%2e%2e/auth.py",
        "/etc/passwd",
        "x.js",
    ):
        assert (await gateway.ask("GET", f"/static/{name}"))[0] == 404, name


@scenario
async def test_a_store_that_fails(gateway):
    await gateway.add_door()

    def drop(connection):
        connection.execute("ALTER TABLE node RENAME TO away")

    await gateway.store.write(drop)
    status, headers, text = await gateway.ask("GET", "/api/nodes")
    assert status == 503 and headers["Retry-After"] == "60" and "Traceback" not in text


class Stream:
    """A client of the event stream."""

    def __init__(self, response):
        self.response = response

    async def message(self):
        """Return the next message as a dict of its fields; comments are skipped."""
        found = {}
        while True:
            line = (await self.response.content.readline()).decode().rstrip("\n")
            if not line and "data" in found:
                return found
            name, _, text = line.partition(": ")
            if line and name and not line.startswith(":"):
                found[name] = json.loads(text) if name == "data" else text


@scenario
async def test_the_event_stream(gateway):
    await gateway.add_door()
    async with gateway.client.get(gateway.address + "/api/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        stream = Stream(response)
        await response.content.readline()
        await gateway.add_event(1, 3, 0, NOW_S - 5)
        gateway.hub.publish("event", 1, {})
        event = await stream.message()
        assert (event["event"], event["data"]["number"], event["data"]["value"]) == ("event", 3, 0)
        assert event["id"] == str(event["data"]["id"]) and event["data"]["node"] == 1
        await gateway.ask("PATCH", "/api/nodes/1", json={"title": "Shed"})
        assert (await stream.message())["data"] == {"node": 1}
        body = {"method": "GET", "path": "dev"}
        await gateway.ask("POST", "/api/nodes/1/queue", json=body)
        assert (await stream.message())["event"] == "wait"


@scenario
async def test_a_stream_goes_on_where_it_broke(gateway):
    await gateway.add_door()
    await gateway.add_door(2, "door-2", state="new")
    (first, second) = (await gateway.ask("GET", "/api/nodes/1/events"))[2]
    headers = {"Last-Event-ID": str(first["id"])}
    async with gateway.client.get(gateway.address + "/api/events", headers=headers) as response:
        stream = Stream(response)
        assert (await stream.message())["id"] == str(second["id"])
        # Each once, although the news and the store both have it; nothing of who is not adopted.
        await gateway.add_event(1, 3, 0, NOW_S - 5)
        gateway.hub.publish("event", 1, {})
        gateway.hub.publish("event", 1, {})
        gateway.hub.publish("node", 1, {})
        found = [await stream.message() for _ in range(2)]
        assert [message["event"] for message in found] == ["event", "node"]
        assert found[0]["data"]["number"] == 3


@pytest.mark.parametrize("known", ["x", "-1", "99999999999999999999", "1e3", ""])
def test_a_strange_last_event_id(tmp_path, known):
    async def main(gateway):
        await gateway.add_door()
        headers = {"Last-Event-ID": known}
        address = gateway.address + "/api/events"
        async with gateway.client.get(address, headers=headers) as response:
            gateway.hub.publish("node", 1, {})
            assert (await Stream(response).message())["event"] == "node"

    run(tmp_path / "data", main)


@scenario
async def test_streams_end_with_their_clients(gateway):
    for _ in range(3):
        async with gateway.client.get(gateway.address + "/api/events") as response:
            await response.content.readline()
    gateway.hub.publish("node", 1, {})
    for _ in range(100):
        if not gateway.hub._queues:
            break
        await asyncio.sleep(0.01)
    assert not gateway.hub._queues


def test_login(tmp_path):
    async def main(gateway):
        await gateway.add_door()
        assert (await gateway.ask("GET", "/api/nodes"))[0] == 401
        status, _, _ = await gateway.ask("POST", "/api/session", json={"token": "wrong"})
        assert status == 401
        status, headers, _ = await gateway.ask("POST", "/api/session", json={"token": "t" * 32})
        assert status == 204
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "t" * 32 not in cookie
        headers = {"Cookie": cookie.partition(";")[0]}
        assert (await gateway.ask("GET", "/api/nodes", headers=headers))[0] == 200

    run(tmp_path / "data", main, token="t" * 32)
