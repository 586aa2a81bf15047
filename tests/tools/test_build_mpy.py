"""`make mpy`: every module for every processor, sizes as a table, errors by name."""

import json
from pathlib import Path

import pytest

import build_mpy
from host import device
from host.device import Problem


def module(tmp_path, text, name="one.py"):
    file = tmp_path / name
    file.write_text(text)
    return Path(name), file


@pytest.mark.parametrize("arch", build_mpy.ARCHS)
def test_a_module_with_native_code_compiles(tmp_path, arch):
    text = "import micropython\n\n@micropython.viper\ndef f(n: int) -> int:\n    return n + 1\n"
    sizes = build_mpy.compile_all(arch, [module(tmp_path, text)], tmp_path / "build")
    compiled = (tmp_path / "build" / arch / "one.mpy").read_bytes()
    assert sizes == {"one.py": len(compiled)}
    assert compiled[:1] == b"M"
    assert compiled[1] == 6  # the format that 1.23 and later read
    # Native code names its processor in the upper bits of the third byte.
    order = ("none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp")
    order += ("armv7emdp", "xtensa", "xtensawin", "rv32imc")
    assert order[compiled[2] >> 2] == arch


def test_all_modules_are_meant():
    names = {path.as_posix() for path, _ in build_mpy.sources()}
    assert {
        "board_common.py",
        "main.py",
        "boot.py",
        "config.py",
        "coap/codec.py",
        "sensors/reed.py",
    } <= names
    folders = [device.ROOT / folder for folder in build_mpy.SOURCES]
    assert len(names) - 1 == sum(len(list(folder.rglob("*.py"))) for folder in folders)


def test_the_sources_compile_as_they_are(tmp_path):
    # mip installs them so: machine code can not use a constant of another module
    paths = sorted((device.ROOT / "lib").rglob("*.py"))
    modules = [(path.relative_to(device.ROOT / "lib"), path) for path in paths]
    assert len(build_mpy.compile_all("x64", modules, tmp_path)) == len(modules)


def test_an_error_names_the_file_and_leaves_no_old_code(tmp_path):
    good = module(tmp_path, "x = 1\n")
    build_mpy.compile_all("armv6m", [good], tmp_path / "build")
    bad = module(tmp_path, "x = = 1\n")
    with pytest.raises(Problem) as problem:
        build_mpy.compile_all("armv6m", [bad], tmp_path / "build")
    text = str(problem.value)
    assert text.startswith("one.py does not compile for armv6m: ")
    assert "SyntaxError" in text
    assert "line 1" in text
    assert "\n" not in text
    assert not (tmp_path / "build" / "armv6m" / "one.mpy").exists()


def test_the_table_and_the_file_hold_all_sizes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build_mpy, "BUILD", tmp_path)
    sizes = {arch: {"a/b.py": 10 + n} for n, arch in enumerate(build_mpy.ARCHS)}
    monkeypatch.setattr(build_mpy, "compile_all", lambda arch: sizes[arch])
    build_mpy.work([])
    assert json.loads((tmp_path / "sizes.json").read_text()) == sizes
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-5:] == list(build_mpy.ARCHS)
    assert lines[1].split() == ["a/b.py", "10", "11", "12", "13", "14"]
    assert lines[2].split() == ["all", "10", "11", "12", "13", "14"]


def test_an_unknown_architecture_is_one_line():
    with pytest.raises(Problem, match="esp8266 is unknown: use xtensawin"):
        build_mpy.work(["esp8266"])
