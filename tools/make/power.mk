# The node on a battery. More arguments: make sim-week WEEK='--calm --days 2', '--chip rp2040' (a
# Pico W), '--app wearable' (simulating a day of one takes minutes).

WEEK ?=
override VALUES += WEEK

.PHONY: sim-week sim-weeks battery

## sim-week: simulate a week of a door on a battery [SEED= WEEK=arguments]
sim-week: setup
	@$(append) WEEK "$$VENV_PYTHON" tools/battery_sim --seed "$$SEED"

## sim-weeks: simulate twenty weeks, with seeds from SEED on; slow
sim-weeks: setup
	@$(append) WEEK "$$VENV_PYTHON" tools/battery_sim --seed "$$SEED" --seeds 20

## battery: print days on a battery per board, from simulated times and cited currents
battery: setup
	@"$$VENV_PYTHON" tools/battery_sim/battery_life.py
