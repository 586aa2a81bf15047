"""A node on UDP beside other asyncio tasks, on MicroPython and on CPython.

MicroPython's asyncio has no datagrams; its queue of streams that wait for poll does as well
(`asyncio.core._io_queue`, unchanged since 2020; micropython issues 5900 and 13382).
"""

import asyncio

from coap.guard import turn
from coap.transports.udp import ticks_ms

_LONGEST_MS = 60000


async def serve(udp):
    """Serve `udp` for ever."""
    wake = asyncio.Event()
    clock = asyncio.create_task(_tick(udp, wake))
    try:
        while True:
            await _readable(udp.sock)
            udp.wait_ms = 0
            turn(udp)
            wake.set()
    finally:
        clock.cancel()
        udp.close()


async def _tick(udp, wake):
    node = udp.node
    while True:
        udp.wait_ms = 0
        turn(udp)
        wait_ms = min(node.wait_ms(ticks_ms()), _LONGEST_MS)
        wake.clear()
        try:
            await asyncio.wait_for(wake.wait(), wait_ms / 1000)
        except asyncio.TimeoutError:
            pass


if hasattr(asyncio, "core"):

    def _queued(sock):
        yield asyncio.core._io_queue.queue_read(sock)

    async def _readable(sock):
        await _queued(sock)

else:

    async def _readable(sock):
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(sock, _set, ready)
        try:
            await ready
        finally:
            loop.remove_reader(sock)

    def _set(future):
        if not future.done():
            future.set_result(None)
