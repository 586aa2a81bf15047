"""Three simulated nodes for `make demo`, which report to the gateway of this process.

A door and a window on batteries sleep; the window has keys. A wearable is awake, and registers in
the gateway's directory. The sleeping ones' time passes faster while they sleep, and their contacts
move by themselves. Lines on stdin go to the door: `door open`, `tamper on`.
"""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from battery_sim import run as battery_sim
from setup.console import ROOT, Problem

from .app import Gateway

NODES = {"front-door": "Front door", "bedroom-window": "Bedroom window"}
WITH_KEYS = "bedroom-window"
WEARABLE = "Wristband"
SPEED = 60
STILL_S = (8.0, 45.0)  # how long a contact rests
START_S = 60.0


class Demo:
    """The nodes. folder: for what they keep; it is theirs alone."""

    def __init__(self, gateway: Gateway, folder: Path, speed: int = SPEED):
        self._gateway, self._folder, self._speed = gateway, folder, speed
        self._processes: list[subprocess.Popen] = []

    def make_keys(self) -> None:
        """Make the window's keys where the gateway looks for keys. Raises Problem."""
        keys = self._gateway.settings.keys
        argv = [sys.executable, str(ROOT / "tools" / "keys"), "make"]
        argv += ["--node", WITH_KEYS, "--keys", str(keys)]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise Problem(f"no keys for {WITH_KEYS}: {done.stderr.strip()}")

    async def start(self) -> None:
        """Start the nodes and let them live; returns once they run. Raises Problem."""
        host, port = self._gateway.settings.coap_address
        host = "127.0.0.1" if host in ("::", "0.0.0.0") else host
        uri = f"coap://{host}:{port}"
        for name in NODES:
            await asyncio.to_thread(self._start_sleeper, name, uri, host)
        self._start_wearable(uri, host)
        for process in self._processes[:2]:
            self._gateway.spawn(self._move(process))
        self._gateway.spawn(self._adopt())
        self._gateway.spawn(self._say())
        with contextlib.suppress(OSError, ValueError):  # no stdin, or one that cannot be watched
            asyncio.get_running_loop().add_reader(0, self._typed)

    def stop(self) -> None:
        """End the nodes."""
        for process in self._processes:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            process.terminate()
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_sleeper(self, name: str, uri: str, host: str) -> None:
        flash = self._folder / name
        flash.mkdir(parents=True)
        if name == WITH_KEYS:
            for file in ("oscore.json", "oscore.json.numbers"):
                made = self._gateway.settings.keys / name / file
                (flash / file).write_bytes(made.read_bytes())
        quiet: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "bufsize": 0}
        started = battery_sim.start_live(flash, "door", name, uri, host, self._speed, **quiet)
        self._processes.append(started)

    def _start_wearable(self, uri: str, host: str) -> None:
        argv = [sys.executable, str(ROOT / "tools" / "simulator"), "--app", "wearable"]
        argv += ["--host", host, "--port", "0", "--rd", uri]
        self._processes.append(
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0)
        )

    async def _move(self, process: subprocess.Popen) -> None:
        """Open and close a contact until the node ends."""
        await asyncio.sleep(random.uniform(*STILL_S))
        while process.poll() is None and process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"\n")
            await asyncio.sleep(random.uniform(*STILL_S))

    async def _adopt(self) -> None:
        """Adopt the nodes as they come, as a click on the page does, and give them titles."""
        store, hub = self._gateway.store, self._gateway.hub
        news = hub.subscribe()
        try:
            async for one in news:
                if one.kind != "node":
                    continue
                rows = store.read("SELECT ep, title FROM node WHERE id = ?", (one.node_id,))
                if not rows or rows[0][1]:
                    continue
                title = NODES.get(rows[0][0], WEARABLE)
                await store.write(adopt, one.node_id, title)
                hub.publish("node", one.node_id, {"state": "adopted"})
        finally:
            news.close()

    async def _say(self) -> None:
        """Print each event."""
        news = self._gateway.hub.subscribe()
        try:
            async for one in news:
                if one.kind == "event" and one.data["source"] in ("contact", "tamper"):
                    rows = self._gateway.store.read(
                        "SELECT ep FROM node WHERE id = ?", (one.node_id,)
                    )
                    print(f"{rows[0][0]}: {words(one.data)}", flush=True)
        finally:
            news.close()

    def _typed(self) -> None:
        line = os.read(0, 4096)
        if not line:
            asyncio.get_running_loop().remove_reader(0)
        elif self._processes and self._processes[0].stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._processes[0].stdin.write(line)


def adopt(connection: Any, node: int, title: str) -> None:
    """Adopt a node and give it a title, in the writer's transaction."""
    connection.execute(
        "UPDATE node SET state = 'adopted', title = ? WHERE id = ? AND state != 'gone'",
        (title, node),
    )


def words(event: dict[str, Any]) -> str:
    """Return an event in words: "opened", "lid put on"."""
    if event["source"] == "contact":
        return "opened" if event["value"] else "closed"
    return "lid taken off" if event["value"] else "lid put on"
