"""The command that starts an emulated Pico with its firmware, built when needed."""

import os
import sys

from emulator import dependencies
from host import device
from setup import firmware
from setup.console import ROOT

BOARD = "PICO_EMU"
FLASH = ROOT / "build" / "pico.flash"
RUN = ROOT / "tools" / "emulator" / "run.py"
# It may start twice, to change its application, each up to 45 s of its own time, which passes
# slower than ours on a busy computer. run.py says earlier and better what went wrong.
START_LIMIT_S = 240


def command(options):
    """(argv, environment, what it is) for the node of `options`.

    Raises:
        Problem: Node.js, the emulator or what the firmware is built with is missing.
    """
    dependencies.node()
    dependencies.bootrom()
    image, *_ = firmware.build_from_debian(device.find_board(BOARD))
    argv = [sys.executable, str(RUN), "--firmware", str(image)]
    argv += ["--host", options.host, "--port", str(options.port)]
    argv += ["--flash", os.path.abspath(options.flash or FLASH)]
    if options.app:
        argv += ["--app", options.app]
    return argv, dict(os.environ), "an emulated Raspberry Pi Pico"


def notes(options, device):
    """Lines that say how else this node can be reached, and what it keeps."""
    flash = os.path.relpath(options.flash or FLASH)
    return [
        f"Its USB cable leads to {device}, also for mpremote: make config DEV={device}",
        f"It keeps its settings in {flash}: without that file it is as new.",
        "",
    ]
