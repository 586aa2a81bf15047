"""Run the gateway: `make gateway`, or `.venv/bin/python -m tools.gateway`."""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

from setup.console import Problem, fail  # noqa: E402

from . import nodes, settings, store  # noqa: E402
from .app import Gateway  # noqa: E402


def main(argv: list[str]) -> None:
    """Do what the command line says. Raises Problem for what the user can correct."""
    found, options = settings.load(argv)
    if options.backup:
        store.backup(found.data / store.FILE, options.backup)
    elif options.forget:
        asyncio.run(forget(found, options.forget))
    elif options.check:
        print(f"coap {found.coap}, http {found.http}, data {found.data}, keys {found.keys}")
    else:
        asyncio.run(serve(found))


async def serve(found: settings.Settings) -> None:
    """Run until SIGINT or SIGTERM."""
    gateway = Gateway(found)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await gateway.start()
        print(f"Nodes report to coap://{found.coap}", flush=True)
        await ended.wait()
    finally:
        await gateway.stop()


async def forget(found: settings.Settings, name: str) -> None:
    """Remove a node, its keys and all that it told. Raises Problem if there is none."""
    kept = store.Store(found.data)
    try:

        def remove(connection: Any) -> bool:
            node = nodes.get(connection, "ep = ?", name)
            if node is not None:
                nodes.remove(connection, node.id)
            return node is not None

        if not await kept.write(remove):
            raise Problem(f"{found.data} has no node {name}")
    finally:
        kept.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        main(sys.argv[1:])
    except Problem as problem:
        fail(problem)
