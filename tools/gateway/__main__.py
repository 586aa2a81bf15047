"""Run the gateway: `make gateway`, `make demo`, or `.venv/bin/python -m tools.gateway`."""

import asyncio
import logging
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

from setup.console import Problem, fail  # noqa: E402

from . import nodes, service, settings, store  # noqa: E402
from .app import Gateway  # noqa: E402
from .banner import banner  # noqa: E402
from .hub import Hub  # noqa: E402
from .import_keys import Importer  # noqa: E402


def main(argv: list[str]) -> None:
    """Do what the command line says. Raises Problem for what the user can correct."""
    found, options = settings.load(argv)
    if options.backup:
        store.backup(found.data / store.FILE, options.backup)
    elif options.forget:
        asyncio.run(forget(found, options.forget))
    elif options.import_keys:
        asyncio.run(import_keys(found))
    elif options.service:
        service.install(found)
    elif options.check:
        print(f"coap {found.coap}, http {found.http}, data {found.data}, keys {found.keys}")
    elif options.demo:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder)
            asyncio.run(serve_demo(replace(found, data=data / "data", keys=data / "keys"), data))
    else:
        asyncio.run(serve(found))


async def serve(found: settings.Settings) -> None:
    """Run until SIGINT or SIGTERM."""
    gateway = Gateway(found)
    ended = on_signals()
    try:
        await gateway.start()
        print(banner(found), flush=True)
        await ended.wait()
    finally:
        await gateway.stop()


async def serve_demo(found: settings.Settings, folder: Path) -> None:
    """Run a gateway with simulated nodes, which keep all in a folder, until a signal."""
    from .demo import Demo

    gateway = Gateway(found)
    demo = Demo(gateway, folder / "nodes")
    ended = on_signals()
    try:
        demo.make_keys()
        await gateway.start()
        print(
            f"{banner(found)}\n\nStarting a door, a window with keys and a wristband", flush=True
        )
        await demo.start()
        print(
            "They run, on this computer. What they tell follows here and on the page; the sleep of"
            "\nthe door and the window passes 60 times faster. Type `door open`, `tamper on`, or"
            "\nCtrl-C to end.\n",
            flush=True,
        )
        await ended.wait()
    finally:
        demo.stop()
        await gateway.stop()


def on_signals() -> asyncio.Event:
    """Return an event that SIGINT, SIGTERM and SIGHUP set; log errors of the loop in one line."""
    asyncio.get_running_loop().set_exception_handler(log_line)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


def log_line(_loop: Any, context: dict[str, Any]) -> None:
    """Log what went wrong in a callback."""
    logging.getLogger("gateway").warning("%s", context.get("exception") or context["message"])


async def import_keys(found: settings.Settings) -> None:
    """Take the keys that `make keys` has made, and say whose."""
    kept = store.Store(found.data)
    try:
        names = await Importer(kept, Hub(), found.keys).look()
        print(f"keys of {', '.join(names)}" if names else f"no new keys in {found.keys}")
    finally:
        kept.close()


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
    # aiocoap calls what strangers send an error; what matters comes as an exception, too
    logging.getLogger("coap").setLevel(logging.CRITICAL)
    logging.getLogger("coap-server").setLevel(logging.CRITICAL)
    try:
        main(sys.argv[1:])
    except Problem as problem:
        fail(problem)
