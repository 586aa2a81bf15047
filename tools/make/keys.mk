# Keys for OSCORE.

NODE ?=
ROTATE ?=
REPLACE ?=
KEYS ?= keys

.PHONY: keys provision

## keys: make a node's keys, and its gateway's credentials, in keys/ [NODE=name ROTATE=1 HOST= KEYS=folder]
keys: setup
	@$(VENV_PYTHON) tools/make_keys.py --node "$(NODE)" --keys "$(KEYS)" \
		$(if $(call yes,$(ROTATE)),--rotate) \
		$(if $(filter command,$(origin HOST)),--host "$(HOST)")

## provision: put a node's keys on its board [NODE=name DEV= REPLACE=1 KEYS=folder DRY_RUN=1]
provision: setup
	@$(VENV_PYTHON) tools/put_keys.py --node "$(NODE)" --keys "$(KEYS)" \
		$(if $(call yes,$(REPLACE)),--replace) $(device_args)
