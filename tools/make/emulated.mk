# Emulated boards: what is built for them, and their tests. A slice of these runs in `make test`.

.PHONY: qemu test-emulated

# The processors of the slice; where they cannot be built a line says why.
qemu: setup
	@$(PYTHON) tools/setup qemu MPS2_AN385 VIRT_RV32

## test-emulated: run the tests that take real firmware, on emulated boards [ARGS=pytest arguments]
test-emulated: setup
	@$(PYTHON) tools/setup qemu MPS2_AN385 VIRT_RV32 MICROBIT
	@$(VENV_PYTHON) -m pytest -q --emulated all $(ARGS)
