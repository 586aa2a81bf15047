"""Runs simulations on the host: builds the firmware, starts simulation.py under MicroPython."""

import hashlib
import json
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from battery_sim import real_gateway
from build_mpy import compile_file, sources
from fold import counterpart, folded
from host.device import ROOT, Problem
from setup import console, interpreter

HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "battery_sim"
ESTIMATES = json.loads((HERE / "currents.json").read_text())
BOOT_MS = {kind: entry["ms"] for kind, entry in ESTIMATES["boot_ms"].items()}
PYTHON_MS = ESTIMATES["python_ms"]["ms"]
WORK_MS = {phase: entry["ms"] for phase, entry in ESTIMATES["work_ms"].items()}
# The board whose board.py each chip runs; the pins of a C3 do for the other ESP32 chips
C3 = "ESP32_GENERIC_C3"
BOARDS = {"esp32": C3, "esp32s3": C3, "esp32c3": C3, "esp32c6": C3, "rp2040": "RPI_PICO_W"}
# The REED_PULL of each wiring
PULLS = {"external": "external", "internal": "internal", "changeover": "external"}
LIVE_CHIP = "esp32c3"
SETTINGS = {"power": "battery", "gateway": "coap://192.168.1.2"}
SECRETS = {"ssid": "attic", "password": "not a secret"}
TIME_LIMIT_S = 1200


@dataclass(frozen=True)
class Scenario:
    """What to simulate. boot: "frozen", "files", or "" for one of them by the seed.

    wiring: of the contacts, one of PULLS, "" for that of the board; holds: REED_HOLD of the board;
    sets_pulls: False for an image whose IDF does not set pulls before deep sleep; cold: in the
    seventh hour the supply drops out at each start of the radio; real_gateway: that of
    tools/gateway, with keys for even seeds.
    """

    app: str = "door"
    hours: int = 7 * 24
    boot: str = ""
    chip: str = "esp32c3"
    heartbeat_s: int = 3600
    calm: bool = False
    observed: bool = False
    wiring: str = ""
    holds: bool = True
    sets_pulls: bool = True
    cold: bool = False
    real_gateway: bool = False

    def boot_ms(self, seed):
        """Return the time from reset to the first line of Python."""
        return BOOT_MS[self.boot or ("frozen", "files")[seed % 2]]


def write_board(folder, scenario):
    """Write the board.py of the chip, with what the scenario changes, into a new folder."""
    text = (ROOT / "boards" / BOARDS[scenario.chip] / "board.py").read_text()
    pull = PULLS.get(scenario.wiring)
    if pull:
        text += f"REED_PULL = {pull!r}\n"
    if not scenario.holds:
        text += "REED_HOLD = False\n"
    folder.mkdir()
    (folder / "board.py").write_text(text)


def build(folder=BUILD):
    """Return a folder with the firmware as `make deploy` puts it on a board; compile changes."""
    target = folder / "firmware"
    modules = sources()
    for board in set(BOARDS.values()):
        modules.append(
            (Path("boards", board, "board.py"), counterpart(ROOT / "boards" / board / "board.py"))
        )
    with console.lock("battery_sim", folder):
        wanted = set()
        for path, file in modules:
            as_source = path.name in ("boot.py", "main.py") or platform.machine() != "x86_64"
            made = target / (path if as_source else path.with_suffix(".mpy"))
            wanted.add(made)
            if made.exists() and made.stat().st_mtime > file.stat().st_mtime:
                continue
            made.parent.mkdir(parents=True, exist_ok=True)
            if as_source:
                shutil.copyfile(file, made)
            else:
                compile_file(file, path, made, "x64")
        for path in target.rglob("*.*py"):
            if path not in wanted:
                path.unlink()  # of a module that is gone: it would hide a missing import
    return target


def simulate(firmware, seed, scenario):
    """Return the counts of one simulation as a dict, see simulation.py.

    Raises:
        Problem: the simulation itself failed.
    """
    program, _ = interpreter.find()
    settings = {**SETTINGS, "app": scenario.app, "heartbeat_s": scenario.heartbeat_s}
    options = {
        "tests": str(folded() / "tests"),
        "simulator": str(folded() / "tools" / "simulator"),
        "firmware": str(firmware),
        "app": scenario.app,
        "seed": seed,
        "hours": scenario.hours,
        "chip": scenario.chip,
        "sets_pulls": scenario.sets_pulls,
        "wiring": scenario.wiring,
        "boot_ms": scenario.boot_ms(seed),
        "python_ms": PYTHON_MS,
        "work_ms": WORK_MS,
        "troubles": not scenario.calm,
        "observed": scenario.observed,
        "cold": scenario.cold,
        "real_gateway": scenario.real_gateway,
    }
    argv = [program.path.absolute(), "-X", "heapsize=64m", counterpart(HERE / "simulation.py")]
    with tempfile.TemporaryDirectory() as folder:
        flash, board = Path(folder, "flash"), Path(folder, "board")
        flash.mkdir()
        write_board(board, scenario)
        options["board"] = str(board)
        (flash / "config.json").write_text(json.dumps(settings))
        (flash / "secrets.json").write_text(json.dumps(SECRETS))
        if scenario.real_gateway:
            lines = real_gateway.simulate(argv, flash, options)
        else:
            lines = run_alone(argv, flash, options)
    if not lines or not lines[-1].startswith("RESULT "):
        words = [line for line in lines if line.strip()]
        raise Problem(f"SEED={seed}: the simulation failed: {words[-1] if words else 'no output'}")
    return json.loads(lines[-1].removeprefix("RESULT "))


def run_alone(argv, flash, options):
    """Run a simulation; return the lines that it prints. Raises Problem when it takes too long."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=flash,
            input=json.dumps(options) + "\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise Problem(
            f"SEED={options['seed']}: the simulation took more than {TIME_LIMIT_S} s"
        ) from None
    return done.stdout.splitlines()


def simulate_all(jobs, threads=2):
    """Yield the counts of each (firmware, seed, scenario) in order, `threads` at a time."""
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda job: simulate(*job), jobs)


def start_live(flash, app, name, gateway, host, speed, files=(), **options):
    """Start live.py, one node in real time, and return its process.

    Args:
        flash: a folder that becomes the board's flash.
        app: "door" or "wearable"; name: the node's; gateway: the URI that it reports to.
        host: IPv4 address from which it sends.
        speed: how much faster time passes while it sleeps.
        files: {name: object written as JSON} besides, such as oscore.json.
        options: of subprocess.Popen; without them it inherits stdin and stdout.
    """
    firmware = build()
    found, _ = interpreter.find()
    settings = {"power": "battery", "app": app, "name": name, "gateway": gateway}
    node = {
        "simulator": str(folded() / "tools" / "simulator"),
        "firmware": str(firmware),
        "board": str(firmware / "boards" / BOARDS[LIVE_CHIP]),
        "app": app,
        "chip": LIVE_CHIP,
        "speed": speed,
        "host": host,
        "boot_ms": BOOT_MS["frozen"],
        "work_ms": WORK_MS,
        # of its own: two boards with one ID are one node to a gateway
        "serial": hashlib.sha256(name.encode()).hexdigest()[:12],
    }
    written = {"config.json": settings, "secrets.json": SECRETS, "options.json": node}
    for file, content in {**written, **dict(files)}.items():
        (flash / file).write_text(json.dumps(content))
    live = counterpart(HERE / "live.py")
    argv = [str(found.path.absolute()), "-X", "heapsize=16m", str(live), "options.json"]
    return subprocess.Popen(argv, cwd=flash, **options)
