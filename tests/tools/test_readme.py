"""What the README says works: its example, its commands and the files that it points to."""

import re
import subprocess
import sys
import time

import pytest

from setup.console import ROOT
from setup.interpreter import find
from simulator.launch.mini_client import get
from simulator.launch.node_command import IMPORT_PATHS, SHIM
from support.ports import free_port

README = (ROOT / "README.md").read_text()
EXAMPLE = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
LIMIT_S = 60


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_the_example_answers(interpreter, tmp_path):
    port = free_port()
    assert "run(node)\n" in EXAMPLE
    program = EXAMPLE.replace("run(node)\n", f'run(node, "127.0.0.1", {port})\n')
    paths = [str(path) for path in IMPORT_PATHS]
    if interpreter == "cpython":
        command = [sys.executable, "-c", program]
        environ = {"PYTHONPATH": ":".join([*paths, str(SHIM)])}
    else:
        command = [str(find()[0].path), "-c", program]
        environ = {"MICROPYPATH": ":".join(paths)}
    log = tmp_path / "log"
    with log.open("w") as output:
        node = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=output, stderr=output)
    try:
        end = time.monotonic() + LIMIT_S
        answer = None
        while answer is None and time.monotonic() < end and node.poll() is None:
            answer = get("127.0.0.1", port, "hello")
        assert answer == b"world", log.read_text()
    finally:
        node.kill()
        node.wait()


def test_the_example_is_ten_lines_and_names_no_feature():
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 10
    first_screen = "\n".join(README.splitlines()[:40])
    features = re.findall(r"^class (\w+)\(Extension\)", lib_text(), re.MULTILINE)
    assert len(features) > 5
    for name in features:
        assert not re.search(rf"\b{name}\(", first_screen), name


def test_every_make_target_exists():
    makefiles = [ROOT / "Makefile", *(ROOT / "tools/make").glob("*.mk")]
    targets = set(re.findall(r"^## ([\w-]+):", "\n".join(f.read_text() for f in makefiles), re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"run", "test", "setup", "flash", "deploy", "config"} <= named
    assert named <= targets


def test_every_file_that_it_points_to_exists():
    links = re.findall(r"\]\(([\w./-]+)\)", README)
    rooms = re.findall(r"^\| `([\w/]+)` \|", README, re.MULTILINE)
    assert len(links) >= 2 and len(rooms) >= 5
    for name in links + rooms:
        assert (ROOT / name).exists(), name


def lib_text():
    return "\n".join(path.read_text() for path in (ROOT / "lib/coap").glob("*.py"))


def test_each_tool_is_in_the_list_of_tools():
    tools = ROOT / "tools"
    text = (tools / "README.md").read_text()
    listed = set(re.findall(r"`([\w.]+)`", "\n".join(re.findall(r"^\| (`.*?) \|", text, re.M))))
    skipped = ("README.md", "__pycache__")
    assert listed == {path.name for path in tools.iterdir() if path.name not in skipped}
