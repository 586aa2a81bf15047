# Emulated boards: what is built for them, and their tests. A slice of these runs in `make test`.

.PHONY: qemu pico test-emulated conformance-emulated

# The processors of the slice; where they cannot be built a line says why.
qemu: setup
	@$(PYTHON) tools/setup qemu MPS2_AN385 VIRT_RV32

# The emulated Pico's firmware, the same way.
pico: setup
	@$(PYTHON) tools/setup firmware PICO_EMU > /dev/null || \
		echo 'Tests on the emulated Pico are left out' >&2

EMULATED_SERVERS := mote-pico,mote-pico-oscore

## conformance-emulated: the checks of `make conformance` on an emulated Pico [CONFORMANCE=arguments]
conformance-emulated: pico
	@$(VENV_PYTHON) tools/conformance --servers $(EMULATED_SERVERS) --no-clients $(CONFORMANCE)

## test-emulated: run the tests that take real firmware, on emulated boards [ARGS=pytest arguments]
test-emulated: pico
	@$(PYTHON) tools/setup qemu MPS2_AN385 VIRT_RV32 MICROBIT
	@$(VENV_PYTHON) -m pytest -q -n 2 --dist loadfile --emulated all $(ARGS)
