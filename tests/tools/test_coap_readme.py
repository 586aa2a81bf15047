"""What lib/coap/README.md names exists, and its table of costs says what the tests check."""

import ast
import re

import pytest

from setup.console import ROOT

COAP = ROOT / "lib/coap"
README = (COAP / "README.md").read_text()
NAMES = sorted(set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))))
COMMENT = "# hot"
PYTHON = {"def", "while", "for", "try", "except ... as", "const"}


def definitions():
    """Return {class or "": names that are bound there} of all files of lib/coap."""
    found = {"": set()}
    for path in COAP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(bound(node))
            found[""] |= bound(node)
    return found


def bound(scope):
    """Return the names that a statement or the body of a class binds, attributes of self too."""
    found = set()
    for node in ast.walk(scope) if isinstance(scope, ast.ClassDef) else [scope]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


DEFINED = definitions()


@pytest.mark.parametrize("name", NAMES)
def test_a_quoted_name_exists(name):
    if name.startswith("make "):
        rules = "".join(
            path.read_text() for path in [ROOT / "Makefile", *(ROOT / "tools/make").glob("*.mk")]
        )
        assert re.search(rf"^{name[5:]}:", rules, re.MULTILINE)
    elif "/" in name or name.endswith(".py"):
        assert (COAP / name).exists() or (ROOT / name).exists()
    elif name not in PYTHON and name != COMMENT:
        owner, _, member = name.rpartition(".")
        if owner in DEFINED:
            assert member in DEFINED[owner]
        else:
            assert {owner, member} <= DEFINED[""]


def test_names_are_quoted_at_all():
    assert len(NAMES) > 60


def test_the_costs_are_those_that_tests_allow():
    text = (ROOT / "tests/coap/test_features_ram.py").read_text()
    allowed = re.search(r"^FEATURES = (\(.*?^\))", text, re.DOTALL | re.MULTILINE)[1]
    rows = re.findall(r"^\| `(\w+)\.py` \| `(\w+)` \| (\d+) \|", README, re.MULTILINE)
    assert sorted(ast.literal_eval(allowed)) == sorted(
        (file, name, int(heap)) for file, name, heap in rows
    )
