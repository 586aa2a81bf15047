"""Viper's types for pyright: whatever holds bytes or ints may stand where they do.

In MicroPython's own stubs they are classes, which no bytearray or array is an instance of.
"""

from typing import Any, TypeAlias

ptr: TypeAlias = Any
ptr8: TypeAlias = Any
ptr16: TypeAlias = Any
ptr32: TypeAlias = Any
uint: TypeAlias = int
