"""An extension can be left out of a manifest: no file of another extension needs its file."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setup.interpreter import find

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
INTERPRETERS = ("micropython", "cpython")
# Modules that belong to one extension only, and are left out with it.
PARTS = {
    "blockwise": ["blockwise.py"],
    "client": ["client.py", "client_request.py", "client_response.py"],
    "oscore": ["oscore"],
}


def extensions():
    """Return {module: class} of all extensions."""
    found = {}
    for path in sorted([*(LIB / "coap").glob("*.py"), LIB / "coap" / "oscore" / "__init__.py"]):
        name = path.parent.name if path.stem == "__init__" else path.stem
        for node in ast.parse(path.read_bytes()).body:
            bases = [base.id for base in getattr(node, "bases", []) if isinstance(base, ast.Name)]
            if "Extension" in bases:
                found[name] = node.name
    return found


def leave_out(lib, name):
    """Remove an extension from the copy of the library; return the names of its modules."""
    parts = PARTS.get(name, [f"{name}.py"])
    for part in parts:
        path = lib / "coap" / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {part.removesuffix(".py") for part in parts}


EXTENSIONS = extensions()

SERVE = """
import sys
from coap.node import Node
made = []
for name, kind in OTHERS:
    made.append(getattr(__import__("coap." + name, None, None, (kind,)), kind)())
node = Node(*made)
answer = lambda request, reply: b"here"
node.get("a", observable=True)(answer)
for _ in range(2):
    n = node.datagram(b"\\x40\\x01\\0\\1\\xb1a", 6, "peer", 1)
    assert bytes(node.tx_view(n))[:2] == b"\\x60\\x45" and bytes(node.tx_view(n))[-4:] == b"here"
n = node.datagram(b"\\x40\\x01\\0\\2\\x60\\x51a", 7, "peer", 1)  # with Observe
assert bytes(node.tx_view(n))[1] == 0x45
while node.due(2):
    pass
node.restore(node.state())
print(sorted([name[5:] for name in sys.modules if name.startswith("coap.")]))
"""


def run(interpreter, lib, others):
    """Return the modules of coap that a node with these extensions has loaded."""
    others = [(name, EXTENSIONS[name]) for name in others]
    program = f"OTHERS = {others!r}\n" + SERVE
    if interpreter == "cpython":
        command = [sys.executable, "-c", program]
        added = {"PYTHONPATH": f"{ROOT / 'tools' / 'cpython'}:{lib}"}
    else:
        command = [ROOT / find()[0].path, "-c", program]
        added = {"MICROPYPATH": f"{lib}:.frozen"}
    environ = {**os.environ, **added}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return ast.literal_eval(done.stdout.splitlines()[-1])


@pytest.fixture
def lib(tmp_path):
    """Return a copy of lib with the package coap, to remove files from."""
    shutil.copytree(LIB / "coap", tmp_path / "coap", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_extensions_are_found():
    assert {*EXTENSIONS} >= {
        "observe",
        "blockwise",
        "link_format",
        "multicast",
        "rate_limit",
        "oscore",
    }


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("name", EXTENSIONS)
def test_without_its_file_all_others_work(lib, name, interpreter):
    left_out = leave_out(lib, name)
    loaded = run(interpreter, lib, [other for other in EXTENSIONS if other != name])
    assert not left_out & {*loaded}


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_node_without_extensions_loads_none(lib, interpreter):
    left_out = set().union(*[leave_out(lib, name) for name in EXTENSIONS])
    assert not left_out & {*run(interpreter, lib, [])}


@pytest.mark.parametrize("name", EXTENSIONS)
def test_an_extension_loads_no_other(name):
    others = {*EXTENSIONS} - {name}
    assert not others & {*run("micropython", LIB, [name])}
