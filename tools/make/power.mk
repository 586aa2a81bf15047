# The node on a battery. More arguments: make sim-week WEEK='--calm --days 2', '--chip rp2040' (a
# Pico W), '--app wearable' (a day of one takes minutes).

SEED ?= 1
WEEK ?=

.PHONY: sim-week sim-weeks battery recover

## sim-week: a week of a door on a battery, in virtual time [SEED= WEEK=arguments]
sim-week: setup
	@$(VENV_PYTHON) tools/week --seed '$(SEED)' $(WEEK)

## sim-weeks: twenty of them, from SEED on; slow
sim-weeks: setup
	@$(VENV_PYTHON) tools/week --seed '$(SEED)' --seeds 20 $(WEEK)

## battery: days per board and battery, from simulated days and cited currents
battery: setup
	@$(VENV_PYTHON) tools/week/battery.py

## recover: get a board back that does not listen any more [DEV= DRY_RUN=1]
recover: setup
	@$(VENV_PYTHON) tools/host recover $(device_args)
