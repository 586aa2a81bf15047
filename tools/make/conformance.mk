# Conformance. More arguments: make conformance CONFORMANCE='--only observe --no-clients'.

CONFORMANCE ?=

.PHONY: conformance

## conformance: RFC by RFC, what Mote does beside aiocoap and libcoap [CONFORMANCE=arguments]
conformance: setup
	@$(VENV_PYTHON) tools/conformance $(CONFORMANCE)
