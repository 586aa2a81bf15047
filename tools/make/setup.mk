# MicroPython for this computer, the list of targets, cleaning.

override FIRST_TARGETS := run setup test lint deploy bench

.PHONY: micropython micropython-min micropython-frozen clean clean-all

## micropython: find the MicroPython that runs the simulated node, or build one
micropython: setup
	@"$$PYTHON" tools/setup interpreter

## micropython-min: build the oldest supported MicroPython (1.25) from Debian's source
micropython-min: setup
	@"$$PYTHON" tools/setup oldest

## micropython-frozen: build one with Mote inside, for a simulated node in a small heap
micropython-frozen: micropython-min
	@"$$PYTHON" tools/setup frozen

## clean: remove what was built
clean:
	@rm -rf build .cache .pytest_cache .hypothesis .ruff_cache
	@find lib firmware boards tools tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

## clean-all: remove what `make setup` installed too
clean-all: clean
	@rm -rf $(VENV) tools/js/node_modules

help:
	@sed -n 's/^## \([a-z-]*\): \(.*\)/\1\t\2/p' Makefile tools/make/*.mk | \
		awk -F'\t' -v first='$(FIRST_TARGETS)' ' \
		{ text[$$1] = $$2; order[++n] = $$1 } \
		END { \
			m = split(first, everyday, " "); \
			for (i = 1; i <= m; i++) if (everyday[i] in text) { show(everyday[i]); shown[everyday[i]] = 1 } \
			print ""; \
			for (i = 1; i <= n; i++) if (!(order[i] in shown)) show(order[i]) \
		} \
		function show(name) { printf "  make %-20s %s\n", name, text[name] }'
