"""Writes package.json, by which `mip install` finds what lies in lib/: `make package`."""

import json
import re

from host.device import ROOT, main

FILE = ROOT / "package.json"


def work(_argv):
    FILE.write_text(contents())


def contents():
    """The text of package.json for the files that are there now."""
    lib = ROOT / "lib"
    files = sorted(lib.rglob("*.py"))
    urls = [[str(file.relative_to(lib)), str(file.relative_to(ROOT))] for file in files]
    return json.dumps({"urls": urls, "deps": [], "version": version()}, indent=2) + "\n"


def version():
    """The project's version, as pyproject.toml has it."""
    text = (ROOT / "pyproject.toml").read_text()
    return re.search(r'^version = "(.*)"$', text, re.MULTILINE)[1]


if __name__ == "__main__":
    main(work)
