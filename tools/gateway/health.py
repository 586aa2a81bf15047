"""Whether the gateway works: its store takes a write, its CoAP server responds to a ping."""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable

from .store import Store, StoreError

PING_S = 2.0
AGE_S = 5.0  # a finding counts so long: who asks often costs no more syncs of the disk
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class Health:
    """The findings of one gateway.

    Args:
        host, port: where the CoAP server listens.
    """

    def __init__(
        self, store: Store, host: str, port: int, clock: Callable[[], float] = time.monotonic
    ):
        self.store = store
        self.place = (LOOPBACK.get(host, host), port)
        self.clock = clock
        self.found = ""
        self.found_s = -AGE_S
        self.lock = asyncio.Lock()

    async def problem(self) -> str:
        """Return one line that says what does not work, "" when all does."""
        async with self.lock:
            if self.clock() - self.found_s >= AGE_S:
                self.found = await self._store() or await self._ping()
                self.found_s = self.clock()
            return self.found

    async def _store(self) -> str:
        try:
            await self.store.write(note, int(time.time()))
        except StoreError as error:
            return f"the store takes no writes: {error}"
        return ""

    async def _ping(self) -> str:
        """Send an empty CON; the RST that it provokes is CoAP's pong (RFC 7252 section 4.3)."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.place[0] else socket.AF_INET
        mid = secrets.token_bytes(2)
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            with contextlib.suppress(OSError, TimeoutError):
                sock.connect(self.place)
                await loop.sock_sendall(sock, b"\x40\x00" + mid)
                pong = await asyncio.wait_for(loop.sock_recv(sock, 16), PING_S)
                if pong == b"\x70\x00" + mid:
                    return ""
        return "the CoAP server does not respond to a ping"


def note(connection, now_s: int) -> None:
    """Write to the store; a full disk shows only then."""
    connection.execute("INSERT OR REPLACE INTO cursor VALUES ('health', ?)", (now_s,))
