# The node on a battery. More arguments: make sim-week WEEK='--calm --days 2', '--chip rp2040' (a
# Pico W), '--app wearable' (simulating a day of one takes minutes).

SEED ?= 1
WEEK ?=

.PHONY: sim-week sim-weeks battery recover

## sim-week: simulate a week of a door on a battery [SEED= WEEK=arguments]
sim-week: setup
	@$(VENV_PYTHON) tools/battery_sim --seed '$(SEED)' $(WEEK)

## sim-weeks: simulate twenty weeks, with seeds from SEED on; slow
sim-weeks: setup
	@$(VENV_PYTHON) tools/battery_sim --seed '$(SEED)' --seeds 20 $(WEEK)

## battery: print days on a battery per board, from simulated times and cited currents
battery: setup
	@$(VENV_PYTHON) tools/battery_sim/battery_life.py

## recover: get a board back that does not listen any more [DEV= DRY_RUN=1]
recover: setup
	@$(VENV_PYTHON) tools/recover.py $(device_args)
