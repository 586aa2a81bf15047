"""The clients of aiocoap, libcoap and node with one interface: request() and observe()."""

import asyncio
import re
import tempfile
from dataclasses import dataclass

import aiocoap
import aiocoapclient
import libcoapclient
import nodeclient

PATIENCE_S = 60
FORMATS = {"text/plain": 0, "application/link-format": 40, "application/xml": 41}
FORMATS |= {"application/json": 50, "application/cbor": 60}
NAMES = {number: name for name, number in FORMATS.items()}
LINK = re.compile(rb"<([^>]*)>([^,<]*)")


@dataclass
class Response:
    """What a client shows of a response; kind "" and transcript "" where it does not."""

    code: str
    payload: bytes
    content_format: int | None = None
    kind: str = ""
    etag: bytes = b""
    observe: int | None = None
    location: tuple = ()
    location_query: tuple = ()
    transcript: str = ""

    @property
    def links(self):
        """The links of a discovery: path -> attributes as text."""
        return {path.decode(): rest.decode() for path, rest in LINK.findall(self.payload)}


class Aiocoap:
    """The client of aiocoap."""

    name = "aiocoap"

    def request(self, url, method="GET", payload=b"", non=False, szx=None, **options):
        """Send a request and return the response. options: content_format, accept, etag, if_match
        (bytes), if_none_match (bool).
        """
        if "etag" in options:
            options["etags"] = [options.pop("etag")]
        if "if_match" in options:
            options["if_match"] = [options["if_match"]]
        if szx is not None:
            options["block2"] = aiocoap.optiontypes.BlockOption.BlockwiseTuple(0, False, szx)
        code = getattr(aiocoap, method)
        return self._response(aiocoapclient.request(url, code, payload, non, **options))

    def observe(self, url, *changes, non=False):
        """Return the response to a registration, and after each change the first notification for
        which is_it(response) holds; None: the observation ended. changes: (make, is_it).
        """
        return asyncio.run(self._observe(url, changes, non))

    async def _observe(self, url, changes, non):
        context = await aiocoap.Context.create_client_context(transports=aiocoapclient.TRANSPORTS)
        tuning = aiocoap.Unreliable() if non else aiocoap.Reliable()
        seen = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                message = aiocoap.Message(
                    code=aiocoap.GET, uri=url, observe=0, transport_tuning=tuning
                )
                asked = context.request(message)
                seen.append(self._response(await asked.response))
                notifications = aiter(asked.observation)
                for make, is_it in changes:
                    await asyncio.to_thread(make)
                    notification = await anext(notifications, None)
                    while notification and not is_it(self._response(notification)):
                        notification = await anext(notifications, None)
                    seen.append(notification and self._response(notification))
                if not asked.observation.cancelled:
                    asked.observation.cancel()
        finally:
            await context.shutdown()
        return seen

    @staticmethod
    def _response(message):
        form = message.opt.content_format
        return Response(
            message.code.dotted,
            message.payload,
            None if form is None else int(form),
            message.mtype.name,
            message.opt.etag or b"",
            message.opt.observe,
            message.opt.location_path,
            message.opt.location_query,
            aiocoapclient.described(message),
        )


class Libcoap:
    """libcoap's coap-client."""

    name = "libcoap"

    def request(self, url, method="GET", payload=b"", non=False, szx=None, **options):
        """As Aiocoap.request()."""
        more = [] if szx is None else ["-b", str(16 << szx)]
        for number, name in ((1, "if_match"), (4, "etag")):
            if name in options:
                more += ["-O", f"{number},0x{options.pop(name).hex()}"]
        if options.pop("if_none_match", False):
            more += ["-O", "5,"]
        with tempfile.NamedTemporaryFile() as file:
            if payload:
                file.write(payload)
                file.flush()
                more += ["-f", file.name]
            exchange = libcoapclient.request(url, method.lower(), non=non, more=more, **options)
        response = self._response(exchange.response, exchange.transcript)
        response.payload = exchange.payload
        return response

    def observe(self, url, *changes, non=False):
        """As Aiocoap.observe()."""
        with libcoapclient.observing(url, non=non) as client:
            seen = [self._response(libcoapclient.received_by(client)[-1])]

            def found(is_it):
                came = [self._response(m) for m in libcoapclient.received_by(client)]
                return [response for response in came[1:] if is_it(response)]

            for make, is_it in changes:
                make()
                client.until(lambda is_it=is_it: found(is_it))
                seen += found(is_it)[:1]
        return seen

    @staticmethod
    def _response(message, transcript=""):
        forms = [FORMATS.get(name) for name in message.option("Content-Format")]
        numbers = [int(value) for value in message.option("Observe")]
        tags = [bytes.fromhex(tag.removeprefix("0x")) for tag in message.option("ETag")]
        return Response(
            message.code,
            message.payload.encode(),
            forms[0] if forms else None,
            message.type,
            tags[0] if tags else b"",
            numbers[0] if numbers else None,
            tuple(message.option("Location-Path")),
            tuple(message.option("Location-Query")),
            transcript,
        )


class Node:
    """The client of node's package coap."""

    name = "node"

    def request(self, url, method="GET", payload=b"", non=False, **options):
        """As Aiocoap.request(); options: content_format and accept."""
        named = {"content_format": "Content-Format", "accept": "Accept"}
        given = {named[name]: NAMES[number] for name, number in options.items()}
        found = nodeclient.request(url, method, payload, not non, given)
        form = FORMATS.get(found.options.get("Content-Format"))
        return Response(found.code, found.payload, form, transcript=str(found))


CLIENTS = {client.name: client for client in (Aiocoap(), Libcoap(), Node())}
