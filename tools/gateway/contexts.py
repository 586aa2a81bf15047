"""OSCORE security contexts in the store (RFC 8613): found by kid, and safe over a crash.

A context is loaded at its first use. Sender sequence numbers are reserved in the store before they
are used. The replay window is committed together with the report that moved it; before any other
protected request is served, the stored window becomes unknown, so that after a crash the next
request has to show by an Echo that it is no replay (appendix B.1.2).
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import aiocoap
import aiocoap.error
import aiocoap.oscore
from aiocoap.oscore import COSE_KID, COSE_KID_CONTEXT
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

from .store import Store

AHEAD = 64  # numbers reserved at a time
LEAST = 16  # left when more are reserved
WINDOW = 32
Key = tuple[bytes, bytes]  # kid and ID context, empty for none
OPERATOR = 0  # the node of the keys with which people write

log = logging.getLogger("gateway")


class KeyContext(
    aiocoap.oscore.CanProtect,
    aiocoap.oscore.CanUnprotect,
    aiocoap.oscore.SecurityContextUtils,
):
    """The gateway's end of a node's keys."""

    alg_aead = aiocoap.oscore.algorithms[aiocoap.oscore.DEFAULT_ALGORITHM]
    hashfun = aiocoap.oscore.hashfunctions[aiocoap.oscore.DEFAULT_HASHFUNCTION]

    def __init__(self, row: tuple, more: Callable[["KeyContext"], None]):
        """row: node, secret, salt, sender, next, win_index, win_bits, kid, id_context."""
        self.node, secret, salt, self.sender_id, first, index, bits, kid, id_context = row
        self.key: Key = (kid, id_context)
        self.recipient_id = kid
        self.id_context = id_context or None
        self.derive_keys(salt, secret)
        self.sender_sequence_number = self.reserved = first
        self.is_unknown = index is None  # of the stored window
        self.echo_recovery = secrets.token_bytes(8)
        self.authenticated_claims = [f"node {self.node}"]
        self.recipient_replay_window = aiocoap.oscore.ReplayWindow(WINDOW, lambda: None)
        if index is not None:
            self.recipient_replay_window.initialize_from_persisted(
                {"index": index, "bitfield": bits}
            )
        self._more = more

    def post_seqnoincrease(self) -> None:
        """Have more numbers reserved in time. Raises ContextUnavailable when none is left."""
        if self.sender_sequence_number > self.reserved:
            self.sender_sequence_number = self.reserved
            raise aiocoap.oscore.ContextUnavailable("no sender sequence number is reserved")
        if self.reserved - self.sender_sequence_number < LEAST:
            self._more(self)

    def window(self) -> tuple[int, int] | None:
        """Return index and bits of the replay window, None while it is unknown."""
        if not self.recipient_replay_window.is_initialized():
            return None
        state = self.recipient_replay_window.persist()
        return int(state["index"] or 0), int(state["bitfield"] or 0)


class Contexts:
    """All contexts of the store. It is also what aiocoap asks for the context of a request."""

    def __init__(self, store: Store, spawn: Callable[[Awaitable[Any]], None]):
        """spawn: runs a coroutine in the background."""
        self._store = store
        self._spawn = spawn
        self._loaded: dict[Key, KeyContext] = {}

    def find_oscore(self, unprotected: dict) -> KeyContext:
        """Return the context of a request that prepare() has loaded. Raises KeyError."""
        return self._loaded[key_of(unprotected)]

    async def prepare(self, key: Key) -> KeyContext | None:
        """Return a context that has numbers to send with, None if there is none.

        Raises:
            StoreError: numbers cannot be reserved.
        """
        context = self._loaded.get(key)
        if context is None:
            rows = self._store.read(
                "SELECT node, secret, salt, sender, next, win_index, win_bits, kid, id_context"
                " FROM key WHERE kid = ? AND id_context = ? AND state = 'good'",
                key,
            )
            if not rows:
                return None
            context = self._loaded[key] = KeyContext(rows[0], self._reserve_later)
        if context.reserved - context.sender_sequence_number < LEAST:
            await self._reserve(context)
        return context

    async def make_window_unknown(self, context: KeyContext) -> None:
        """Commit that the window is unknown, once between two reports."""
        if not context.is_unknown:
            await self._store.write(store_window, context.key, None)
            context.is_unknown = True

    def save_window(self, connection: Any, context: KeyContext) -> None:
        """Store the present window within the transaction of a report."""
        store_window(connection, context.key, context.window())
        context.is_unknown = False

    def retire_older(self, connection: Any, context: KeyContext) -> list[Key]:
        """Mark the older keys of a node, which has now used newer ones; return them."""
        return connection.execute(
            "UPDATE key SET state = 'old' WHERE node = ? AND state = 'good' AND made <"
            " (SELECT made FROM key WHERE kid = ? AND id_context = ?) RETURNING kid, id_context",
            (context.node, *context.key),
        ).fetchall()

    def drop(self, keys: list[Key]) -> None:
        """Accept nothing more under these keys, which are marked in the store.

        A context in use is never loaded a second time: both would take the same numbers.
        """
        for key in keys:
            self._loaded.pop(key, None)

    def _reserve_later(self, context: KeyContext) -> None:
        async def reserve() -> None:
            try:
                await self._reserve(context)
            except Exception as error:
                log.warning("no sequence numbers for %s: %s", context.key[0].hex(), error)

        self._spawn(reserve())

    async def _reserve(self, context: KeyContext) -> None:
        wanted = context.sender_sequence_number + AHEAD
        await self._store.write(store_next, context.key, wanted)
        context.reserved = max(context.reserved, wanted)


class ProtectedSite(OscoreSiteWrapper):
    """aiocoap's site for OSCORE, with contexts from the store."""

    def __init__(self, site: Any, contexts: Contexts):
        super().__init__(site, contexts)
        self._contexts = contexts

    async def render_to_pipe(self, pipe: Any) -> None:
        """Load the context that a protected request names, then let aiocoap do its work."""
        try:
            unprotected = aiocoap.oscore.verify_start(pipe.request)
        except aiocoap.oscore.NotAProtectedMessage:
            pass
        except (ValueError, IndexError):
            raise aiocoap.error.BadOption("the OSCORE option is malformed") from None
        else:
            await self._contexts.prepare(key_of(unprotected))
        await super().render_to_pipe(pipe)


def context_of(remote: Any) -> KeyContext | None:
    """Return the context of a request that came under OSCORE, None for one in the clear."""
    return getattr(remote, "security_context", None)


def key_of(unprotected: dict) -> Key:
    """Return kid and ID context of a message's OSCORE option."""
    return unprotected.get(COSE_KID, b""), unprotected.get(COSE_KID_CONTEXT) or b""


def store_window(connection: Any, key: Key, window: tuple[int, int] | None) -> None:
    """Store a replay window, None for unknown."""
    index, bits = window or (None, None)
    connection.execute(
        "UPDATE key SET win_index = ?, win_bits = ? WHERE kid = ? AND id_context = ?",
        (index, bits, *key),
    )


def store_next(connection: Any, key: Key, number: int) -> None:
    """Store that all sender sequence numbers below `number` may be used."""
    connection.execute(
        "UPDATE key SET next = max(next, ?) WHERE kid = ? AND id_context = ?", (number, *key)
    )
