# What is on the network.

GROUP ?=
WAIT ?=

.PHONY: discover

## discover: list the nodes on the network and their resources [HOST= PORT= GROUP= IFACE= WAIT=s]
discover: setup
	@$(VENV_PYTHON) tools/host discover $(if $(filter command,$(origin HOST)),--host "$(HOST)") \
		$(if $(filter command,$(origin PORT)),--port "$(PORT)") \
		$(if $(GROUP),--group "$(GROUP)") $(if $(IFACE),--iface "$(IFACE)") $(if $(WAIT),--wait "$(WAIT)")
