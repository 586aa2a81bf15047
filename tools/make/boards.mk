# Boards: firmware, files, Wi-Fi access; and the checks of what runs on them.

BOARD ?=
DEV ?= auto
FW ?=
BAUD ?= 460800
ERASE ?=
UF2_DRIVE ?=
DRY_RUN ?=

STUBS := .cache/stubs
PYRIGHT := tools/js/node_modules/.bin/pyright
yes = $(filter-out 0 no,$(1))
device_args = --dev "$(DEV)" --port "$(PORT)" $(if $(call yes,$(DRY_RUN)),--dry-run)

.PHONY: flash deploy config mpy package lint

## flash: write a MicroPython firmware to a board [BOARD= DEV= FW=file ERASE=1 BAUD= UF2_DRIVE= DRY_RUN=1]
flash: setup
	@$(PYTHON) tools/host flash --board "$(BOARD)" --fw "$(FW)" --baud "$(BAUD)" \
		--drive "$(UF2_DRIVE)" $(if $(call yes,$(ERASE)),--erase) $(device_args)

## deploy: copy Mote to a board that runs MicroPython [BOARD= DEV= DRY_RUN=1]
deploy: setup
	@$(PYTHON) tools/host deploy --board "$(BOARD)" $(device_args)

## config: tell a node its Wi-Fi network and its name [DEV= DRY_RUN=1]
config: setup
	@$(VENV_PYTHON) tools/host configure $(device_args)

## mpy: compile every module for every processor; sizes
mpy: setup
	@$(PYTHON) tools/build_mpy.py

## package: list the libraries' files in package.json, for mip
package:
	@$(PYTHON) tools/package.py

## lint: check style, and types against the stubs of ESP32 and RP2
lint: setup $(STUBS)/esp32/stamp $(STUBS)/rp2/stamp
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet . || { echo "run \`$(VENV)/bin/ruff format\`" >&2; exit 1; }
	@test -x $(PYRIGHT) || { echo "pyright is missing: install node 20, then \`make setup\`" >&2; exit 2; }
	@for port in esp32 rp2; do \
		echo "pyright, $$port"; \
		$(PYRIGHT) --project tools/stubs/$$port.json || exit 1; \
	done

# The stubs of both ports have the same names, so each set has a folder of its own.
$(STUBS)/%/stamp: tools/stubs/%.txt | setup
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(VENV_PYTHON) -m pip --disable-pip-version-check install --quiet --no-deps \
		--target $(@D) -r $<
	@touch $@
