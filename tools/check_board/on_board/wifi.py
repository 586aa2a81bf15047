"""Joins the Wi-Fi network of secrets.json, as for the first time and as after a sleep.

The name of the network, its password and the addresses stay on the board, but for the node's own,
which the program that asked needs; it does not write that down either.
"""

import sys
import time

import board
import network

import config
from power.wifi_fast import FastJoin

LIMIT_MS = 30000
access = config.load_secrets("secrets.json")
found = {}
if access is None:
    found["missing"] = "secrets.json"
else:
    options = board.WIFI_OPTIONS
    join = FastJoin(network, access, "mote-check", sys.platform, options, lambda line: None)
    for kind in ("full", "fast", "fast_again"):
        start_ms = time.ticks_ms()
        join.start(start_ms & 0x3FFFFFFF, int(time.time()) & 0x3FFFFFFF)
        while not join.address and time.ticks_diff(time.ticks_ms(), start_ms) < LIMIT_MS:
            join.poll(time.ticks_ms() & 0x3FFFFFFF, int(time.time()) & 0x3FFFFFFF)
            time.sleep_ms(10)
        is_up = bool(join.address)
        found[kind + "_ms"] = time.ticks_diff(time.ticks_ms(), start_ms) if is_up else None
        found[kind + "_was_fast"] = join.fast
        if is_up:
            found["rssi_dbm"] = network.WLAN(network.WLAN.IF_STA).status("rssi")
            found["address"] = join.address
            join.on_report(True)
        join.stop()
report(found)  # noqa: F821
