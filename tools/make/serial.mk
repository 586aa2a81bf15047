# Nodes on a serial line.

.PHONY: slipmux

## slipmux: make a node on a serial line a CoAP server on this computer [DEV= PORT=]
slipmux: setup
	@$(VENV_PYTHON) tools/host slipmux "$(DEV)" --port "$(PORT)"
