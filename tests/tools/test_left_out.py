"""A feature that is left out of a manifest costs nothing: no file of another one needs it."""

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
# what serves only one feature, and goes with it
SERVES = {
    "block": ["transfers"],
    "client": ["call", "intake", "repeats", "target", "token"],
    "oscore": ["asking", "ccm", "cipher", "context", "envelope", "framing", "ledger"],
}


def features():
    """{module: class} of all features."""
    found = {}
    for path in sorted((LIB / "coap").glob("*.py")):
        for node in ast.parse(path.read_bytes()).body:
            bases = [base.id for base in getattr(node, "bases", []) if isinstance(base, ast.Name)]
            if "Feature" in bases:
                found[path.stem] = node.name
    return found


FEATURES = features()
NEEDS = {"report": ("peer", "name")}  # arguments; all others have defaults

SERVE = """
import sys
from coap.node import Node
made = []
for name, kind, given in OTHERS:
    made.append(getattr(__import__("coap." + name, None, None, (kind,)), kind)(*given))
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
    """What a node with these features prints: the modules of coap that it has loaded."""
    others = [(name, FEATURES[name], NEEDS.get(name, ())) for name in others]
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
    """A copy of lib/coap to take files from."""
    shutil.copytree(LIB / "coap", tmp_path / "coap", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_features_are_found():
    assert {"observe", "block", "link", "multicast", "limit", "echo", "silence"} <= {*FEATURES}


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("name", FEATURES)
def test_without_its_file_all_others_work(lib, name, interpreter):
    for module in [name, *SERVES.get(name, ())]:
        (lib / "coap" / f"{module}.py").unlink()
    assert name not in run(interpreter, lib, [other for other in FEATURES if other != name])


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_node_without_features_loads_nothing_of_them(lib, interpreter):
    apart = {*FEATURES, *(module for modules in SERVES.values() for module in modules)}
    for module in apart:
        (lib / "coap" / f"{module}.py").unlink()
    assert not apart & {*run(interpreter, lib, [])}


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_loads_no_other(name):
    others = {*FEATURES} - {name}
    assert not others & {*run("micropython", LIB, [name])}
