"""`make run BOARD=pico`: a board's firmware on an emulated Pico, in real time, on a UDP port.

    python3 tools/emulator/run.py --firmware FILE --host H --port N [--flash FILE] [--app APP]

Prints `console DEVICE`, the serial device that its USB cable leads to, and `ready coap://H:N` when
the node responds. Lines on stdin change its inputs. The end of stdin ends it, as SIGINT does, with
exit code 0. The simulator starts it.
"""

import contextlib
import fcntl
import importlib.util
import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from emulator.pico import Pico  # noqa: E402  (it also makes the models importable)
from emulator.pseudo_terminal import PseudoTerminal  # noqa: E402
from emulator.serial_line import ReplError  # noqa: E402
from setup.console import ROOT, Arguments, Problem, fail  # noqa: E402
from simulator.launch.mini_client import get  # noqa: E402

from chips.lsm6dsox import Lsm6dsox  # noqa: E402  isort: skip
from chips.max30102 import Max30102  # noqa: E402  isort: skip
from chips.tmp117 import Tmp117  # noqa: E402  isort: skip

BOARD_FILE = ROOT / "boards" / "PICO_EMU" / "board.py"
LINK_LIMIT_MS = 25_000
RESPONSE_LIMIT_MS = 20_000
SET_APP = """import config
settings = config.Settings.load("config.json")
settings.update({{"app": "{}"}})
settings.save()
"""
BATTERY_MV = 4032
COMMANDS = "an empty line (toggles the door), door open, door close, tamper on, tamper off, "
COMMANDS += "battery 2900, hr 88, spo2 97, steps 1200, temp 36.9, reset"
LIMITS = {
    "battery": (0, 6000),  # mV
    "hr": (30, 220),  # beats a minute
    "spo2": (70, 100),  # percent
    "steps": (0, 65535),
    "temp": (-55, 150),  # degrees Celsius
}


def load_board(path=BOARD_FILE):
    """Return the board's module, whose constants say what is wired to which pin."""
    if str(path.parent.parent) not in sys.path:
        sys.path.append(str(path.parent.parent))  # of board_common
    spec = importlib.util.spec_from_file_location("pico_board", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Wiring:
    """The inputs of a Pico: reed contact, lid switch, battery, three I2C sensors, reset button."""

    def __init__(self, pico):
        self._pico = pico
        self._board = board = load_board()
        self._is_open = False
        pico.pin(board.REED_PIN, 0)
        pico.pin(board.TAMPER_PIN, 0)
        self._set_battery(BATTERY_MV)
        self.light = pico.i2c(board.I2C_ID, Max30102())
        self.temperature = pico.i2c(board.I2C_ID, Tmp117())
        self.motion = pico.i2c(board.I2C_ID, Lsm6dsox())

    def command(self, line):
        """Do what a line says; return the line that confirms it, or lists the commands."""
        words = line.split()
        if not words:
            words = ["door", "close" if self._is_open else "open"]
        if words in (["door", "open"], ["door", "close"]):
            self._is_open = words[1] == "open"
            self._pico.pin(self._board.REED_PIN, self._is_open)
            return "door open" if self._is_open else "door closed"
        if words in (["tamper", "on"], ["tamper", "off"]):
            self._pico.pin(self._board.TAMPER_PIN, words[1] == "on")
            return " ".join(words)
        if words == ["reset"]:
            self._pico.reset()
            return "reset"
        if len(words) == 2 and words[0] in LIMITS:
            low, high = LIMITS[words[0]]
            try:
                value = float(words[1]) if words[0] == "temp" else int(words[1])
            except ValueError:
                value = low - 1
            if low <= value <= high:
                self._set(words[0], value)
                return f"{words[0]} {value}"
            return f"error: {words[0]}: {low} to {high}"
        return f"error: {line!r} is unknown; the commands are {COMMANDS}"

    def _set(self, name, value):
        if name == "battery":
            self._set_battery(value)
        elif name == "hr":
            self.light.pulse_per_min = value
        elif name == "spo2":
            self.light.spo2_pct = value
        elif name == "temp":
            self.temperature.set_mc(round(value * 1000))
        else:
            self.motion.walk(value - self.motion.steps)

    def _set_battery(self, mv):
        board = self._board
        pin_mv = mv * board.BATTERY_DIVIDER_DEN // board.BATTERY_DIVIDER_NUM
        self._pico.adc(board.BATTERY_ADC_PIN, pin_mv)


@contextlib.contextmanager
def exclusive(path):
    """Lock the file of the flash memory, creating it; do nothing when path is None."""
    if path is None:
        yield
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise Problem(f"--flash {path}: {error.strerror}; name a file of yours") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(
                f"another emulated Pico has its flash memory in {path}: choose another file, "
                "`make run BOARD=pico FLASH=second.flash`"
            ) from None
        yield


def start(pico, host):
    """Let the firmware start, skipping its waits, until the node responds; return its address."""
    pico.set_realtime(False)
    if not pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS):
        raise Problem(f"the firmware did not bring its link up; it last said: {last_line(pico)}")
    pico.set_realtime(True)
    address = "127.0.0.1" if host == "0.0.0.0" else host
    path = "/.well-known/core"
    if not pico.run_until(lambda: get(address, pico.udp_port, path), RESPONSE_LIMIT_MS):
        raise Problem(f"the firmware does not respond; it last said: {last_line(pico)}")
    return address


def choose_app(pico, host, app):
    """Set the application and restart, unless the node has it already."""
    settings = json.loads(get(host, pico.udp_port, "/config") or b"{}")
    if settings.get("app") == app:
        return
    # Over its console: a node without keys accepts no change by CoAP.
    pico.set_realtime(False)
    try:
        pico.repl().exec(SET_APP.format(app))
    except (ReplError, TimeoutError) as error:
        why = str(error).splitlines()[-1]
        raise Problem(f"the node does not take --app {app} ({why}): leave it out") from None
    pico.link_up = False
    pico.reset()
    start(pico, host)


def last_line(pico):
    """Return the last line on the console."""
    lines = pico.console.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def main(argv):
    """Run until stdin ends; return the exit code."""
    parser = Arguments(prog="run.py", description=__doc__.splitlines()[0])
    parser.add_argument("--firmware", required=True)
    parser.add_argument("--flash", help="file that keeps the flash memory")
    parser.add_argument("--app", choices=("door", "wearable", "both"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5683)
    options = parser.parse_args(argv)
    with (
        exclusive(options.flash),
        Pico(
            options.firmware,
            flash=options.flash,
            udp_port=options.port,
            udp_host=options.host,
        ) as pico,
    ):
        wiring = Wiring(pico)
        pico.power()
        host = start(pico, options.host)
        if options.app:
            choose_app(pico, host, options.app)
        with PseudoTerminal(pico.console) as terminal:
            print(f"console {terminal.device}", flush=True)
            print(f"ready coap://{options.host}:{pico.udp_port}", flush=True)
            for line in sys.stdin:
                print(wiring.command(line.strip()), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(0)
    except Problem as problem:
        fail(problem)
