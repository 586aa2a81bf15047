"""Import paths of what the attacks share with the interoperability tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "interop"))
