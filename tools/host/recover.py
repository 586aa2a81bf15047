"""Gets a board back that does not listen any more: `make recover DEV=`.

Every reset of a Mote opens a window of five seconds in which Ctrl-C reaches the REPL, deep sleep
or not. So this asks for a tap on the reset button and knocks until the board answers; then it puts
the settings aside and restarts the board. Without settings it starts in safe mode: radio on, no
sleep, no watchdog, and Ctrl-C leads to the REPL.
"""

import argparse
import contextlib
import time

import serial
from serial.tools import list_ports

from host.device import Problem, add_device_arguments, check_ports, mpremote, run
from host.serial_port import reason
from setup.console import Arguments

LIMIT_S = 60
LONGEST_S = 3600
PAUSE_S = 0.1  # between two knocks: many within the window
BAUD = 115200
CTRL_C = b"\x03"
PROMPT = b">>> "
REPAIR = """
import os

def move(old, new):
    try:
        os.rename(old, new)
    except OSError:
        return
    print("recovered: {} is now {}".format(old, new))

try:
    os.remove("fast-resets")
except OSError:
    pass
move("config.json", "config.json.old")
print("recovered: the board starts in safe mode; give it settings with make config")
"""


def work(argv):
    parser = Arguments(prog="recover", description=__doc__.splitlines()[0])
    parser.add_argument("--limit-s", type=seconds, default=LIMIT_S, help="knock for so long")
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    recover(options.dev, options.dry_run, options.limit_s)


def seconds(text):
    """A time to knock, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time in seconds (up to {LONGEST_S})")
    return value


def recover(dev, dry_run=False, limit_s=LIMIT_S):
    """Knocks until the board answers, repairs and restarts it. Raises Problem when none does."""
    how = f"Tap the board's reset button now, and again if nothing happens ({limit_s:g} s)"
    print(how, flush=True)
    if not dry_run:
        dev = knock(dev, limit_s)
    said = run([*mpremote(dev), "resume", "exec", REPAIR, "+", "reset"], dry_run, capture=True)
    if said:
        print(said.strip())


def knock(dev, limit_s):
    """Sends Ctrl-C until there is a prompt; returns the device, which `auto` is not.

    mpremote would send it once and then wait: longer than the window is open. The device of a chip
    with USB of its own comes and goes with its sleep, so it is opened again and again.
    """
    end = time.monotonic() + limit_s
    why = "it says nothing"
    while time.monotonic() < end:
        name = first_device() if dev == "auto" else dev
        if name is None:
            why = "no serial device is there"
        else:
            try:
                with serial.Serial(name, BAUD, timeout=PAUSE_S, write_timeout=PAUSE_S) as line:
                    if has_prompt(line, end):
                        return name
            except (OSError, serial.SerialException) as error:
                why = reason(error)
        time.sleep(PAUSE_S)
    raise Problem(
        f"no answer from DEV={dev} ({why}): close other programs that use it, name it with "
        "DEV=/dev/tty..., or write the firmware anew: `make flash ERASE=1 BOARD= FW=`, then "
        "`make deploy` and `make config`"
    )


def has_prompt(line, end):
    """Knocks on an open device until there is a prompt: True, or until the time is over."""
    heard = b""
    while time.monotonic() < end:
        with contextlib.suppress(serial.SerialTimeoutException):
            line.write(CTRL_C)
        heard = (heard + line.read(256))[-256:]
        if PROMPT in heard:
            return True
    return False


def first_device():
    """The first device on USB, None where there is none."""
    found = sorted(port.device for port in list_ports.comports() if port.vid is not None)
    return found[0] if found else None
