# Speed. More arguments: make bench BENCH='--rounds 3 --workloads get,put'.

BENCH ?=
MICROCOAPY ?=
RENEW ?=
VALUES += BENCH MICROCOAPY RENEW

.PHONY: bench-oscore bench bench-instructions bench-icount

## bench: requests per second beside other CoAP servers [BENCH=arguments MICROCOAPY=folder]
bench: setup micropython-min
	@$(append) BENCH $(VENV_PYTHON) tools/bench/bench.py

## bench-instructions: instructions per request, counted by valgrind
bench-instructions: setup micropython-min
	@$(VENV_PYTHON) tools/bench/instructions.py

.PHONY: size

## size: flash per file and feature, heap of a door node; RENEW=1 writes the budget anew
size: setup
	@$(MAKE) -s firmware BOARD=PICO_EMU || echo 'without the firmware of PICO_EMU'
	@$(VENV_PYTHON) tools/size.py $(if $(call yes,RENEW),--renew)

.PHONY: bench-plots

## bench-plots: requests/s and heap by resources, observers and options, as plots
bench-plots: setup
	@$(VENV_PYTHON) tools/bench/plots.py

.PHONY: bench-memory

## bench-memory: bytes that each operation asks of the heap, by engine, application and socket
bench-memory: setup micropython-min
	@$(VENV_PYTHON) tools/bench/memory_table.py

## bench-icount: instructions per operation on a Cortex-M3 and a RISC-V core [RENEW=1: the baseline]
bench-icount: setup
	@$(VENV_PYTHON) tools/bench/icount.py

## bench-oscore: requests per second, heap per request and per context under OSCORE
bench-oscore: setup
	@$(VENV_PYTHON) tools/bench/oscore.py
