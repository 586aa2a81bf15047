# Random and mutated datagrams. More arguments: make fuzz FUZZ='--cpython 0'.

SEED ?= 1
FUZZ ?=

.PHONY: fuzz

## fuzz: 1,000,000 random datagrams on CPython, 200,000 on MicroPython; forged ones too [SEED= FUZZ=arguments]
fuzz: setup
	@$(VENV_PYTHON) tools/fuzz/fuzz.py --seed $(SEED) $(FUZZ)
