"""The check of a real board: `make check-board`."""
