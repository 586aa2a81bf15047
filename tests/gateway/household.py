"""A house full of nodes, for tests of the page and for its picture.

python household.py [PORT]     serves it until stdin ends; prints its address
"""

import asyncio
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT), str(ROOT / "tools")]

from web_server import serving  # noqa: E402

DAY_S = 86400.0
BACK_DOOR, WINDOW, SHED, BAND, NEW = 1, 2, 3, 4, 5


async def fill(gateway):
    """Put the nodes and what they have told into the store of a web server."""
    gateway.now_s = now_s = time.time()
    chance = random.Random(7)
    door = {"fw": "0.2.0", "power": "battery", "beat_s": 3600}
    await gateway.add_door(BACK_DOOR, "back-door", is_open=1, title="Back door", **door)
    await gateway.add_door(WINDOW, "bedroom-window", is_open=0, title="Bedroom window", **door)
    await gateway.add_door(
        SHED, "shed", is_open=0, keys=False, title="Shed", **door | {"heard": now_s - 9.5 * 3600}
    )
    await gateway.store.write(forget_events, SHED, now_s - 10 * 3600)
    for node in (BACK_DOOR, WINDOW, SHED):
        number = 2
        at_s = now_s - 30 * DAY_S
        is_open = False
        while at_s < now_s - 9000:
            at_s += chance.expovariate(1 / (1500 if is_open else 14000))
            is_open = not is_open
            number += 1
            if at_s < now_s - (37000 if node == SHED else 7300):
                await gateway.add_event(node, number, int(is_open), at_s)
        closed_s = now_s - (36500 if node == SHED else 7250)
        if is_open:
            await gateway.add_event(node, number + 1, 0, closed_s)
    await gateway.add_event(WINDOW, 900, 1, now_s - 5000, source="tamper")
    await gateway.add_last(WINDOW, "s/tamper", 1, age_s=5000)
    for node, first, fall in ((BACK_DOOR, 92, 0.06), (WINDOW, 34, 0.5), (SHED, 71, 0.08)):
        for day in range(40):
            level = first - fall * day + chance.uniform(-0.3, 0.3)
            await reading(gateway, node, "batt", now_s - (40 - day) * DAY_S, level)
        await gateway.add_last(node, "s/batt", round(first - fall * 40), "%EL")
    await gateway.add(
        "node", id=BAND, ep="band", title="Wristband", kind="wearable", state="adopted",
        heard=now_s - 40, beat_s=300, fw="0.2.0", power="battery",
    )  # fmt: skip
    for minute in range(0, 24 * 60, 5):
        at_s = now_s - DAY_S + minute * 60
        pulse = 66 + 14 * math.sin(minute / 170) + chance.uniform(-4, 4)
        await reading(gateway, BAND, "hr", at_s, round(pulse))
        await reading(gateway, BAND, "temp", at_s, 36.4 + 0.4 * math.sin(minute / 400))
        await reading(gateway, BAND, "spo2", at_s, 0.97 + chance.uniform(-0.01, 0.01))
    for name, value, unit in (("hr", 71, "beat/min"), ("temp", 36.6, "Cel"), ("spo2", 0.97, "/")):
        await gateway.add_last(BAND, f"s/{name}", value, unit, age_s=40)
    await gateway.add_last(BAND, "s/steps", 6412, "count", age_s=40)
    await gateway.add(
        "node", id=NEW, ep="mote-3f2a", kind="door", state="new", eui="a0b1c2fffe003f2a",
        heard=now_s - 75, addr="192.168.1.61:5683",
    )  # fmt: skip
    await gateway.add_event(NEW, 1, 0, now_s - 75)
    await gateway.add_last(NEW, "s/contact", 0, age_s=75)


def forget_events(connection, node, at_s):
    """Drop the events of a node, which has been silent since at_s, and date its contact."""
    connection.execute("DELETE FROM event WHERE node = ?", (node,))
    connection.execute("UPDATE last SET at = ? WHERE node = ?", (at_s, node))


async def reading(gateway, node, name, at_s, value):
    """Add a reading."""
    await gateway.add("reading", node=node, name=name, at=at_s, value=value)


async def close_door(gateway):
    """Close the back door, as its report would."""
    gateway.now_s = now_s = time.time()
    await gateway.add_event(BACK_DOOR, 990, 0, now_s)
    await gateway.add_last(BACK_DOOR, "s/contact", 0, age_s=0)
    gateway.hub.publish(
        "event", BACK_DOOR,
        {"id": 10**6, "node": BACK_DOOR, "number": 990, "source": "contact", "value": 0,
         "at": now_s, "heard": now_s},
    )  # fmt: skip


async def main(picture):
    """Serve the house until stdin ends, or until its page is drawn."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder) / "data") as gateway:
            await fill(gateway)
            if picture is None:
                print(gateway.address, flush=True)
                await asyncio.to_thread(sys.stdin.read)
                return
            argv = ["node", "tools/js/page.cjs", "screenshot", f"{gateway.address}/"]
            argv += [str(Path(picture).resolve()), "1280", "840", "light"]
            await asyncio.to_thread(subprocess.run, argv, cwd=ROOT, check=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[2] if sys.argv[1:2] == ["--picture"] else None))
