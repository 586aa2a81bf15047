# Checks of the sources, and tests that need emulated boards or take long.
# More arguments: make conformance CONFORMANCE='--only observe', make fuzz FUZZ='--cpython 0'.

CONFORMANCE ?=
SEED ?= 1
FUZZ ?=
SECONDS ?=

override VALUES += CONFORMANCE SEED FUZZ SECONDS
override STUBS := .cache/stubs
override PYRIGHT := tools/js/node_modules/.bin/pyright
override EMULATED_SERVERS := mote-pico,mote-pico-oscore

.PHONY: lint conformance conformance-emulated qemu pico test-emulated test-hostile fuzz

## lint: check style, types against the stubs of ESP32 and RP2, and those of the gateway
lint: gateway-setup $(STUBS)/esp32/stamp $(STUBS)/rp2/stamp
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet . || { echo "run \`$(VENV)/bin/ruff format\`" >&2; exit 1; }
	@test -x $(PYRIGHT) || { echo "pyright is missing: install node 20, then \`make setup\`" >&2; exit 2; }
	@for port in esp32 rp2; do \
		echo "pyright, $$port"; \
		$(PYRIGHT) --project tools/stubs/$$port.json || exit 1; \
	done
	@echo 'pyright, gateway'
	@$(PYRIGHT) --project tools/gateway/pyright.json

# The stubs of both ports have the same names, so each set has a folder of its own.
$(STUBS)/%/stamp: tools/stubs/%.txt | setup
	@rm -rf $(@D) && mkdir -p $(@D)
	@"$$VENV_PYTHON" -m pip --disable-pip-version-check install --quiet --no-deps \
		--target $(@D) -r $<
	@touch $@

## conformance: RFC by RFC, what Mote does beside aiocoap and libcoap [CONFORMANCE=arguments]
conformance: setup
	@$(append) CONFORMANCE "$$VENV_PYTHON" tools/conformance

# The processors of the slice; where they cannot be built a line says why.
qemu: setup
	@"$$PYTHON" tools/setup qemu MPS2_AN385 VIRT_RV32

# The emulated Pico's firmware, the same way.
pico: setup
	@"$$PYTHON" tools/setup firmware PICO_EMU > /dev/null || \
		echo 'Tests on the emulated Pico are left out' >&2

## conformance-emulated: the checks of `make conformance` on an emulated Pico [CONFORMANCE=arguments]
conformance-emulated: pico
	@$(append) CONFORMANCE "$$VENV_PYTHON" tools/conformance --servers $(EMULATED_SERVERS) --no-clients

## test-emulated: run the tests that take real firmware, on emulated boards [ARGS=pytest arguments]
test-emulated: pico
	@"$$PYTHON" tools/setup qemu MPS2_AN385 VIRT_RV32 MICROBIT
	@$(append) ARGS "$$VENV_PYTHON" -m pytest -q -n 2 --dist loadfile --emulated all

## test-hostile: attack nodes, and print who is served in a mixed attack [SECONDS=600 ARGS=pytest arguments]
test-hostile: setup micropython-frozen
	@HOSTILE=all $(append) ARGS "$$VENV_PYTHON" -m pytest -q -s -n 0 tests/hostile

## fuzz: 1,000,000 random datagrams on CPython, 200,000 on MicroPython; forged ones too [SEED= FUZZ=arguments]
fuzz: setup
	@$(append) FUZZ "$$VENV_PYTHON" tools/fuzz/fuzz.py --seed "$$SEED"
