"""`make sim-week`: simulated days of the firmware, and what the ledger check finds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import build_mpy
import fold
from battery_sim import battery_life, ledger_check, run
from battery_sim.__main__ import parse, table
from battery_sim.door import Event

ROOT = Path(__file__).resolve().parents[2]


def simulate(firmware, seed, *words):
    """Return the counts of a day, unless the words say otherwise."""
    return run.simulate(firmware, seed, parse(["--days", "1", *words])[1])


@pytest.fixture(scope="module")
def firmware():
    return run.build()


@pytest.fixture(scope="module")
def calm(firmware):
    return simulate(firmware, 2, "--calm", "--boot", "frozen")


@pytest.mark.parametrize(
    ("seed", "boot", "chip"), [(3, "files", "esp32c3"), (3, "files", "rp2040")]
)
def test_a_day_with_troubles_loses_and_duplicates_no_event(firmware, seed, boot, chip):
    counts = simulate(firmware, seed, "--boot", boot, "--chip", chip)
    assert (counts["lost"], counts["duplicated"], counts["restarts"]) == (0, 0, 0), counts
    assert counts["happened"] == sum(counts[name] for name in ("reported", "unknown", "unseen"))
    assert counts["reported"] >= 15 and counts["cuts"] >= 1 and counts["brownouts"] >= 1
    assert counts["lid_events"] == 2, "the lid was taken off and put on again"
    assert counts["sent"] > counts["reports"], "no datagram was lost"


C3, S3, ESP32 = "esp32c3", "esp32s3", "esp32"
LASTING = [
    (C3, "external", ""),
    (C3, "changeover", "--no-hold"),
    (C3, "external", "--no-hold --no-pulls"),
    (C3, "internal", ""),
    (S3, "external", ""),
    (ESP32, "internal", ""),
    ("esp32c6", "external", ""),
    ("rp2040", "", ""),
]
DEAF = [
    (C3, "external", "--no-hold"),  # IDF's pull-down keeps an open contact low
    (C3, "internal", "--no-hold"),
    (S3, "internal", ""),  # the RTC pad has no pull-up
]


@pytest.mark.parametrize(("chip", "wiring", "words"), LASTING)
def test_a_door_wakes_its_chip(firmware, chip, wiring, words):
    words = [*(["--wiring", wiring] if wiring else []), *words.split()]
    counts = simulate(firmware, 3, "--calm", "--hours", "12", "--chip", chip, *words)
    assert counts["reported"] == counts["happened"] >= 7
    assert (counts["lost"], counts["duplicated"]) == (0, 0)


@pytest.mark.parametrize(("chip", "wiring", "words"), DEAF)
def test_a_door_is_not_noticed_where_the_pad_is_pulled_down(firmware, chip, wiring, words):
    words = ["--calm", "--hours", "12", "--chip", chip, "--wiring", wiring, *words.split()]
    counts = simulate(firmware, 3, *words)
    assert counts["lost"] > counts["reported"]


@pytest.mark.parametrize(("chip", "seed"), [(C3, 3), (C3, 4), (ESP32, 3), ("rp2040", 3)])
def test_a_cold_hour_costs_few_brown_outs_and_little_charge(firmware, chip, seed):
    """An hour's heartbeats and its share of 20 events a day cost 2 C."""
    counts = simulate(firmware, seed, "--cold", "--calm", "--hours", "12", "--chip", chip)
    hour = counts["cold_hour"]
    assert 3 <= hour["brownouts"] == hour["radio_wakes"] <= 20
    awake_ms = {phase: hour["spent_ms"][phase] for phase in ("boot", "window", "awake", "radio")}
    charge_mc = battery_life.Currents.load(run.BOARDS[chip]).by_phase(awake_ms)
    assert sum(charge_mc.values()) < 6000
    assert (counts["lost"], counts["duplicated"], counts["restarts"]) == (0, 0, 0), counts
    assert counts["safe_modes"] == 0
    assert counts["reported"] + counts["unknown"] == counts["happened"]


def test_a_cold_hour_is_in_the_table(firmware):
    _, scenario = parse(["--cold", "--calm", "--hours", "8"])
    counts = run.simulate(firmware, 3, scenario)
    hour = counts["cold_hour"]
    wanted = f"{hour['radio_wakes']} starts of the radio, {hour['brownouts']} brown-outs"
    assert re.search(
        rf"^cold hour   {wanted}, \d+ boots, \d+\.\d C$", table(3, scenario, counts), re.M
    )


def test_a_calm_day_costs_one_datagram_and_one_ack_per_boot(calm):
    counts = calm
    assert counts["reported"] == counts["happened"] >= 20
    assert counts["boots"] == counts["reports"] == counts["sent"] == counts["received"]
    assert counts["received_bytes"] == 8 * counts["received"]  # header and token of a 2.04
    assert counts["longest_bytes"] <= 140
    assert counts["spent_ms"]["radio"] / counts["boots"] < 1100


@pytest.mark.parametrize(("seed", "words"), [(2, ["--calm"]), (9, [])])
def test_an_observer_is_kept_over_every_sleep(firmware, seed, words):
    counts = simulate(firmware, seed, "--observed", "--hours", "12", *words)
    seen = counts["observer"]
    at_least = counts["reports"] * 0.8 if words else 1
    assert seen["registered"] and seen["stale"] == 0
    assert seen["confirmable"] == seen["notifications"] >= at_least
    assert (counts["lost"], counts["duplicated"]) == (0, 0)
    if words:
        assert seen["last"] == ("open" if counts["last_level"] else "closed")


def test_a_pico_w_sleeps_with_its_radio_off(firmware):
    counts = simulate(firmware, 2, "--calm", "--chip", "rp2040", "--hours", "6")
    assert counts["reported"] == counts["happened"] >= 5 and counts["boots"] == 1
    awake_ms = counts["spent_ms"]["radio"] + counts["spent_ms"]["awake"]
    assert awake_ms < 1200 * counts["reports"], "the radio drew its current in light sleep"


def test_a_wearable_reports_every_row_once(firmware):
    counts = simulate(firmware, 2, "--app", "wearable", "--hours", "1", "--calm")
    assert counts["produced"] == counts["reported"] + counts["waiting"] >= 60
    assert (counts["lost"], counts["duplicated"]) == (0, 0)
    assert counts["samples_lost"] < 120, "more than during the scan of the first join"
    assert counts["radio_wakes"] == counts["reports"] == counts["sent"] <= counts["produced"] / 9


def test_a_door_on_a_c3_lasts_a_year_and_more(calm):
    life_days, most, share_pct = battery_life.lifetime("ESP32_GENERIC_C3", calm, 1000)
    assert 400 <= life_days <= 1000
    assert most == "radio" and 50 < share_pct < 100


def test_days_of_a_battery_include_its_self_discharge():
    # by hand: 2 C a day of 1000 mAh, of which 80 % are used and 1 % a year is lost
    assert round(battery_life.days(2000, 1000)) == round(2880 / (2 + 36 / 365))


def test_a_seed_repeats_a_day(firmware):
    five = simulate(firmware, 5, "--hours", "6")
    assert five == simulate(firmware, 5, "--hours", "6") != simulate(firmware, 6, "--hours", "6")


MUTANTS = {
    "a quick pair is one event": (
        "power/door_cycle.py",
        "and not was_lid:",
        "and False:",
    ),
    "unreported events are forgotten": ("power/event_log.py", "self.kept = kept", "self.kept = 0"),
    "event numbers restart": (
        "power/door_cycle.py",
        "if self.reservation.limit >= 0:",
        "if False:",
    ),
    "pads of ext0 are held": (
        "power/sleep_modes.py",
        "            esp32.wake_on_ext0(self._pin, self._trigger(level))\n",
        "            esp32.wake_on_ext0(self._pin, self._trigger(level))\n"
        "            self._pin.init(hold=True)\n",
        "esp32",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_ledger_check_finds_broken_firmware(firmware, tmp_path, name):
    path, old, new, *chip = MUTANTS[name]
    text = (fold.folded() / "lib" / path).read_text()
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
    for seed in (3, 5, 6, 7, 8):
        counts = simulate(broken, seed, "--boot", "files", "--chip", *(chip or ["esp32c3"]))
        bad += counts["lost"] + counts["duplicated"]
        if bad:
            break
    assert bad


def checked(events, reported, unwatched=(), blind=(), unknown_ms=()):
    """Return the counts of made-up events [(when_ms, level)] and {number: (level, when_ms)}."""
    gateway = SimpleNamespace(
        events={n: ("contact", level, when, when) for n, (level, when) in reported.items()},
        unknown_ms=list(unknown_ms),
    )
    door = SimpleNamespace(
        events=[Event(when_ms, level) for when_ms, level in events],
        lid_events=[],
        unpowered=[],
        lid_delay_ms=0,
    )
    counts = ledger_check.check_events(
        SimpleNamespace(door=door, gateway=gateway, unwatched=unwatched, blind=blind)
    )
    names = ("reported", "unknown", "unseen", "lost", "duplicated")
    return tuple(counts[name] for name in names)


@pytest.mark.parametrize(
    ("reported", "extra", "wanted"),
    [
        ({1: (1, 1000), 2: (0, 1000)}, {}, (2, 0, 0, 0, 0)),
        ({1: (1, 1000)}, {}, (1, 0, 0, 1, 0)),
        ({}, {}, (0, 0, 0, 2, 0)),
        ({1: (1, 1000), 2: (0, 1000), 3: (1, 1000)}, {}, (2, 0, 0, 0, 1)),
        ({1: (1, 1000), 2: (0, 900_000)}, {}, (1, 0, 0, 1, 1)),
        ({}, {"unwatched": [(0, 5000)], "unknown_ms": [9000]}, (0, 2, 0, 0, 0)),
        ({}, {"unwatched": [(0, 5000)]}, (0, 0, 0, 2, 0)),
        ({}, {"unwatched": [(0, 5000)], "unknown_ms": [500]}, (0, 0, 0, 2, 0)),
        ({}, {"unwatched": [(5000, 9000)], "unknown_ms": [9000]}, (0, 0, 0, 2, 0)),
        ({}, {"blind": [(900, 1400)]}, (0, 0, 2, 0, 0)),
        ({}, {"blind": [(900, 1100)]}, (0, 0, 1, 1, 0)),
    ],
)
def test_outcomes_of_an_opening_and_a_closing(reported, extra, wanted):
    assert checked([(1000, 1), (1300, 0)], reported, **extra) == wanted


def test_every_current_has_a_source():
    for name, phases in run.ESTIMATES["boards"].items():
        assert (ROOT / "boards" / name).is_dir()
        for phase in ("sleep", "nap", "probe", "dark", "boot", "window", "awake", "radio"):
            assert phases[phase]["ua"] > 0 and len(phases[phase]["source"]) > 5, (name, phase)


@pytest.mark.parametrize(
    "words",
    [
        ["--seed", "x"],
        ["--seed", "-1"],
        ["--seeds", "0"],
        ["--days", "0"],
        ["--hours", "7", "--cold"],
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(words):
    argv = [sys.executable, "tools/battery_sim", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert any(name in done.stderr for name in ("SEED", "--days", "--seed", "--cold"))
