"""Names that pyright knows in all files: viper's types, and Any for comments.

Whatever holds bytes or ints may stand where a type of viper's does.

In MicroPython's own stubs they are classes, which no bytearray or array is an instance of.
"""

from typing import Any as Any
from typing import TypeAlias

ptr: TypeAlias = Any
ptr8: TypeAlias = Any
ptr16: TypeAlias = Any
ptr32: TypeAlias = Any
uint: TypeAlias = int
