# Boards and the network: firmware, files, settings, keys, nodes on a serial line, discovery.

BOARD ?=
DEV ?= auto
FW ?=
BAUD ?= 460800
ERASE ?=
UF2_DRIVE ?=
MPY_DIR ?=
DRY_RUN ?=
NODE ?=
ROTATE ?=
REPLACE ?=
KEYS ?= keys
GROUP ?=
IFACE ?=
WAIT ?=

override VALUES += DEV FW BAUD ERASE UF2_DRIVE MPY_DIR DRY_RUN NODE ROTATE REPLACE KEYS GROUP IFACE WAIT
override device_args = --dev "$$DEV" --port "$$PORT" $(if $(call yes,DRY_RUN),--dry-run)

.PHONY: flash deploy check-board config firmware recover slipmux keys provision discover mpy package wiring

## flash: write a MicroPython firmware to a board [BOARD= DEV= FW=file ERASE=1 BAUD= UF2_DRIVE= DRY_RUN=1]
flash: setup
	@"$$PYTHON" tools/host flash --board "$$BOARD" --fw "$$FW" --baud "$$BAUD" \
		--drive "$$UF2_DRIVE" $(if $(call yes,ERASE),--erase) $(device_args)

## deploy: copy Mote to a board that runs MicroPython [BOARD= DEV= DRY_RUN=1]
deploy: setup
	@"$$PYTHON" tools/host deploy --board "$$BOARD" $(device_args)

## check-board: check what only a real board can tell, and write a report of it [BOARD= DEV= COAP=host:port ARGS=more arguments]
check-board: setup
	@$(append) ARGS "$$VENV_PYTHON" tools/check_board --board "$$BOARD" --coap "$$COAP" $(device_args)

## config: set a node's Wi-Fi network, name and application [DEV= DRY_RUN=1]
config: setup
	@"$$VENV_PYTHON" tools/host configure $(device_args)

## firmware: build an image with Mote inside [BOARD= MPY_DIR=MicroPython's checkout DRY_RUN=1]
firmware: setup
	@"$$PYTHON" tools/setup firmware "$$BOARD" $(if $(MPY_DIR),--mpy-dir "$$MPY_DIR") \
		$(if $(call yes,DRY_RUN),--dry-run)

## recover: regain access to a board that no longer responds [DEV= DRY_RUN=1]
recover: setup
	@"$$VENV_PYTHON" tools/host recover $(device_args)

## slipmux: make a node on a serial line a CoAP server on this computer [DEV= PORT=]
slipmux: setup
	@"$$VENV_PYTHON" tools/host slipmux "$$DEV" --port "$$PORT"

## keys: make a node's OSCORE keys and its gateway's credentials [NODE=name ROTATE=1 HOST= KEYS=folder]
keys: setup
	@"$$VENV_PYTHON" tools/keys make --node "$$NODE" --keys "$$KEYS" \
		$(if $(call yes,ROTATE),--rotate) $(if $(call typed,HOST),--host "$$HOST")

## provision: copy a node's OSCORE keys to its board [NODE=name DEV= REPLACE=1 KEYS=folder DRY_RUN=1]
provision: setup
	@"$$VENV_PYTHON" tools/keys provision --node "$$NODE" --keys "$$KEYS" \
		$(if $(call yes,REPLACE),--replace) $(device_args)

## discover: list the nodes on the network and their resources [HOST= PORT= GROUP= IFACE= WAIT=s]
discover: setup
	@"$$VENV_PYTHON" tools/host discover $(if $(call typed,HOST),--host "$$HOST") \
		$(if $(call typed,PORT),--port "$$PORT") $(if $(GROUP),--group "$$GROUP") \
		$(if $(IFACE),--iface "$$IFACE") $(if $(WAIT),--wait "$$WAIT")

## mpy: compile every module for every processor; sizes
mpy: setup
	@"$$PYTHON" tools/build_mpy.py

## package: list the libraries' files in package.json, for mip
package:
	@"$$PYTHON" tools/package.py

## wiring: draw boards/*/wiring.svg, and the tables of boards/README.md, from board.py
wiring:
	@"$$PYTHON" tools/wiring
