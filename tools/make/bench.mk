# Speed and size. More arguments: make bench BENCH='--rounds 3 --workloads get,put'.

BENCH ?=
MICROCOAPY ?=
RENEW ?=
override VALUES += BENCH MICROCOAPY RENEW

.PHONY: bench bench-icount bench-oscore size figures

## bench: requests per second beside other CoAP servers [BENCH=arguments MICROCOAPY=folder]
bench: setup
	@$(append) BENCH "$$VENV_PYTHON" tools/bench/bench.py

## bench-icount: instructions per operation on a Cortex-M3 and a RISC-V core [RENEW=1: the budget]
bench-icount: setup
	@"$$VENV_PYTHON" tools/bench/icount.py $(if $(call yes,RENEW),--renew)

## bench-oscore: requests per second, heap per request and per context under OSCORE
bench-oscore: setup
	@"$$VENV_PYTHON" tools/bench/oscore.py

## size: flash per file and extension, heap of a door node [RENEW=1: the budget]
size: setup
	@"$$PYTHON" tools/setup firmware PICO_EMU || echo 'without the firmware of PICO_EMU'
	@"$$VENV_PYTHON" tools/size $(if $(call yes,RENEW),--renew)

## figures: measure what README.md quotes and write it there, in some minutes [BENCH=arguments]
figures: setup
	@$(append) BENCH "$$VENV_PYTHON" tools/bench/figures.py
