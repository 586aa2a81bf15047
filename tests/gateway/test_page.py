"""The page in a real headless Chromium: by mouse and keyboard, wide and narrow, both colours."""

import asyncio
import json
import subprocess
import time

import household
import pytest
from web_server import serving

from setup.console import ROOT

LIMIT_S = 120
TRANSFER_MAX = 120_000
DARK = "rgb(16, 22, 21)"
pytestmark = pytest.mark.takes(LIMIT_S)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a browser saw, {name: value}, and `closed`: when the back door was closed."""
    folder = tmp_path_factory.mktemp("page")

    async def main():
        found = {}
        async with asyncio.timeout(LIMIT_S), serving(folder / "data") as gateway:
            await household.fill(gateway)
            process = await asyncio.create_subprocess_exec(
                "node", "tools/js/page.cjs", "check", f"{gateway.address}/",
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            async for line in process.stdout:
                told = json.loads(line)
                found |= told
                if "before" in told:
                    found["closed"] = time.time()
                    await household.close_door(gateway)
                    process.stdin.write(b"go\n")
            assert await process.wait() == 0, (await process.stderr.read()).decode()
        return found

    return asyncio.run(main())


def test_what_needs_a_look_comes_first(seen):
    assert seen["h1"] == "3 of 4 need a look"
    assert seen["cards"] == ["mote-3f2a", "Bedroom window", "Shed", "Back door", "Wristband"]


@pytest.mark.parametrize(
    "text",
    [
        "Open for 12 min", "asleep, due in", "Lid is off", "Battery", "about 4 weeks left",
        "overdue: last heard 9 h ago", "97 %", "71 /min", "Open and closed", "not known",
    ],
)  # fmt: skip
def test_it_says(seen, text):
    assert text in seen["text"].replace("\u00a0", " ")


def test_a_new_node_is_adopted_in_two_clicks(seen):
    assert seen["adopted"] == ["Bedroom window", "Shed", "Back door", "mote-3f2a", "Wristband"]


def test_it_is_used_by_keyboard(seen):
    assert seen["focused"] == seen["opened"] == "Bedroom window"


def test_a_change_is_shown_within_a_second(seen):
    assert seen["before"].startswith("Open for")
    assert 0 < seen["after"] - seen["closed"] < 1


def test_a_heartbeat_is_changed_from_the_page(seen):
    assert "PUT config" in seen["queue"] and "waiting" in seen["queue"]
    assert '"heartbeat_s":1200' in seen["queue"].replace(" ", "")


def test_tables_can_be_downloaded(seen):
    assert any(one.startswith("/api/nodes/1/events.csv") for one in seen["downloads"])
    assert any("history.csv?name=batt" in one for one in seen["downloads"])


def test_it_follows_the_colours_of_the_system(seen):
    for width in (1280, 390):
        assert seen[f"back {width} dark"] == DARK != seen[f"back {width} light"]


def test_nothing_goes_wrong_and_nothing_comes_from_elsewhere(seen):
    assert seen["errors"] == [] and seen["foreign"] == []


def test_its_transfer_is_small(seen):
    assert 20_000 < seen["bytes"] < TRANSFER_MAX
