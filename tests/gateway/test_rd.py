"""The resource directory: registration, lookup, lifetimes, limits, keys, and a restart."""

import sqlite3

import aiocoap
import pytest
from aiocoap.numbers.codes import Code
from parts import (
    GATEWAY_ID,
    NODE_ID,
    add_keys,
    ask,
    client,
    keys_of,
    report,
    run,
    running,
)
from tools.gateway import directory, schema

LINKS = b'</s/contact>;rt="oic.r.sensor.contact";obs,</dev>;ct=50'


async def register(context, gateway, query="ep=lamp", payload=LINKS):
    """Return the response to a registration."""
    return await ask(context, f"{gateway.uri}/rd?{query}", "POST", payload, content_format=40)


def place(gateway, response):
    return gateway.uri + "/" + "/".join(response.opt.location_path)


async def lookup(context, gateway, kind, query=""):
    response = await ask(context, f"{gateway.uri}/lookup/{kind}?{query}")
    assert response.code == Code.CONTENT and response.opt.content_format == 40
    return response.payload.decode()


@pytest.fixture(autouse=True)
def nobody_is_observed(monkeypatch):
    monkeypatch.setattr("tools.gateway.awake.Awake.changed", lambda self, ep: None)


def test_a_registration_is_found_renewed_and_removed(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            made = await register(context, gateway, "ep=lamp&lt=600&d=attic")
            assert made.code == Code.CREATED
            where = place(gateway, made)
            assert (await ask(context, where)).payload == LINKS
            found = await lookup(context, gateway, "ep", "ep=lamp")
            assert '</reg/1>;ep="lamp";base="coap://127.0.0.1:' in found
            assert ';d="attic";lt="600";rt="core.rd-ep"' in found
            assert (await ask(context, where + "?lt=700", "POST")).code == Code.CHANGED
            assert 'lt="700"' in await lookup(context, gateway, "ep")
            again = await register(context, gateway, "ep=lamp&d=attic")
            assert again.opt.location_path == made.opt.location_path
            assert (await ask(context, where, "DELETE")).code == Code.DELETED
            for method in ("GET", "POST", "DELETE"):
                assert (await ask(context, where, method)).code == Code.NOT_FOUND
            assert await lookup(context, gateway, "ep", "ep=lamp") == ""

    run(main())


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4), ("ep=lamp", 2), ("ep=*", 4), ("ep=l*", 2), ("href=/dev", 2), ("obs=", 2),
        ("rt=oic.r.sensor.contact", 2), ("rt=oic*", 2), ("ct=50&ep=fan", 1), ("count=3", 3),
        ("count=3&page=1", 1), ("page=9", 0), ("no=such", 0),
    ],
)  # fmt: skip
def test_resources_are_found_by_any_attribute(tmp_path, query, count):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for ep in ("lamp", "fan"):
                await register(context, gateway, f"ep={ep}")
            found = await lookup(context, gateway, "res", query)
            assert found.count("<coap://127.0.0.1:") == count

    run(main())


def test_its_places_are_in_the_list_of_resources(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            found = (await ask(context, gateway.uri + "/.well-known/core")).payload.decode()
            for rt in ("core.rd", "core.rd-lookup-ep", "core.rd-lookup-res"):
                assert f'rt="{rt}"' in found

    run(main())


@pytest.mark.parametrize(
    ("query", "payload", "code"),
    [
        ("", LINKS, Code.BAD_REQUEST),
        ("ep=" + "a" * 64, LINKS, Code.BAD_REQUEST),
        ("ep=a%20b", LINKS, Code.BAD_REQUEST),
        ("ep=lamp&lt=59", LINKS, Code.BAD_REQUEST),
        ("ep=lamp&lt=x", LINKS, Code.BAD_REQUEST),
        ("ep=lamp&lt=4294967296", LINKS, Code.BAD_REQUEST),
        ("ep=lamp&d=" + "d" * 64, LINKS, Code.BAD_REQUEST),
        ("ep=lamp&d=a%22b", LINKS, Code.BAD_REQUEST),
        ("ep=lamp&base=x", LINKS, Code.BAD_REQUEST),
        ("ep=lamp&base=coap://" + "b" * 255, LINKS, Code.BAD_REQUEST),
        ("ep=lamp&base=coap://x%3E,%3C/n/door-1", LINKS, Code.BAD_REQUEST),
        ("ep=lamp&base=coap://x%22;rt=%22y", LINKS, Code.BAD_REQUEST),
        ("ep=lamp", b"</a>," * 2000, Code.REQUEST_ENTITY_TOO_LARGE),
    ],
)
def test_what_is_no_registration_is_refused(tmp_path, query, payload, code):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            assert (await register(context, gateway, query, payload)).code == code
            assert gateway.store.read("SELECT 1 FROM reg") == []

    run(main())


def test_a_registration_ends_with_its_lifetime_and_survives_a_restart(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await register(context, gateway, "ep=lamp&lt=60")
            await register(context, gateway, "ep=fan&lt=6000")
        async with running(tmp_path) as gateway, client() as context:
            assert {one.ep for one in gateway.directory.living()} == {"lamp", "fan"}
            now = gateway.directory._now
            gateway.directory._now = lambda: now() + 61
            assert [one.ep for one in gateway.directory.living()] == ["fan"]
            assert "lamp" not in await lookup(context, gateway, "res")

    run(main())


def test_strangers_cannot_fill_it(tmp_path, monkeypatch):
    monkeypatch.setattr(directory, "PER_HOST", 3)

    async def main():
        async with running(tmp_path) as gateway, client() as context:
            codes = [(await register(context, gateway, f"ep=n{i}")).code for i in range(5)]
            assert codes == [Code.CREATED] * 3 + [Code.SERVICE_UNAVAILABLE] * 2
            assert (await register(context, gateway, "ep=n1")).code == Code.CREATED

    run(main())


@pytest.mark.parametrize(
    ("first", "second"), [("192.0.2.1", "192.0.2.1:5000"), ("[2001:db8::1]", "[2001:db8::1]:5000")]
)
def test_the_registrations_of_a_host_count_whatever_its_ports(monkeypatch, first, second):
    monkeypatch.setattr(directory, "PER_HOST", 3)
    store = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(store)
    for i, addr in enumerate((first, second, first)):
        directory.insert(store, {"ep": f"n{i}"}, "", addr, None, 0.0)
    for addr in (first, second):
        with pytest.raises(directory.Refused, match="too many"):
            directory.insert(store, {"ep": "more"}, "", addr, None, 0.0)
    directory.insert(store, {"ep": "other"}, "", "192.0.2.2", None, 0.0)
    directory.insert(store, {"ep": "n0"}, "", first, None, 0.0)
    store.close()


def test_a_renewal_is_checked_like_a_registration(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            where = place(gateway, await register(context, gateway))
            for query in ("base=x", "base=coap://x%3E,%3C/y", "base=coap://" + "b" * 255, "lt=1"):
                response = await ask(context, f"{where}?{query}", "POST")
                assert response.code == Code.BAD_REQUEST
            assert gateway.store.read("SELECT base, lt FROM reg") == [("", directory.LT_S)]

    run(main())


def test_a_node_with_keys_registers_under_them_only(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as stranger, client() as node:
            await add_keys(gateway, "lamp")
            assert (await register(stranger, gateway)).code == Code.UNAUTHORIZED
            node.client_credentials[gateway.uri + "/*"] = keys_of(NODE_ID, GATEWAY_ID)
            made = await register(node, gateway)
            assert made.code == Code.CREATED
            assert (await register(node, gateway, "ep=other")).code == Code.UNAUTHORIZED
            for method in ("POST", "DELETE"):
                answer = await ask(stranger, place(gateway, made), method)
                assert answer.code == Code.UNAUTHORIZED
            assert (await ask(node, place(gateway, made), "DELETE")).code == Code.DELETED

    run(main())


def test_simple_registration_fetches_the_links(tmp_path):
    from aiocoap.resource import Resource, Site, WKCResource

    class Value(Resource):
        async def render_get(self, request):
            return aiocoap.Message(payload=b"1")

        def get_link_description(self):
            return {"rt": "simple.value"}

    async def main():
        async with running(tmp_path) as gateway, client() as context:
            site = Site()
            site.add_resource(["v"], Value())
            site.add_resource(
                [".well-known", "core"], WKCResource(site.get_resources_as_linkheader)
            )
            context.serversite = site
            uri = f"{gateway.uri}/.well-known/rd?ep=simple"
            assert (await ask(context, uri, "POST")).code == Code.CHANGED
            assert 'rt="simple.value"' in await lookup(context, gateway, "res", "ep=simple")
            assert (await ask(context, uri, "POST", b"</x>")).code == Code.BAD_REQUEST

    run(main())


def test_who_sleeps_is_listed_at_the_mirror(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, ("contact", False))
            await gateway.store.write(
                lambda connection: connection.execute("UPDATE node SET state = 'adopted'")
            )
            base = f"{gateway.uri}/n/door-1"
            found = await lookup(context, gateway, "ep", "rt=mote.node")
            assert found == (f'</n/door-1>;ep="door-1";base="{base}";rt="core.rd-ep mote.node"')
            assert await lookup(context, gateway, "res", "ep=door-1") == (
                f"<{base}/s/contact>;obs"
            )
            uri = (await lookup(context, gateway, "res", "ep=door-1")).partition(">")[0][1:]
            assert (await ask(context, uri)).payload == b"closed"

    run(main())
