"""libcoap with OSCORE: fetched for this machine, and run through its own loader."""

import subprocess

import pytest

from setup import libcoap
from setup.console import Problem


@pytest.mark.parametrize("program", [libcoap.CLIENT, libcoap.SERVER])
def test_the_programs_run_and_have_oscore(program):
    command = [str(word) for word in [*libcoap.command(program), "-h"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Have OSCORE" in done.stdout + done.stderr


def test_a_machine_that_debian_does_not_know(monkeypatch):
    monkeypatch.setattr(libcoap.platform, "machine", lambda: "riscv128")
    with pytest.raises(Problem, match="riscv128"):
        libcoap.command(libcoap.CLIENT)


def test_a_mirror_that_does_not_answer_leaves_nothing(monkeypatch, tmp_path):
    def fetch(names, folder, cache, suite):
        folder.mkdir()
        raise Problem("no mirror")

    monkeypatch.setattr(libcoap, "fetch_packages", fetch)
    with pytest.raises(Problem, match="no mirror"):
        libcoap.fetched(tmp_path)
    assert not (tmp_path / "libcoap-trixie").exists()
