"""A receiver of reports on aiocoap, behind a wire that loses, delays and doubles datagrams."""

import asyncio
import socket
import sys
import threading
import time

import aiocoap
import cbor2
from aiocoap import resource
from aiocoap.error import Error
from processes import HOST, free_port

TRANSPORTS = ["udp6" if sys.platform == "linux" else "simple6"]


class Receiver:
    """Runs in a thread of its own; `port` is where the node finds it, through the wire.

    fate(direction, count, data) says what becomes of a datagram, "in" or "out", the count-th of
    its direction: the seconds after which each copy arrives, () for a lost one.
    """

    def __init__(self, name, late_s=0, queue=(), code=aiocoap.CHANGED, fate=None):
        self.name = name
        self.late_s = late_s
        self.queue = list(queue)
        self.code = code
        self.fate = fate or (lambda direction, count, data: (0,))
        self.reports = []  # payloads, as often as they were executed
        self.answers = []  # payloads of the node's answers to what was queued
        self.port = free_port()
        self.passed = {"in": [], "out": []}  # datagrams, before their fate
        self._own = free_port()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(60), "the receiver does not start"
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)
        assert not self._thread.is_alive(), "the receiver does not end"

    async def _run(self):
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        site = resource.Site()
        site.add_resource(["r", self.name], _Mailbox(self))
        self.context = await aiocoap.Context.create_server_context(
            site, bind=(HOST, self._own), transports=TRANSPORTS
        )
        wire = _Wire(self, self.port, self._own)
        try:
            self._ready.set()
            await self._end.wait()
        finally:
            wire.close()
            await self.context.shutdown()

    async def ask(self, remote):
        """Send what is queued, one request after the other."""
        while self.queue:
            message = aiocoap.Message(code=aiocoap.GET, uri_path=self.queue.pop(0).split("/"))
            message.remote = remote
            try:
                response = await self.context.request(message).response
            except Error:
                return  # the node sleeps, or the test is over
            self.answers.append(response.payload)

    def has(self, answers):
        """Have these come? The last one may still be under way when the node rests."""
        deadline = time.monotonic() + 60
        while self.answers != answers and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.answers == answers


class _Mailbox(resource.Resource):
    def __init__(self, receiver):
        super().__init__()
        self.receiver = receiver
        self.tasks = []

    async def render_post(self, request):
        receiver = self.receiver
        receiver.reports.append(request.payload)
        await asyncio.sleep(receiver.late_s)
        payload = b""
        if receiver.queue and receiver.code == aiocoap.CHANGED:
            payload = cbor2.dumps(len(receiver.queue))
            self.tasks.append(asyncio.ensure_future(receiver.ask(request.remote)))
        return aiocoap.Message(code=receiver.code, payload=payload)


class _Wire:
    """Two sockets, one for each side; whoever wrote to the front last is the node."""

    def __init__(self, receiver, port, own):
        self.receiver = receiver
        self.loop = asyncio.get_running_loop()
        self.front = self._socket(port)
        self.back = self._socket(0)
        self.own = (HOST, own)
        self.node = None
        self.loop.add_reader(self.front, self._from_node)
        self.loop.add_reader(self.back, self._from_receiver)

    def close(self):
        for sock in (self.front, self.back):
            self.loop.remove_reader(sock)
            sock.close()

    def _socket(self, port):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((HOST, port))
        return sock

    def _from_node(self):
        data, self.node = self.front.recvfrom(2048)
        self._pass("in", data, self.back, self.own)

    def _from_receiver(self):
        data, _ = self.back.recvfrom(2048)
        self._pass("out", data, self.front, self.node)

    def _pass(self, direction, data, sock, to):
        passed = self.receiver.passed[direction]
        passed.append(data)
        for delay_s in self.receiver.fate(direction, len(passed), data):
            self.loop.call_later(delay_s, self._send, sock, data, to)

    def _send(self, sock, data, to):
        if sock.fileno() >= 0:
            sock.sendto(data, to)
