# Firmware with Mote frozen in. MPY_DIR= is for the boards with a radio.

MPY_DIR ?=

.PHONY: firmware

## firmware: build an image with Mote inside [BOARD= MPY_DIR=MicroPython's checkout DRY_RUN=1]
firmware: setup
	@$(PYTHON) tools/setup firmware "$(BOARD)" $(if $(MPY_DIR),--mpy-dir "$(MPY_DIR)") \
		$(if $(call yes,$(DRY_RUN)),--dry-run)
