"""Run a tool for boards and networks: `python3 tools/host flash --board ESP32_GENERIC_C3`."""

import importlib
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
sys.path[:1] = [str(TREE / path) for path in ("lib", "firmware", "tools/cpython", "tools")]

from host.device import Problem, main  # noqa: E402

TOOLS = {
    "configure": "configure",
    "deploy": "deploy",
    "discover": "discover",
    "flash": "flash",
    "recover": "recover",
    "slipmux": "slipmux_bridge",
}


def work(argv):
    """Run the tool named first with the other arguments. Raise Problem if there is none."""
    name = argv[0] if argv else ""
    if name not in TOOLS:
        raise Problem(f"unknown tool '{name}': use one of {', '.join(TOOLS)}")
    importlib.import_module(f"host.{TOOLS[name]}").work(argv[1:])


if __name__ == "__main__":
    main(work)
