# Speed. More arguments: make bench BENCH='--rounds 3 --workloads get,put'.

BENCH ?=

.PHONY: bench bench-instructions

## bench: requests per second beside other CoAP servers [BENCH=arguments MICROCOAPY=folder]
bench: setup
	@MICROCOAPY='$(MICROCOAPY)' $(VENV_PYTHON) tools/bench/bench.py $(BENCH)

## bench-instructions: instructions per request, counted by valgrind
bench-instructions: setup micropython-min
	@$(VENV_PYTHON) tools/bench/instructions.py
