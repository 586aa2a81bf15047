"""The command that starts an emulated Pico with its firmware, built when needed."""

import os
import sys

import device
from emulator import parts
from setup import firmware
from setup.console import ROOT

BOARD = "PICO_EMU"
APP = "both"  # what the firmware's default settings say
RUN = ROOT / "tools" / "emulator" / "run.py"


def command(options):
    """(argv, environment, what it is) for the node of `options`.

    Raises:
        Problem: Node.js, the emulator or what the firmware is built with is missing.
    """
    parts.node()
    parts.bootrom()
    image, *_ = firmware.build_from_debian(device.find_board(BOARD))
    argv = [sys.executable, str(RUN), "--firmware", str(image)]
    argv += ["--host", options.host, "--port", str(options.port)]
    return argv, dict(os.environ), "an emulated Raspberry Pi Pico"
