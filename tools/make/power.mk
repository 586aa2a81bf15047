# The node on a battery. More arguments: make sim-week WEEK='--calm --days 2', '--chip rp2040' (a
# Pico W), '--app wearable' (a day of one takes minutes).

WEEK ?=
VALUES += WEEK

.PHONY: sim-week sim-weeks battery

## sim-week: a week of a door on a battery, in virtual time [SEED= WEEK=arguments]
sim-week: setup
	@$(append) WEEK $(VENV_PYTHON) tools/week --seed "$$SEED"

## sim-weeks: twenty of them, from SEED on; slow
sim-weeks: setup
	@$(append) WEEK $(VENV_PYTHON) tools/week --seed "$$SEED" --seeds 20

## battery: days per board and battery, from simulated days and cited currents
battery: setup
	@$(VENV_PYTHON) tools/week/battery.py
