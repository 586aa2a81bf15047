"""Write package.json, the list from which `mip install` fetches lib/: `make package`."""

import json
import re

from host.device import ROOT, main

FILE = ROOT / "package.json"


def work(_argv):
    """Write the file."""
    FILE.write_text(contents())


def contents():
    """Return the text of package.json for the present files."""
    lib = ROOT / "lib"
    files = sorted(lib.rglob("*.py"))
    urls = [[str(file.relative_to(lib)), str(file.relative_to(ROOT))] for file in files]
    return json.dumps({"urls": urls, "deps": [], "version": version()}, indent=2) + "\n"


def version():
    """Return the project's version from pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    return re.search(r'^version = "(.*)"$', text, re.MULTILINE)[1]


if __name__ == "__main__":
    main(work)
