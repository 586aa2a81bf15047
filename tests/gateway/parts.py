"""A whole gateway for tests, on free ports of this computer, and clients of it."""

import asyncio
import contextlib
import socket

import aiocoap
import cbor2
from tools.gateway.app import Gateway
from tools.gateway.contexts import KeyContext
from tools.gateway.settings import Settings

EUI = "0011223344556677"
SECRET, SALT = b"master-secret-16", b"salt-of-8"
NODE_ID, GATEWAY_ID = b"\x01", b"\x02"
OPERATOR_ID, FOR_OPERATOR_ID = b"\x11", b"\x12"


def free_port(kind=socket.SOCK_DGRAM):
    """Return a port of 127.0.0.1 that nobody uses."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.asynccontextmanager
async def running(folder, **settings):
    """Yield a Gateway that runs, with `uri` for its CoAP server."""
    settings = {
        "coap": f"127.0.0.1:{free_port()}",
        "http": f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
        "data": folder / "data",
        "keys": folder / "keys",
        "rate_hz": 1000.0,
        **settings,
    }
    gateway = Gateway(Settings(**settings))
    gateway.uri = f"coap://{settings['coap']}"
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.stop()


@contextlib.asynccontextmanager
async def client():
    """Yield an aiocoap client."""
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    try:
        yield context
    finally:
        await context.shutdown()


async def ask(context, uri, method="GET", payload=b"", **options):
    """Return the response to a request."""
    message = aiocoap.Message(code=aiocoap.Code[method], uri=uri, payload=payload, **options)
    return await context.request(message).response


def pack(*records, eui=EUI):
    """Return a report: records of (name, value[, age in seconds[, unit]])."""
    rows = []
    for name, value, *rest in records:
        age_s, unit = (*rest, 0, "")[:2] if len(rest) < 2 else rest
        label = 4 if isinstance(value, bool) else 3 if isinstance(value, str) else 2
        row = {0: name, label: value}
        if age_s:
            row[6] = -age_s
        if unit:
            row[1] = unit
        rows.append(row)
    rows[0][-2] = f"urn:dev:mac:{eui}:"
    return cbor2.dumps(rows)


async def report(context, gateway, *records, ep="door-1", eui=EUI):
    """Post a report; return the response."""
    uri = f"{gateway.uri}/r/{ep}"
    return await ask(context, uri, "POST", pack(*records, eui=eui), content_format=112)


async def add_keys(gateway, ep="door-1", node_id=NODE_ID, sender=GATEWAY_ID, operator=False):
    """Give a node of the store, or the operator, keys; return its ID."""

    def add(connection):
        node = 0
        if not operator:
            node = connection.execute(
                "INSERT INTO node (ep, state, needs_key) VALUES (?, 'adopted', 1) RETURNING id",
                (ep,),
            ).fetchone()[0]
        connection.execute(
            "INSERT INTO key (kid, id_context, node, secret, salt, sender)"
            " VALUES (?, x'', ?, ?, ?, ?)",
            (node_id, node, SECRET, SALT, sender),
        )
        return node

    return await gateway.store.write(add)


def keys_of(sender, recipient):
    """Return the keys of who has `sender` as its ID, for requests to who has `recipient`."""
    row = (0, SECRET, SALT, sender, 0, 0, 0, recipient, b"")
    context = KeyContext(row, lambda context: None)
    context.reserved = 1 << 20
    return context


def run(work):
    """Run a coroutine within 30 s."""

    async def limited():
        await asyncio.wait_for(work, 30)

    asyncio.run(limited())
