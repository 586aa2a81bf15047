"""Flash that Mote takes: as .mpy files, and frozen into a firmware (from its symbols)."""

import re
import shutil
import subprocess

import build_mpy
from setup.console import ROOT, Problem
from setup.interpreter import find

ARCH = "armv6m"
ELF = ROOT / "build" / "firmware" / "PICO_EMU" / "firmware.elf"
CORE = ("scan", "message", "exchange", "resource", "node", "numbers", "transports/udp")
FEATURES = (
    ("link", "discovery"),
    ("observe", "observe"),
    ("conditions", "conditions on notifications"),
    ("block", "block-wise transfers"),
    ("multicast", "groups"),
    ("limit", "rate limit"),
    ("echo", "Echo"),
    ("silence", "No-Response"),
    ("access", "access"),
    ("oscore", "OSCORE"),
    ("problem", "problem details"),
    ("client", "client"),
    ("report", "reports"),
    ("directory", "resource directory"),
)
# What mpy-tool calls the data of a frozen module: its path, escaped.
KINDS = "fun_data|const_obj_table_data|const_qstr_table_data|const_obj|children|frozen_module"
SYMBOL = re.compile(rf"\S+ ([0-9a-f]+) \w (?:{KINDS}|proto_fun|raw_code)_(\S+)$")
LOADED = """
import sys
before = set(sys.modules)
import {module}
print(" ".join(sorted(set(sys.modules) - before)))
"""


def mpy(arch=ARCH):
    """{path: bytes} of every module for one processor. Raises device.Problem."""
    return build_mpy.compile_all(arch)


def core(sizes):
    """Bytes of the seven files that the protocol begins with."""
    return sum(sizes[f"coap/{name}.py"] for name in CORE)


def imported(module):
    """Paths of all modules of ours that `import module` brings in."""
    interpreter, _ = find()
    program = LOADED.format(module=module)
    path = interpreter.path if interpreter.path.is_absolute() else ROOT / interpreter.path
    environ = {"MICROPYPATH": f"{ROOT / 'lib'}:{ROOT / 'firmware'}:.frozen"}
    done = subprocess.run([path, "-c", program], capture_output=True, text=True, env=environ)
    if done.returncode:
        raise Problem(f"{module} cannot be imported: {done.stderr.strip().splitlines()[-1]}")
    found = set()
    for name in done.stdout.split():
        for path in (name.replace(".", "/") + ".py", name.replace(".", "/") + "/__init__.py"):
            if any((ROOT / folder / path).exists() for folder in build_mpy.SOURCES):
                found.add(path)
    return found


def groups(sizes):
    """{what: bytes}: the core, what a node cannot be imported without, each feature's more."""
    least = imported("coap.node") | imported("coap.transports.udp")
    found = {"core": core(sizes), "least": sum(sizes[path] for path in least)}
    for name, title in FEATURES:
        more = imported(f"coap.{name}") - least
        found[title] = sum(sizes[path] for path in more)
    found["SenML"] = sum(n for name, n in sizes.items() if name.startswith("senml/"))
    found["all"] = sum(sizes.values())
    return found


def frozen(elf=ELF):
    """{path: bytes} of the modules that are frozen into a firmware. Raises Problem."""
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
    """A module's path as it stands in symbols: coap/scan.py is coap_scan."""
    return path.removesuffix(".py").replace("/", "_")
