"""The unit of systemd that `make gateway-service` prints or installs."""

import configparser
import subprocess
import sys

import pytest
from tools.gateway import service
from tools.gateway.settings import Settings

from setup.console import ROOT, Problem


def parsed(text):
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str
    found.read_string(text)
    return found


def test_the_unit_starts_this_gateway_and_may_write_only_its_folders(tmp_path):
    settings = Settings(data=tmp_path / "data", keys=tmp_path / "keys", lan=True)
    unit = parsed(service.unit(settings))
    command = unit["Service"]["ExecStart"].split()
    assert command[1:3] == ["-m", "tools.gateway"] and "--lan" in command
    done = subprocess.run([sys.executable, *command[1:], "--check"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert unit["Service"]["ReadWritePaths"] == f"{tmp_path}/data {tmp_path}/keys"
    assert unit["Service"]["Restart"] == "always"
    assert unit["Service"]["ProtectSystem"] == "strict"


def test_systemd_finds_no_fault(tmp_path):
    settings = Settings(data=tmp_path / "data", keys=tmp_path / "keys")
    file = tmp_path / "mote-gateway.service"
    file.write_text(service.unit(settings))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True)
    faults = [line for line in done.stderr.splitlines() if "mote-gateway" in line]
    assert faults == []


def test_a_path_with_a_space_is_one_line(tmp_path):
    with pytest.raises(Problem, match="without spaces"):
        service.unit(Settings(data=tmp_path / "my data", keys=tmp_path / "keys"))


def test_without_systemd_the_unit_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(service.shutil, "which", lambda name: None)
    service.install(Settings(data=tmp_path / "d", keys=tmp_path / "k"), tmp_path / "unit")
    said = capsys.readouterr().out
    assert "[Service]" in said and "gateway-service" in said
    assert not (tmp_path / "unit").exists()


def test_as_root_it_is_installed_and_started(tmp_path, capsys, monkeypatch):
    asked = []

    def run(argv, **options):
        asked.append(argv[1:])
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(service.os, "geteuid", lambda: 0)
    monkeypatch.setattr(service.os, "chown", lambda *args: None)
    monkeypatch.setattr(service.shutil, "which", lambda name: "/bin/systemctl")
    monkeypatch.setattr(service.subprocess, "run", run)
    place = tmp_path / "unit"
    service.install(Settings(data=tmp_path / "d", keys=tmp_path / "k"), place)
    assert "[Service]" in place.read_text()
    assert asked == [["daemon-reload"], ["enable", service.NAME], ["restart", service.NAME]]
    assert "disable --now" in capsys.readouterr().out
