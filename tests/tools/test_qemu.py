"""Machines in QEMU: what is frozen into them, and what is said when that cannot be."""

import pytest

from fold import folded
from plugin.emulated import Qemu, Repl
from setup import qemu
from setup.console import ROOT, Problem

M3, M0 = qemu.MACHINES["MPS2_AN385"], qemu.MACHINES["MICROBIT"]


def test_a_machine_has_the_engine_and_its_tests():
    text, files = qemu.frozen_modules(M3)
    assert f"freeze('{folded()}/lib', ('coap/__init__.py'," in text
    for path in ("coap', 'test_codec_parse.py", "', 'support/engine.py", "qemu', 'time.py"):
        assert f"{path}'" in text
    names = {path.name for path in files}
    assert {"node.py", "machine.py", "test_codec_parse.py"} <= names
    assert "main.py" not in names


def test_a_machine_without_an_emitter_has_no_decorators():
    text, files = qemu.frozen_modules(M0)
    (codec,) = (path for path in files if path.name == "codec.py")
    assert f"freeze('{codec.parent.parent}', ('coap/" in text
    assert "def parse(" in codec.read_text()
    assert "@micropython.viper" not in codec.read_text()


def test_a_machine_takes_the_files_that_are_in_it():
    tests = ROOT / "tests"
    everything, few = Qemu(M3), Qemu(M3, ("test_codec_parse",))
    assert everything.takes(tests / "coap" / "test_node.py")
    assert not everything.takes(tests / "coap" / "test_rules.py")
    assert not everything.takes(tests / "transports" / "test_udp.py")
    assert few.takes(tests / "coap" / "test_codec_parse.py")
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
