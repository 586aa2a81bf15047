"""Machines in QEMU: what is frozen into them, and what is said when that cannot be."""

import re

import pytest

from plugin.emulated import Qemu, Repl
from setup import qemu
from setup.console import Problem

M3, M0 = qemu.MACHINES["MPS2_AN385"], qemu.MACHINES["MICROBIT"]


def folders(machine, tmp_path):
    """Folder of the package coap, and the whole manifest."""
    text = qemu.manifest(machine, tmp_path)
    return re.search(r'package\("coap", base_path="([^"]*)"', text)[1], text


def test_a_machine_has_the_engine_and_its_tests(tmp_path):
    folder, text = folders(M3, tmp_path)
    assert folder == str(qemu.ROOT / "lib")
    for name in ("test_scan.py", "slots.py", "runner.py", "time.py", "clocks.py", "machine.py"):
        assert f'module("{name}"' in text
    assert 'package("support", ("__init__.py", ' in text
    assert '"main.py"' not in text


def test_a_machine_without_an_emitter_has_no_decorators(tmp_path):
    folder, text = folders(M0, tmp_path)
    assert folder.startswith(str(tmp_path))
    scan = (tmp_path / folder / "coap" / "scan.py").read_text()
    assert "def scan(" in scan
    assert "@micropython.viper" not in scan


def test_a_machine_takes_the_files_that_are_in_it():
    tests = qemu.ROOT / "tests"
    everything, few = Qemu(M3), Qemu(M3, ("test_scan",))
    assert everything.takes(tests / "coap" / "test_node.py")
    assert not everything.takes(tests / "coap" / "test_rules.py")
    assert not everything.takes(tests / "transports" / "test_udp.py")
    assert few.takes(tests / "coap" / "test_scan.py")
    assert not few.takes(tests / "coap" / "test_node.py")


def test_a_machine_that_ends_or_hangs_is_told_by_its_message():
    ended = Repl(["sh", "-c", "exit 3"])
    assert "ended with code 3" in ended.start().message
    ended.close()
    silent = Repl(["sleep", "60"])
    assert "no result within 0.2 s" in silent.run("1", 0.2, "this test").message
    silent.close()


def test_an_unknown_machine_is_named():
    with pytest.raises(Problem, match="machine PC is unknown: use MPS2_AN385"):
        qemu.work(["PC"])
