"""Run a tool for OSCORE keys: `python3 tools/keys make|provision --node NAME`, `numbers FILE`."""

import importlib
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
sys.path[:1] = [str(TREE / path) for path in ("lib", "firmware", "tools/cpython", "tools")]

from host.device import Problem, main  # noqa: E402

TOOLS = ("make", "provision", "numbers")


def work(argv):
    """Run the tool named first with the other arguments. Raise Problem if there is none."""
    if not argv or argv[0] not in TOOLS:
        raise Problem(f"name a tool: {', '.join(TOOLS)}")
    importlib.import_module(f"keys.{argv[0]}").work(argv[1:])


if __name__ == "__main__":
    main(work)
