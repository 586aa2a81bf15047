# The gateway: takes the reports of sleeping nodes, and answers for them.

.PHONY: gateway-setup

# what the gateway needs beside the rest, and its tests
gateway-setup: setup
	@"$$PYTHON" tools/setup gateway browser
