"""Our pytest plugin: the portable tests run on CPython and on every MicroPython."""
