"""A node on UDP beside other asyncio tasks, on MicroPython and on CPython.

MicroPython's asyncio has no datagrams; its queue of streams that wait for poll does as well
(`asyncio.core._io_queue`, unchanged since 2020; micropython issues 5900 and 13382).
"""

import asyncio

from coap.extension import run_step
from coap.transports.polling import ticks_ms
from coap.transports.udp import Udp

_LONGEST_MS = 60000
_RETRY_MS = 1000  # between attempts to open a socket while there is no network


async def serve(node, host="0.0.0.0", port=5683):
    """Serve `node` on a UDP socket of its own until the task is cancelled."""
    await serve_udp(Udp(node, host, port))


async def serve_udp(udp):
    """Serve the transport `udp` until the task is cancelled, then close it."""
    node = udp.node
    wake = asyncio.Event()
    readers = {}
    node.on_wake = wake.set
    try:
        while True:
            wake.clear()
            if udp.sock is None:
                udp.reopen()
            udp.wait_ms = 0
            run_step(udp)
            _follow(udp, wake, readers)
            wait_ms = min(node.wait_ms(ticks_ms()), _LONGEST_MS if udp.sock else _RETRY_MS)
            try:
                await asyncio.wait_for(wake.wait(), wait_ms / 1000)
            except asyncio.TimeoutError:
                pass
    finally:
        node.on_wake = None
        for stream in readers:
            readers[stream].cancel()
        udp.close()


def _follow(udp, wake, readers):
    """Keep one task for each stream that is read: sockets come and go."""
    streams = [stream for stream, _callback in udp.watched]
    if udp.sock is not None:
        streams.append(udp.sock)
    for stream in list(readers):
        if stream not in streams:
            readers.pop(stream).cancel()
    for stream in streams:
        if stream not in readers:
            readers[stream] = asyncio.create_task(_read(udp, stream, wake, readers))


async def _read(udp, stream, wake, readers):
    while stream in readers:
        await _readable(stream)
        udp.wait_ms = 0
        run_step(udp)
        if not udp.node.idle or udp.sock is not stream:
            wake.set()


if hasattr(asyncio, "core"):

    def _queued(sock):
        yield asyncio.core._io_queue.queue_read(sock)  # pyright: ignore[reportAttributeAccessIssue]

    async def _readable(sock):
        await _queued(sock)  # pyright: ignore[reportGeneralTypeIssues]

else:

    async def _readable(sock):
        loop = asyncio.get_running_loop()  # pyright: ignore[reportAttributeAccessIssue]
        ready = loop.create_future()
        number = sock.fileno()  # a socket that was closed meanwhile has none
        loop.add_reader(number, _set, ready)
        try:
            await ready
        finally:
            loop.remove_reader(number)

    def _set(future):
        if not future.done():
            future.set_result(None)


# Requests of a node for which an asyncio task waits, beside serve():
#
#     result = await wait_for(node.client.get(peer("192.168.1.2"), "s/door"))


class ClientResult:
    """A copy of the response: code (0 for none), payload, content_format; str() gives the code or
    the failure.
    """

    def __init__(self, response, payload):
        self.code = response.code
        self.payload = payload
        self.content_format = response.content_format
        self.text = str(response)

    def __str__(self):
        return self.text


async def wait_for(call):
    """Wait for the response to a client request that was just made, whole if it comes in blocks.

    Cancelling the task cancels the request. Raises MemoryError for a payload that does not fit.
    """
    done = asyncio.Event()
    pieces = []
    found = [None]  # type: list
    client = call.client

    def take(response):
        try:
            if not response.offset:
                pieces.clear()  # the state changed: the transfer restarts
            pieces.append(response.payload_bytes())
            if response.last:
                found[0] = ClientResult(response, b"".join(pieces))
        except MemoryError as error:
            found[0] = error
            if not response.last:
                client.cancel(call)
        if found[0] is not None:
            done.set()

    call.deliver_to(take)
    try:
        await done.wait()
    finally:
        if found[0] is None:
            client.cancel(call)
    if isinstance(found[0], MemoryError):
        raise found[0]
    return found[0]
