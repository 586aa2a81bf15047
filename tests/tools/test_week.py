"""`make sim-week`: the firmware lives a slice of it, and the accounts can tell bad from good."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import build_mpy

ROOT = Path(__file__).resolve().parents[2]
WEEK = ROOT / "tools" / "week"


def load(name, path):
    """A module of the folder under a name of its own, for its names are short."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(WEEK))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(WEEK))
    return module


week = load("week_main", WEEK / "__main__.py")
charge = load("week_charge", WEEK / "charge.py")
accounts = load("week_accounts", WEEK / "accounts.py")


def live(firmware, seed, *words):
    """A day, unless the words say otherwise."""
    return week.live(firmware, seed, week.parse(["--days", "1", *words]))


@pytest.fixture(scope="module")
def firmware():
    return week.build()


@pytest.fixture(scope="module")
def calm(firmware):
    return live(firmware, 2, "--calm", "--boot", "frozen")


@pytest.mark.parametrize(
    ("seed", "boot", "chip"), [(3, "files", "esp32c3"), (3, "files", "rp2040")]
)
def test_a_bad_day_loses_and_doubles_nothing(firmware, seed, boot, chip):
    found = live(firmware, seed, "--boot", boot, "--chip", chip)
    assert (found["lost"], found["duplicated"], found["restarts"]) == (0, 0, 0), found
    assert found["happened"] == sum(found[name] for name in ("reported", "unknown", "unseen"))
    assert found["reported"] >= 15 and found["cuts"] >= 1 and found["brownouts"] >= 1
    assert found["lifts"] == 2, "the lid was taken off and put on again"
    assert found["sent"] > found["reports"], "nothing was lost on the way"


def test_a_calm_day_costs_a_datagram_and_an_ack_for_each_wake(calm):
    found = calm
    assert found["reported"] == found["happened"] >= 20
    assert found["wakes"] == found["reports"] == found["sent"] == found["came"]
    assert found["came_bytes"] == 8 * found["came"]  # head and token of an empty 2.04
    assert found["longest_report_bytes"] <= 120
    assert found["spent_ms"]["radio"] / found["wakes"] < 1100


@pytest.mark.parametrize(("seed", "words"), [(2, ["--calm"]), (9, [])])
def test_an_observer_is_remembered_over_every_sleep(firmware, seed, words):
    found = live(firmware, seed, "--observed", "--hours", "12", *words)
    told = found["observer"]
    assert told["registered"] and told["stale"] == 0
    assert told["confirmable"] == told["told"] >= (found["reports"] * 0.8 if words else 1)
    assert (found["lost"], found["duplicated"]) == (0, 0)
    if words:
        assert told["last"] == ("open" if found["last_level"] else "closed")


def test_a_pico_w_sleeps_with_its_radio_off(firmware):
    found = live(firmware, 2, "--calm", "--chip", "rp2040", "--hours", "6")
    assert found["reported"] == found["happened"] >= 5 and found["wakes"] == 1
    awake_ms = found["spent_ms"]["radio"] + found["spent_ms"]["awake"]
    assert awake_ms < 1200 * found["reports"], "the radio drew its current in light sleep"


def test_a_wearable_tells_every_row_once(firmware):
    found = live(firmware, 2, "--app", "wearable", "--hours", "1", "--calm")
    assert found["produced"] == found["reported"] + found["waiting"] >= 60
    assert (found["lost"], found["duplicated"]) == (0, 0)
    assert found["samples_lost"] < 120, "more than the scan of the first join costs"
    assert found["radio_wakes"] == found["reports"] == found["sent"] <= found["produced"] / 9


def test_a_door_on_a_c3_lasts_a_year_and_more(calm):
    found = calm
    currents = charge.Currents.load("ESP32_GENERIC_C3")
    spent_ms = {phase: ms for phase, ms in found["spent_ms"].items() if phase != "window"}
    span_days = sum(found["spent_ms"].values()) / 86_400_000
    day_mc = sum(currents.by_phase(spent_ms).values()) / span_days
    assert 400 <= charge.days(day_mc, 1000) <= 1000
    # by hand: 2 C a day of 1000 mAh, of which 80 % are used and 1 % a year is lost
    assert round(charge.days(2000, 1000)) == round(2880 / (2 + 36 / 365))


def test_a_seed_repeats_a_day(firmware):
    five = live(firmware, 5, "--hours", "6")
    assert five == live(firmware, 5, "--hours", "6") != live(firmware, 6, "--hours", "6")


MUTANTS = {
    "a quick pair is one event": ("power/cycle.py", "journal.catch_up(level, 2, PIN, now_s)", "0"),
    "what was not told is forgotten": ("power/event_log.py", "self.kept = kept", "self.kept = 0"),
    "numbers begin anew": ("power/cycle.py", "if self.reserve.limit >= 0:", "if False:"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_broken_firmware_is_found_out(firmware, tmp_path, name):
    path, old, new = MUTANTS[name]
    text = (ROOT / "lib" / path).read_text()
    assert text.count(old) == 1
    broken = tmp_path / "firmware"
    shutil.copytree(firmware, broken)
    (tmp_path / "mutant.py").write_text(text.replace(old, new))
    made = broken / Path(path).with_suffix(".mpy")
    if made.exists():
        build_mpy.compile_file(tmp_path / "mutant.py", path, made, "x64")
    else:
        shutil.copyfile(tmp_path / "mutant.py", broken / path)
    bad = 0
    for seed in (3, 5):
        found = live(broken, seed, "--boot", "files")
        bad += found["lost"] + found["duplicated"]
        if bad:
            break
    assert bad


def judged(happened, told, unwatched=(), blind=(), unknowns=()):
    """The accounts of a made-up week: [(when, level)] and {number: (level, when)}."""
    receiver = SimpleNamespace(
        told={number: (level, when_ms, when_ms) for number, (level, when_ms) in told.items()},
        unknowns=list(unknowns),
        repeats=0,
        lost=0,
        reports=0,
        longest=0,
    )
    air = SimpleNamespace(sent=0, sent_bytes=0, came=0, came_bytes=0, stuck=0, linked_ms=0)
    made_up = SimpleNamespace(
        door=SimpleNamespace(
            happened=[[when_ms, level, ""] for when_ms, level in happened], lifts=[], late_ms=0
        ),
        receiver=receiver,
        air=air,
        unwatched=list(unwatched),
        blind=list(blind),
        world=SimpleNamespace(spent={}),
        wakes=0,
        restarts=0,
        cuts=0,
        brownouts=0,
        outages_all=0,
    )
    found = accounts.judge(made_up)
    names = ("reported", "unknown", "unseen", "lost", "duplicated")
    return tuple(found[name] for name in names)


@pytest.mark.parametrize(
    ("told", "extra", "wanted"),
    [
        ({1: (1, 1000), 2: (0, 1000)}, {}, (2, 0, 0, 0, 0)),
        ({1: (1, 1000)}, {}, (1, 0, 0, 1, 0)),
        ({}, {}, (0, 0, 0, 2, 0)),
        ({1: (1, 1000), 2: (0, 1000), 3: (1, 1000)}, {}, (2, 0, 0, 0, 1)),
        ({1: (1, 1000), 2: (0, 900_000)}, {}, (1, 0, 0, 1, 1)),
        ({}, {"unwatched": [(0, 5000)], "unknowns": [9000]}, (0, 2, 0, 0, 0)),
        ({}, {"unwatched": [(0, 5000)]}, (0, 0, 0, 2, 0)),
        ({}, {"unwatched": [(0, 5000)], "unknowns": [500]}, (0, 0, 0, 2, 0)),
        ({}, {"unwatched": [(5000, 9000)], "unknowns": [9000]}, (0, 0, 0, 2, 0)),
        ({}, {"blind": [(900, 1400)]}, (0, 0, 2, 0, 0)),
        ({}, {"blind": [(900, 1100)]}, (0, 0, 1, 1, 0)),
    ],
)
def test_the_accounts(told, extra, wanted):
    assert judged([(1000, 1), (1300, 0)], told, **extra) == wanted


def test_every_current_has_a_source():
    boards = json.loads((WEEK / "currents.json").read_text())["boards"]
    for name, phases in boards.items():
        assert (ROOT / "boards" / name).is_dir()
        for phase in ("sleep", "nap", "glimpse", "dark", "boot", "window", "awake", "radio"):
            assert phases[phase]["ua"] > 0 and len(phases[phase]["source"]) > 5, (name, phase)


@pytest.mark.parametrize(
    "words", [["--seed", "x"], ["--seed", "-1"], ["--seeds", "0"], ["--days", "0"]]
)
def test_wrong_arguments_are_one_line_and_exit_code_2(words):
    argv = [sys.executable, "tools/week", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert "SEED" in done.stderr or "--days" in done.stderr or "--seed" in done.stderr
