"""Charge from times: what a board draws in each phase, from currents.json with its sources."""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("currents.json")


@dataclass(frozen=True)
class Currents:
    """Microamperes by phase of one board, and where each number is from."""

    board: str
    ua: dict
    sources: dict

    @classmethod
    def load(cls, board, file=FILE):
        """Those of a board. Raises KeyError for one that the file does not have."""
        found = json.loads(file.read_text())["boards"][board]
        phases = {name: entry for name, entry in found.items() if isinstance(entry, dict)}
        return cls(
            board,
            {name: entry["ua"] for name, entry in phases.items()},
            {name: entry["source"] for name, entry in phases.items()},
        )

    def by_phase(self, spent_ms):
        """Millicoulombs by phase, of milliseconds by phase."""
        return {
            phase: self.ua[phase] * span_ms / 1e6
            for phase, span_ms in spent_ms.items()
            if phase != "off" and span_ms
        }


def days(charge_mc_per_day, capacity_mah, usable=0.8, loss_per_year=0.01):
    """How long a battery lasts: 1 mAh is 3.6 C; what it loses by itself counts as a load."""
    capacity_mc = capacity_mah * 3600
    return capacity_mc * usable / (charge_mc_per_day + capacity_mc * loss_per_year / 365)
