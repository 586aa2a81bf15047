"""What waits for a node that sleeps: kept by CoAP, delivered in its wake, its result told."""

import asyncio
import contextlib
import json
import time

import aiocoap
import cbor2
import pytest
from aiocoap.credentials import CredentialsMap
from aiocoap.numbers.codes import Code
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.resource import ObservableResource, Resource, Site
from parts import (
    FOR_OPERATOR_ID,
    GATEWAY_ID,
    NODE_ID,
    OPERATOR_ID,
    add_keys,
    ask,
    client,
    keys_of,
    report,
    run,
    running,
)
from tools.gateway import queue, server
from tools.gateway.delivery import ASKED_EVERY_S

CLOSED = (("contact", False), ("batt", 80.0, 0, "%EL"))
DEV = {"model": "esp32c3", "firmware": "0.2.0"}


class Config(Resource):
    """The settings of a node; `puts` are the bodies that it was sent."""

    def __init__(self):
        super().__init__()
        self.puts = []
        self.code = Code.CHANGED
        self.told = {"heartbeat_s": 3600, "power": "battery"}
        self.is_asleep = False

    async def render_get(self, request):
        if self.is_asleep:
            await asyncio.sleep(60)
        return aiocoap.Message(payload=json.dumps(self.told).encode(), content_format=50)

    async def render_put(self, request):
        if self.is_asleep:
            await asyncio.sleep(60)
        self.puts.append(request.payload)
        with contextlib.suppress(ValueError):
            self.told.update(json.loads(request.payload))
        payload = b"" if self.code.is_successful() else b"heartbeat_s: 10 to 86400"
        return aiocoap.Message(code=self.code, payload=payload)


class Fixed(ObservableResource):
    """A resource with one value."""

    def __init__(self, payload, content_format):
        super().__init__()
        self._fixed = (payload, content_format)

    async def render_get(self, request):
        payload, content_format = self._fixed
        return aiocoap.Message(payload=payload, content_format=content_format)


class Keys(CredentialsMap):
    """The keys of a node, for requests of its gateway."""

    def __init__(self, context):
        super().__init__()
        self._context = context

    def find_oscore(self, unprotected):
        return self._context


@contextlib.asynccontextmanager
async def sleeper(gateway):
    """Yield (an aiocoap client with a node's keys that serves while it is awake, its Config)."""
    async with client() as context:
        keys = keys_of(NODE_ID, GATEWAY_ID)
        config, site = Config(), Site()
        site.add_resource(["config"], config)
        site.add_resource(["dev"], Fixed(json.dumps(DEV).encode(), 50))
        site.add_resource([".well-known", "core"], Fixed(b"</s/contact>;obs", 40))
        context.serversite = OscoreSiteWrapper(site, Keys(keys))
        context.client_credentials[gateway.uri + "/*"] = keys
        yield context, config


@contextlib.asynccontextmanager
async def operator(gateway):
    """Yield an aiocoap client with the operator's keys."""
    await add_keys(gateway, node_id=OPERATOR_ID, sender=FOR_OPERATOR_ID, operator=True)
    async with client() as context:
        context.client_credentials[gateway.uri + "/*"] = keys_of(OPERATOR_ID, FOR_OPERATOR_ID)
        yield context


@contextlib.asynccontextmanager
async def stage(folder, **settings):
    """Yield a gateway, its ID of a node with keys, the node, its Config, and the operator."""
    async with running(folder, **settings) as gateway:
        node = await add_keys(gateway)
        await gateway.store.write(know_about, node)
        async with sleeper(gateway) as (context, config), operator(gateway) as person:
            yield gateway, node, context, config, person


def know_about(connection, node):
    """Say that a node needs not be asked what it is."""
    connection.execute("UPDATE node SET about = 1e12 WHERE id = ?", (node,))


async def until(found):
    """Wait until found() is true."""
    while not found():
        await asyncio.sleep(0.01)


def states(gateway):
    """Return the states and results of what the operator wants."""
    return gateway.store.read("SELECT state, result FROM wait WHERE by != 'gateway' ORDER BY id")


def test_a_write_waits_for_the_next_wake_and_its_result_can_be_read(tmp_path):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person):
            uri = gateway.uri + "/n/door-1/config"
            kept = await ask(person, uri, "PUT", b'{"heartbeat_s": 60}', content_format=50)
            assert kept.code == Code.CREATED
            place = gateway.uri + "/" + "/".join(kept.opt.location_path)
            assert (await ask(person, place)).payload == b"waiting"
            response = await report(context, gateway, *CLOSED)
            assert cbor2.loads(response.payload) == 1
            await until(lambda: states(gateway) == [("done", "2.04")])
            assert config.puts == [b'{"heartbeat_s": 60}']
            assert (await ask(person, place)).payload == b"2.04"
            response = await report(context, gateway, *CLOSED)
            assert cbor2.loads(response.payload) == 0

    run(main())


def test_writes_are_delivered_in_order_blocks_and_all(tmp_path):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person):
            bodies = [b"a" * 1600, b"b", b"c" * 513]
            for path, body in zip(("config?1", "config?2", "config?3"), bodies, strict=True):
                await ask(person, f"{gateway.uri}/n/door-1/{path}", "PUT", body)
            response = await report(context, gateway, *CLOSED)
            assert cbor2.loads(response.payload) == 4 + 1 + 2
            await until(lambda: states(gateway) == [("done", "2.04")] * 3)
            assert config.puts == bodies

    run(main())


def test_the_newest_write_to_a_path_replaces_what_waits(tmp_path):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person):
            for body in (b"{}", b'{"heartbeat_s": 99}'):
                await ask(person, gateway.uri + "/n/door-1/config", "PUT", body)
            assert states(gateway) == [("waiting", "")]

    run(main())


def test_an_error_of_the_node_is_the_result(tmp_path):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person):
            config.code = Code.BAD_REQUEST
            await ask(person, gateway.uri + "/n/door-1/config", "PUT", b"{}")
            await report(context, gateway, *CLOSED)
            wanted = [("failed", "4.00 heartbeat_s: 10 to 86400")]
            await until(lambda: states(gateway) == wanted)

    run(main())


def test_what_a_node_did_not_take_comes_again_at_its_next_wake(tmp_path):
    async def main():
        async with stage(tmp_path, wake_s=0.3) as (gateway, node, context, config, person):
            config.is_asleep = True
            await ask(person, gateway.uri + "/n/door-1/config", "PUT", b"{}")
            await report(context, gateway, *CLOSED)
            await until(lambda: states(gateway) == [("sent", "")])
            await until(lambda: states(gateway) == [("waiting", "")])
            config.is_asleep = False
            await report(context, gateway, *CLOSED)
            await until(lambda: states(gateway) == [("done", "2.04")])
            assert gateway.store.read("SELECT tries FROM wait") == [(2,)]

    run(main())


def test_an_observer_of_a_request_is_told_its_result(tmp_path):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person):
            kept = await ask(person, gateway.uri + "/n/door-1/config", "PUT", b"{}")
            place = gateway.uri + "/" + "/".join(kept.opt.location_path)
            asked = person.request(aiocoap.Message(code=Code.GET, uri=place, observe=0))
            assert (await asked.response).payload == b"waiting"
            await report(context, gateway, *CLOSED)
            async for told in asked.observation:
                if told.payload == b"2.04":
                    break

    run(main())


def test_a_request_can_be_taken_back(tmp_path):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person):
            kept = await ask(person, gateway.uri + "/n/door-1/config", "PUT", b"{}")
            place = gateway.uri + "/" + "/".join(kept.opt.location_path)
            assert (await ask(person, place, "DELETE")).code == Code.DELETED
            assert (await ask(person, place)).code == Code.NOT_FOUND
            assert cbor2.loads((await report(context, gateway, *CLOSED)).payload) == 0

    run(main())


@pytest.mark.parametrize("who", ["nobody", "node"])
def test_only_the_operator_writes(tmp_path, who):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person), client() as nobody:
            sender = {"nobody": nobody, "node": context}[who]
            wanted = {"nobody": Code.UNAUTHORIZED, "node": Code.FORBIDDEN}[who]
            kept = await ask(person, gateway.uri + "/n/door-1/config", "PUT", b"{}")
            place = gateway.uri + "/" + "/".join(kept.opt.location_path)
            for method, uri in [("PUT", "/n/door-1/config"), ("GET", ""), ("DELETE", "")]:
                uri = gateway.uri + uri if uri else place
                response = await ask(sender, uri, method, b"{}" if method == "PUT" else b"")
                assert response.code == wanted, method
            assert states(gateway) == [("waiting", "")]

    run(main())


def test_a_write_for_a_node_without_keys_is_refused_at_once(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *CLOSED)
            async with operator(gateway) as person:
                response = await ask(person, gateway.uri + "/n/door-1/config", "PUT", b"{}")
                assert response.code == Code.FORBIDDEN
                assert b"needs keys" in response.payload

    run(main())


def test_a_full_queue_is_told(tmp_path):
    async def main():
        async with stage(tmp_path) as (gateway, node, context, config, person):
            for i in range(queue.PER_NODE):
                await gateway.store.write(
                    queue.insert, node, "POST", f"p{i}", None, b"", "page", time.time()
                )
            response = await ask(person, gateway.uri + "/n/door-1/config", "PUT", b"{}")
            assert response.code == Code.SERVICE_UNAVAILABLE

    run(main())


def test_a_node_is_asked_what_it_is_and_again_after_a_week(tmp_path):
    async def main():
        async with running(tmp_path) as gateway:
            node = await add_keys(gateway)
            async with sleeper(gateway) as (context, config), client() as anybody:
                assert cbor2.loads((await report(context, gateway, *CLOSED)).payload) == 4
                row = "SELECT fw, power, links, beat_s FROM node"
                wanted = [("0.2.0", "battery", "</s/contact>;obs", 3600)]
                await until(lambda: gateway.store.read(row) == wanted)
                told = await ask(anybody, gateway.uri + "/n/door-1/dev")
                assert json.loads(told.payload) == DEV and told.opt.content_format == 50
                assert cbor2.loads((await report(context, gateway, *CLOSED)).payload) == 0

                def back(connection):
                    connection.execute("UPDATE node SET about = about - ?", (ASKED_EVERY_S,))

                await gateway.store.write(back)
                assert cbor2.loads((await report(context, gateway, *CLOSED)).payload) == 4
                assert node

    run(main())


def test_the_copy_of_what_a_write_changed_is_fetched_again(tmp_path):
    async def main():
        async with running(tmp_path) as gateway:
            await add_keys(gateway)
            async with sleeper(gateway) as (context, config), operator(gateway) as person:
                uri = gateway.uri + "/n/door-1/config"
                await report(context, gateway, *CLOSED)
                await until(lambda: gateway.store.read("SELECT 1 FROM last WHERE path='config'"))
                await ask(person, uri, "PUT", b'{"heartbeat_s": 60}')
                await until(lambda: not gateway.delivery._busy)
                await report(context, gateway, *CLOSED)
                row = "SELECT beat_s FROM node"
                await until(lambda: gateway.store.read(row) == [(60,)])
                assert json.loads((await ask(person, uri)).payload)["heartbeat_s"] == 60

    run(main())


def test_no_request_to_a_node_leaves_in_the_clear(tmp_path):
    async def main():
        async with running(tmp_path) as gateway:
            assert [type(one).__name__ for one in gateway.context.request_interfaces][
                0
            ] == "TransportOSCORE"
            clear = aiocoap.Message(code=Code.GET, uri=gateway.uri + "/n")
            with pytest.raises(RuntimeError):
                await server.request(gateway.context, clear, 1)

    run(main())
