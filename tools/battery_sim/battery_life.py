"""Computes how many days a node lasts on a battery: `make battery`.

The firmware lives calm days (20 events each) in simulation; the times that it spends in each phase
are multiplied with the cited currents of currents.json. Nothing here was measured on a board of
this project: the numbers are as good as their sources.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from battery_sim.run import ESTIMATES, Scenario, build, simulate_all  # noqa: E402
from host.device import Problem  # noqa: E402
from setup import console  # noqa: E402

PICO_W = "RPI_PICO_W"  # has no deep sleep: its days are simulated separately
ESP32_BOARDS = ("ESP32_GENERIC_C3", "ESP32_GENERIC_S3", "ESP32_GENERIC")
BATTERIES_MAH = (1000, 2500)
HEARTBEATS_S = (300, 900, 3600, 21600, 86400)
USUAL_S = 3600
KINDS = [(heartbeat_s, "frozen") for heartbeat_s in HEARTBEATS_S] + [(USUAL_S, "files")]
WIRINGS = {name: entry["ua"] for name, entry in ESTIMATES["contact_ua"].items()}
CONTACTS = 2  # door and lid
SEED = 2
HOURS = 48
IP_UDP_BYTES = 28


@dataclass(frozen=True)
class Currents:
    """Supply currents of one board in microamperes by phase."""

    board: str
    ua: dict

    @classmethod
    def load(cls, board):
        """Return the currents of a board. Raises KeyError if currents.json does not have it."""
        phases = ESTIMATES["boards"][board]
        return cls(board, {phase: entry["ua"] for phase, entry in phases.items()})

    def by_phase(self, spent_ms):
        """Return millicoulombs by phase, of milliseconds by phase."""
        return {
            phase: self.ua[phase] * span_ms / 1e6
            for phase, span_ms in spent_ms.items()
            if phase != "off" and span_ms
        }


def days(charge_mc_per_day, capacity_mah, usable=0.8, loss_per_year=0.01):
    """Return how many days a battery lasts; its self-discharge counts as a load."""
    capacity_mc = capacity_mah * 3600
    return capacity_mc * usable / (charge_mc_per_day + capacity_mc * loss_per_year / 365)


def main():
    """Print the tables and write the plot; return the exit code."""
    console.Arguments(description=__doc__.splitlines()[0]).parse_args()
    firmware = build()
    doors = {
        (chip, heartbeat_s, boot): Scenario(
            chip=chip, heartbeat_s=heartbeat_s, boot=boot, hours=HOURS, calm=True
        )
        for chip in ("esp32c3", "rp2040")
        for heartbeat_s, boot in KINDS
    }
    wearables = {
        hours: Scenario(app="wearable", boot="frozen", hours=hours, calm=True) for hours in (1, 3)
    }
    scenarios = {**doors, **wearables}
    jobs = [(firmware, SEED, scenario) for scenario in scenarios.values()]
    found = dict(zip(scenarios, simulate_all(jobs), strict=True))
    print_doors(found)
    print("A wearable, measuring without a pause, a row a minute, naps of an ESP32 (estimates):")
    for board in ESP32_BOARDS:
        print(row(board, USUAL_S, "frozen", found[1]))
    print("The same, taken off for a third of the time: the light goes off then")
    for board in ESP32_BOARDS:
        print(row(board, USUAL_S, "frozen", found[3]))
    print()
    print_mqtt(found["esp32c3", USUAL_S, "frozen"])
    return 0


def chip_of(board):
    """Return the chip whose simulated days are those of the board."""
    return "rp2040" if board == PICO_W else "esp32c3"


def lifetime(board, counts, capacity_mah, wiring=""):
    """Return (days, what takes most of the charge, its percentage).

    wiring: of door and lid, one of WIRINGS, both closed all the time; "": there are none.
    """
    # only the first start of a calm simulation is a power-on: its window is no running cost
    spent_ms = {phase: ms for phase, ms in counts["spent_ms"].items() if phase != "window"}
    by_phase = Currents.load(board).by_phase(spent_ms)
    if wiring:
        by_phase["contacts"] = CONTACTS * WIRINGS[wiring] * sum(spent_ms.values()) / 1e6
    total_mc = sum(by_phase.values())
    most = max(by_phase, key=by_phase.get)
    span_days = sum(counts["spent_ms"].values()) / 86_400_000
    share_pct = round(100 * by_phase[most] / total_mc)
    return days(total_mc / span_days, capacity_mah), most, share_pct


def wirings(board):
    """Return the wirings with which a contact wakes the board, the recommended one first."""
    # the RTC pads of an S3 have no pull-up that Pin can set
    return ("external", "changeover", *(("internal",) if board != "ESP32_GENERIC_S3" else ()))


def kinds_of(board, wiring):
    """Return the kinds to print: all of them for the recommended wiring, else the usual one."""
    return KINDS if wiring == wirings(board)[0] else [(USUAL_S, "frozen")]


def print_doors(found):
    """Print the table of doors."""
    print("Days on a battery, 20 events a day, 80 % of its charge used, 1 % a year lost,")
    print("door and lid closed; wiring: external 1 MOhm, changeover contact, internal pull-up\n")
    capacities = " ".join(f"{n:>6} mAh" for n in BATTERIES_MAH)
    print(f"{'board':18}{'wiring':>11}{'heartbeat':>10}{'boot':>8} {capacities}   most of it")
    for board in (*ESP32_BOARDS, PICO_W):
        for wiring in wirings(board):
            for heartbeat_s, boot in kinds_of(board, wiring):
                counts = found[chip_of(board), heartbeat_s, boot]
                print(row(board, heartbeat_s, boot, counts, wiring))


def row(board, heartbeat_s, boot, counts, wiring=""):
    """Return one row of a table."""
    lifetimes = [lifetime(board, counts, capacity_mah, wiring) for capacity_mah in BATTERIES_MAH]
    columns = " ".join(f"{found[0]:>10.0f}" for found in lifetimes)
    _, most, share_pct = lifetimes[0]
    return f"{board:18}{wiring:>11}{heartbeat_s:>8} s{boot:>8} {columns}   {most} {share_pct} %"


def print_mqtt(counts):
    """Print what a report costs over CoAP and over MQTT."""
    mqtt = ESTIMATES["mqtt_report"]
    boots = counts["boots"]
    charge_mc = Currents.load("ESP32_GENERIC_S3").ua["radio"] * counts["linked_ms"] / boots / 1e6
    size = counts["sent_bytes"] + counts["received_bytes"]
    size += IP_UDP_BYTES * (counts["sent"] + counts["received"])
    print("One report after the join, an ESP32-S3; IP and UDP or TCP headers counted:")
    print(f"  CoAP  {size / boots:4.0f} bytes in 2 packets, {charge_mc:.0f} mC (simulated)")
    print(f"  MQTT  {mqtt['bytes']:4} bytes in {mqtt['packets']} packets, {mqtt['mc']} mC")
    print(f"  ({mqtt['source']})\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Problem, console.Problem) as problem:
        console.fail(problem)
