"""What the host tools say to a command line that they do not understand: one line, exit code 2."""

import re
import subprocess
import sys

import pytest

from setup.console import ROOT, Arguments

TOOLS = ROOT / "tools"
UNKNOWN = "--no-such-option"
SHARED = "setup/console.py"
OWN = re.compile(r"\bArguments\((?!argparse)")
# Of each file that reads arguments, those that come before the unknown one.
PROGRAMS = {
    "bench/bench.py": (),
    "bench/gateway_load.py": (),
    "bench/icount.py": (),
    "build_mpy.py": (),
    "check_board/__main__.py": (),
    "conformance/__main__.py": (),
    "emulator/run.py": ("--firmware", "none.uf2"),
    "fuzz/fuzz.py": (),
    "gateway/settings.py": (),
    "host/configure.py": (),
    "host/deploy.py": (),
    "host/discover.py": (),
    "host/flash.py": (),
    "host/recover.py": (),
    "host/slipmux_bridge.py": (),
    "keys/make.py": (),
    "keys/numbers.py": ("oscore.json",),
    "keys/provision.py": (),
    "setup/firmware.py": ("PICO_EMU",),
    "setup/qemu.py": ("MPS2_AN385",),
    "simulator/launch/arguments.py": (),
    "size/__main__.py": (),
    "battery_sim/__main__.py": (),
    "battery_sim/battery_life.py": (),
    "battery_sim/receiver.py": (),
}
# Files that are no programs themselves.
STARTED_BY = {
    "host/configure.py": ("host", "configure"),
    "host/deploy.py": ("host", "deploy"),
    "host/discover.py": ("host", "discover"),
    "host/flash.py": ("host", "flash"),
    "host/recover.py": ("host", "recover"),
    "host/slipmux_bridge.py": ("host", "slipmux"),
    "simulator/launch/arguments.py": ("simulator",),
    "keys/make.py": ("keys", "make"),
    "keys/numbers.py": ("keys", "numbers"),
    "keys/provision.py": ("keys", "provision"),
    "setup/firmware.py": ("setup", "firmware"),
    "setup/qemu.py": ("setup", "qemu"),
    "check_board/__main__.py": ("check_board",),
    "conformance/__main__.py": ("conformance",),
    "battery_sim/__main__.py": ("battery_sim",),
    "size/__main__.py": ("size",),
}
# A package, whose modules import each other by its name.
PACKAGES = {"gateway/settings.py": ["-m", "tools.gateway"]}


def run(file, *words):
    program, *first = STARTED_BY.get(file, (file,))
    place = PACKAGES.get(file, [f"tools/{program}"])
    argv = [sys.executable, *place, *first, *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("file", PROGRAMS)
def test_an_unknown_option_is_one_line(file):
    done = run(file, *PROGRAMS[file], UNKNOWN)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert UNKNOWN in done.stderr and "--help" in done.stderr


@pytest.mark.parametrize(
    ("file", "words", "fix"),
    [
        ("battery_sim/__main__.py", ["--chip", "esp8266"], "esp32c3"),
        ("battery_sim/__main__.py", ["--days", "x"], "--days: invalid int value"),
        ("battery_sim/__main__.py", ["--jobs", "0"], "--jobs is 1 to 64"),
        ("battery_sim/__main__.py", ["--heartbeat-s", "-1"], "10 to 86400"),
        ("battery_sim/__main__.py", ["--seed", "²"], "like SEED=1"),
        ("host/recover.py", ["--limit-s", "x"], "up to 3600"),
        ("host/recover.py", ["--limit-s", "nan"], "up to 3600"),
        ("host/recover.py", ["--port", "²"], "PORT is a UDP port"),
        ("bench/figures.py", ["--rounds", "x"], "not a number above 0"),
        ("host/flash.py", ["--baud", "x"], "50 to 12000000"),
        ("setup/firmware.py", [], "required: board"),
        ("gateway/settings.py", ["--coap", "::1"], "in brackets"),
        ("gateway/settings.py", ["--http", "127.0.0.1:x"], "the port is a number"),
        ("gateway/settings.py", ["--read", "all"], "open, keys"),
        ("gateway/settings.py", ["--data", "build/nowhere", "--backup", "build/x"], "DATA="),
        ("gateway/settings.py", ["--coap", "192.0.2.1:5683", "--data", "build/none"], "COAP="),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_fix(file, words, fix):
    done = run(file, *words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and fix in done.stderr


def test_each_file_that_reads_arguments_is_tried():
    sources = {}
    for path in TOOLS.rglob("*.py"):
        if "node_modules" not in path.parts:
            sources[path.relative_to(TOOLS).as_posix()] = path.read_text()
    assert {name for name, text in sources.items() if OWN.search(text)} == set(PROGRAMS)
    assert [name for name, text in sources.items() if "ArgumentParser" in text] == [SHARED]


def test_a_line_break_in_an_argument_makes_no_second_line(capsys):
    with pytest.raises(SystemExit) as end:
        Arguments(prog="tool").parse_args(["--one\ntwo"])
    assert end.value.code == 2
    said = "tool: unrecognized arguments: --one two; --help lists the arguments\n"
    assert capsys.readouterr().err == said


def test_help_goes_to_stdout(capsys):
    with pytest.raises(SystemExit) as end:
        Arguments(prog="tool", description="Does something.").parse_args(["--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: tool [-h]\n\nDoes something.\n")
