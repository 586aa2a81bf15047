"""Regain access to a board that no longer responds: `make recover DEV=`.

For five seconds after every reset Ctrl-C reaches the REPL of a board, even if it then sleeps. This
tool asks for a press of the reset button and sends Ctrl-C until a prompt comes. Then it renames
the settings and restarts the board. Without settings it starts in safe mode: radio on, no sleep,
no watchdog, and Ctrl-C leads to the REPL.
"""

import argparse
import contextlib
import time

import serial

from host import serial_port
from host.device import Problem, add_device_arguments, check_ports, mpremote, run
from setup.console import Arguments

LIMIT_S = 60
LONGEST_S = 3600
PAUSE_S = 0.1  # between two Ctrl-C: many within the five seconds
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
    """Run the tool. Raise Problem if no board responds."""
    parser = Arguments(prog="recover", description=__doc__.splitlines()[0])
    parser.add_argument("--limit-s", type=seconds, default=LIMIT_S, help="give up after so long")
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    recover(options.dev, options.dry_run, options.limit_s)


def seconds(text):
    """Return a time limit, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time in seconds (up to {LONGEST_S})")
    return value


def recover(dev, dry_run=False, limit_s=LIMIT_S):
    """Interrupt the board, repair and restart it. Raise Problem if none responds."""
    print(
        f"Press the board's reset button now, and again if nothing happens ({limit_s:g} s)",
        flush=True,
    )
    if not dry_run:
        dev = interrupt(dev, limit_s)
    output = run([*mpremote(dev), "resume", "exec", REPAIR, "+", "reset"], dry_run, capture=True)
    print(output.strip(), end="\n" if output else "")


def interrupt(dev, limit_s):
    """Send Ctrl-C until there is a prompt; return the device, the one found for "auto".

    mpremote would send it once and then wait: longer than the five seconds. The device of a chip
    with USB of its own disappears while it sleeps, so it is opened again and again.
    """
    end = time.monotonic() + limit_s
    why = "no prompt"
    while time.monotonic() < end:
        name = serial_port.first_usb_device() if dev == "auto" else dev
        if name is None:
            why = "no serial device on USB"
        else:
            try:
                with serial.Serial(
                    name, serial_port.BAUD, timeout=PAUSE_S, write_timeout=PAUSE_S
                ) as line:
                    if has_prompt(line, end):
                        return name
            except (OSError, serial.SerialException) as error:
                why = serial_port.reason(error)
        time.sleep(PAUSE_S)
    raise Problem(
        f"no response from DEV={dev} ({why}): close other programs that use it, name it with "
        "DEV=/dev/tty..., or write the firmware again: `make flash ERASE=1 BOARD= FW=`, then "
        "`make deploy` and `make config`"
    )


def has_prompt(line, end):
    """Send Ctrl-C on an open line until a prompt (True) or the time `end` (False)."""
    received = b""
    while time.monotonic() < end:
        with contextlib.suppress(serial.SerialTimeoutException):
            line.write(CTRL_C)
        received = (received + line.read(256))[-256:]
        if PROMPT in received:
            return True
    return False
