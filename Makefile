# Mote's everyday work. `make` alone lists the targets.

.DEFAULT_GOAL := help

# The first Python that is new enough; the one on PATH if none is, so that its age can be named.
override NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p $(NEW_ENOUGH) 2>/dev/null && echo $$p && exit; done; echo python3)
endif
override VENV := .venv
VENV_PYTHON := $(VENV)/bin/python

HOST ?= 127.0.0.1
PORT ?= 5683
# Tests wait for time limits more than they compute.
JOBS ?= 4
ARGS ?=
APP ?=
FLASH ?=
POWER ?=
SPEED ?=

# Values that a user may set. The last lines of this file export them as they were typed, and
# recipes name them as "$$NAME": no quote or $(...) in a value runs code, in make or in a shell.
# For the same reason all other variables are defined with `override`.
override VALUES := PYTHON VENV_PYTHON HOST PORT JOBS ARGS BOARD APP FLASH POWER SPEED
# $(call yes,NAME): is the switch NAME on? $(call typed,NAME): did the user set NAME?
override yes = $(filter-out 0 no,$(value $(1)))
override typed = $(filter $(1),$(TYPED))
# $(append) NAME command: run the command with the words of NAME as further arguments.
override append = "$$PYTHON" tools/make/append_words.py

.PHONY: help run setup test

## run: start a simulated node and play with it [BOARD=pico POWER=battery SPEED=60 HOST= PORT= APP=door|wearable|both|plugtest FLASH=file]
run: setup
	@"$$PYTHON" tools/simulator --play --board "$$BOARD" $(if $(FLASH),--flash "$$FLASH") \
		$(if $(POWER),--power "$$POWER") $(if $(SPEED),--speed "$$SPEED") \
		$(if $(APP),--app "$$APP") --host "$$HOST" --port "$$PORT"

## setup: install what Mote's tools need into .venv, tools/js and, as root, from Debian
setup:
	@"$$PYTHON" $(NEW_ENOUGH) 2>/dev/null || { \
		echo 'Python 3.11 or newer is needed: install it, or name one: make PYTHON=path' >&2; \
		exit 2; }
	@"$$PYTHON" tools/setup

## test: run every test on every interpreter [ARGS=pytest arguments JOBS=processes]
test: setup gateway-test-setup micropython-min micropython-frozen qemu pico
	@$(append) ARGS "$$VENV_PYTHON" -m pytest -q -n "$$JOBS" --dist loadfile

include $(wildcard tools/make/*.mk)

override TYPED := $(foreach name,$(VALUES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(VALUES),$(eval override $(name) := $$(value $(name))))
export $(VALUES)
