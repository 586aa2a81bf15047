# The gateway: takes the reports of sleeping nodes, and answers for them.

COAP ?=
HTTP ?=
DATA ?=
LAN ?=
STRICT ?=

override VALUES += COAP HTTP DATA LAN STRICT
override gateway = "$$VENV_PYTHON" -m tools.gateway --coap "$$COAP" --http "$$HTTP" \
	--data "$$DATA" $(if $(call typed,KEYS),--keys "$$KEYS") \
	$(if $(call yes,LAN),--lan) $(if $(call yes,STRICT),--strict)

.PHONY: bench-gateway gateway demo gateway-day gateway-picture gateway-service gateway-setup gateway-test-setup

## gateway: take the reports of sleeping nodes and answer for them [COAP=host:port HTTP=host:port DATA=folder KEYS=folder LAN=1 STRICT=1 ARGS=--check|--backup file|--forget node]
gateway: gateway-setup
	@$(append) ARGS $(gateway)

## demo: run the gateway with three simulated nodes, and its page [COAP= HTTP=]
demo: gateway-setup
	@$(gateway) --demo

## gateway-picture: draw the page anew for tools/gateway/README.md
gateway-picture: gateway-test-setup
	@"$$VENV_PYTHON" tests/gateway/household.py --picture tools/gateway/page.png

## bench-gateway: measure the gateway, for tools/gateway/README.md
bench-gateway: gateway-setup
	@"$$VENV_PYTHON" tools/bench/gateway_load.py

## gateway-day: play a door's day over real sockets that lose a third of the datagrams
gateway-day: gateway-test-setup
	@GATEWAY_DAY=1 "$$VENV_PYTHON" -m pytest -q -n 0 tests/gateway/test_day.py

## gateway-service: have systemd run the gateway; without root, print its unit [the same]
gateway-service: gateway-setup
	@$(gateway) --service

# what the gateway needs beside the rest
gateway-setup: setup
	@"$$PYTHON" tools/setup gateway

# what its tests need besides
gateway-test-setup: gateway-setup
	@"$$PYTHON" tools/setup browser
