"""Days that a door lasts on a battery: `make battery`.

The firmware lives calm days (20 events each) in simulation; what they came to in starts, radio
time and datagrams is multiplied with the cited currents of currents.json. Nothing here was
measured on a board of ours: the numbers are as good as their sources. A plot of life against the
heartbeat goes to build/week/battery.svg.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from charge import Currents, days  # noqa: E402

from host.device import ROOT, Problem  # noqa: E402
from setup import console  # noqa: E402

BOARDS = ("ESP32_GENERIC_C3", "ESP32_GENERIC_S3", "ESP32_GENERIC", "RPI_PICO_W")
BATTERIES_MAH = (1000, 2500)
HEARTBEATS_S = (300, 900, 3600, 21600, 86400)
USUAL_S = 3600
DEEP, LIGHT = "esp32c3", "rp2040"
SIMULATED_DAYS = 2
IP_UDP_BYTES = 28
PLOT = ROOT / "build" / "week" / "battery.svg"


def main():
    """Prints the tables; returns the exit code."""
    console.Arguments(description=__doc__.splitlines()[0]).parse_args()
    week = _week()
    firmware = week.build()

    def lived(profile):
        chip, heartbeat_s, boot = profile
        words = ["--calm", "--days", str(SIMULATED_DAYS), "--boot", boot]
        words += ["--heartbeat-s", str(heartbeat_s), "--chip", chip]
        return week.live(firmware, 2, week.parse(words))

    kinds = [(heartbeat_s, "frozen") for heartbeat_s in HEARTBEATS_S] + [(USUAL_S, "files")]
    profiles = [(chip, *kind) for chip in (DEEP, LIGHT) for kind in kinds]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(profiles, pool.map(lived, profiles), strict=True))
    usual = found[DEEP, USUAL_S, "frozen"]
    words = ["--app", "wearable", "--calm", "--boot", "frozen", "--hours"]
    worn, taken_off = (week.live(firmware, 2, week.parse([*words, hours])) for hours in "13")
    print("Days on a battery, 20 events a day, 80 % of its charge used, 1 % a year lost\n")
    print(
        f"{'board':18}{'heartbeat':>10}{'boot':>8}",
        *(f"{n:>6} mAh" for n in BATTERIES_MAH),
        end="",
    )
    print("   most of it")
    for board in BOARDS:
        currents = Currents.load(board)
        for heartbeat_s, boot in kinds:
            line(board, currents, heartbeat_s, boot, found[chip_of(board), heartbeat_s, boot])
    print("A wearable, measuring without a pause, a row a minute, naps of an ESP32 (estimates):")
    for board in BOARDS[:-1]:
        line(board, Currents.load(board), USUAL_S, "frozen", worn)
    print("The same, taken off for a third of the time: the light goes off then")
    for board in BOARDS[:-1]:
        line(board, Currents.load(board), USUAL_S, "frozen", taken_off)
    print()
    compare(usual)
    points = {
        board: [
            (
                heartbeat_s,
                life(Currents.load(board), found[chip_of(board), heartbeat_s, "frozen"], 1000)[0],
            )
            for heartbeat_s in HEARTBEATS_S
        ]
        for board in BOARDS
    }
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PLOT.write_text(plot(points))
    print(f"plot: {PLOT.relative_to(ROOT)}")
    return 0


def chip_of(board):
    """Whose simulated days are those of that board: a Pico W only sleeps lightly."""
    return LIGHT if board == "RPI_PICO_W" else DEEP


def _week():
    import importlib.util

    spec = importlib.util.spec_from_file_location("week_main", HERE / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def life(currents, found, capacity_mah):
    """(days, the phase that takes most, its percentage)."""
    by_phase = currents.by_phase(steady(found))
    total = sum(by_phase.values())
    most = max(by_phase, key=by_phase.get)
    span_days = sum(found["spent_ms"].values()) / 86_400_000
    return days(total / span_days, capacity_mah), most, round(100 * by_phase[most] / total)


def steady(found):
    """The times without the window of the very first start."""
    return {phase: ms for phase, ms in found["spent_ms"].items() if phase not in ("window", "off")}


def line(board, currents, heartbeat_s, boot, found):
    """Prints one profile of a board."""
    lives = [life(currents, found, capacity) for capacity in BATTERIES_MAH]
    _, most, percent = lives[0]
    print(
        f"{board:18}{heartbeat_s:>8} s{boot:>8}",
        *(f"{one[0]:>10.0f}" for one in lives),
        f"  {most} {percent} %",
    )


def compare(found):
    """Prints what the same event costs over MQTT."""
    facts = json.loads((HERE / "currents.json").read_text())["compare"]
    wakes = found["wakes"]
    radio_ua = Currents.load("ESP32_GENERIC_S3").ua["radio"]
    charge_mc = radio_ua * found["linked_ms"] / wakes / 1e6
    sent = (found["sent_bytes"] + IP_UDP_BYTES * found["sent"]) / wakes
    came = (found["came_bytes"] + IP_UDP_BYTES * found["came"]) / wakes
    mqtt = facts["mqtt"]
    print("One report after the join, an ESP32-S3; IP and UDP or TCP headers counted:")
    print(f"  CoAP  {sent + came:4.0f} bytes in 2 packets, {charge_mc:.0f} mC (simulated)")
    print(f"  MQTT  {mqtt['bytes']:4} bytes in {mqtt['packets']} packets, {mqtt['mc']} mC")
    print(f"  ({mqtt['source']})\n")


def plot(points, width=640, height=400):
    """An SVG of days over the heartbeat, both logarithmic."""
    from math import log10

    most = max(life_days for line in points.values() for _, life_days in line)
    top, bottom = log10(most) + 0.1, 0.5

    def place(heartbeat_s, life_days):
        x = 60 + (width - 200) * (log10(heartbeat_s) - 2.4) / (log10(86400) - 2.4)
        y = height - 40 - (height - 60) * (log10(max(life_days, 1)) - bottom) / (top - bottom)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for n in (10, 30, 100, 300, 1000):
        x, y = place(300, n).split(",")
        parts.append(f'<text x="20" y="{y}">{n}</text>')
        parts.append(f'<path d="M{x},{y} H{width - 140}" stroke="#ddd"/>')
    for heartbeat_s in HEARTBEATS_S:
        x = place(heartbeat_s, 1).split(",")[0]
        parts.append(f'<text x="{x}" y="{height - 20}">{heartbeat_s} s</text>')
    colours = ("#06c", "#c60", "#393", "#936")
    for colour, (board, line_) in zip(colours, points.items(), strict=True):
        path = " ".join(place(*point) for point in line_)
        x, y = place(*line_[-1]).split(",")
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        parts.append(f'<text x="{float(x) + 5}" y="{y}" fill="{colour}">{board}</text>')
    parts.append('<text x="60" y="16">Days on 1000 mAh against the heartbeat</text></svg>')
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Problem, console.Problem) as problem:
        console.fail(problem)
