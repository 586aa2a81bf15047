"""Flash that Mote takes: as .mpy files, and frozen into a firmware (from its symbols)."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import build_mpy
from fold import folded
from setup.console import ROOT, Problem
from setup.interpreter import find

ARCH = "armv6m"
ELF = ROOT / "build" / "firmware" / "PICO_EMU" / "firmware.elf"
LIB = ROOT / "lib"
EXTENSION = re.compile(r"^class \w+\(Extension\b", re.MULTILINE)
MORE = ("coap.resource_directory", "senml")  # optional as well, but no extensions
# What mpy-tool calls the data of a frozen module: its path, escaped.
KINDS = "fun_data|const_obj_table_data|const_qstr_table_data|const_obj|children|frozen_module"
SYMBOL = re.compile(rf"\S+ ([0-9a-f]+) \w (?:{KINDS}|proto_fun|raw_code)_(\S+)$")
LOADED = """
import sys
sys.path.remove("")  # the present folder
before = set(sys.modules)
import {module}
print(" ".join(sorted(set(sys.modules) - before)))
"""


def mpy(arch=ARCH):
    """Return {path: bytes} of every module for one processor. Raises device.Problem."""
    with tempfile.TemporaryDirectory() as build:  # of its own: others may compile meanwhile
        return build_mpy.compile_all(arch, build=Path(build))


def module_name(path):
    """Return the dotted name of a module's path below lib/ or firmware/."""
    return path.as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(module):
    """Return the paths of all modules of ours that `import module` brings in. Raises Problem."""
    interpreter, _ = find()
    program = LOADED.format(module=module)
    path = interpreter.path if interpreter.path.is_absolute() else ROOT / interpreter.path
    environ = {"MICROPYPATH": f"{folded() / 'lib'}:{folded() / 'firmware'}:.frozen"}
    done = subprocess.run([path, "-c", program], capture_output=True, text=True, env=environ)
    if done.returncode:
        raise Problem(f"{module} cannot be imported: {done.stderr.strip().splitlines()[-1]}")
    loaded = set(done.stdout.split())
    return {path.as_posix() for path, _ in build_mpy.sources() if module_name(path) in loaded}


def groups(sizes):
    """Return {what: bytes}: what a node needs at least, what each extension adds to it, all."""
    least = imported("coap.node") | imported("coap.transports.udp")
    found = {"least": sum(sizes[path] for path in least)}
    extensions = [
        module_name(file.relative_to(LIB))
        for file in sorted(LIB.rglob("*.py"))
        if EXTENSION.search(file.read_text())
    ]
    for name in [*extensions, *MORE]:
        found[name] = sum(sizes[path] for path in imported(name) - least)
    found["all"] = sum(sizes.values())
    return found


def frozen(elf=ELF):
    """Return {path: bytes} of the modules that are frozen into a firmware. Raises Problem."""
    if not elf.exists():
        raise Problem("there is no firmware: run `make firmware BOARD=PICO_EMU`")
    nm = shutil.which("nm")
    if nm is None:
        raise Problem("no nm: install binutils")
    done = subprocess.run([nm, "-S", elf], capture_output=True, text=True)
    paths = {escaped(path): path for path in (p.as_posix() for p, _ in build_mpy.sources())}
    found = {}
    for line in done.stdout.splitlines():
        symbol = SYMBOL.match(line)
        if symbol:
            name = symbol[2]
            while name and name not in paths:
                name = name.rpartition("_")[0]
            if name:
                found[paths[name]] = found.get(paths[name], 0) + int(symbol[1], 16)
    if not found:
        raise Problem(f"{elf.name} has no frozen modules: run `make firmware BOARD=PICO_EMU`")
    return found


def escaped(path):
    """Return a module's path as it stands in symbols: coap_codec for coap/codec.py."""
    return path.removesuffix(".py").replace("/", "_")
