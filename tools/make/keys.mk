# Keys for OSCORE.

NODE ?=
ROTATE ?=

.PHONY: keys provision

## keys: make a node's keys, and its gateway's credentials, in keys/ [NODE=name ROTATE=1 HOST=]
keys: setup
	@$(VENV_PYTHON) tools/make_keys.py --node "$(NODE)" $(if $(call yes,$(ROTATE)),--rotate) \
		$(if $(filter command,$(origin HOST)),--host "$(HOST)")

## provision: put a node's keys on its board [NODE=name DEV= DRY_RUN=1]
provision: setup
	@$(VENV_PYTHON) tools/put_keys.py --node "$(NODE)" $(device_args)
