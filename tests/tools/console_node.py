# The firmware of a board in miniature, on the serial line that is its stdin and stdout; run by
# test_serial_bridge.py with MicroPython. Argument: wifi, or nothing for a board without.
import sys

import startup
from apps.device import Config
from coap.presets import node_for_board
from config import Settings

SLOTS = {"dedup_entries": 16, "exchanges": 4, "peers": 4, "observers": 4, "blocks": 2}


class Board:
    LINK = "wifi" if "wifi" in sys.argv else "slipmux"
    SLIPMUX = "console"


class Machine:
    @staticmethod
    def reset():
        print("starts anew")
        raise SystemExit


node = node_for_board(SLOTS, 1152)
node.add("config", Config(Settings.load("config.json")))
line = startup.open_line(node, Board, Machine)
print("ready")
while not line.ended:
    line.step()
