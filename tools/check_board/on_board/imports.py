"""Measures how long the modules of a node take to load."""

import gc
import time

gc.collect()
before = gc.mem_alloc()
start_ms = time.ticks_ms()
import coap.node  # noqa: E402
from coap.transports import udp  # noqa: E402, F401

node_ms = time.ticks_diff(time.ticks_ms(), start_ms)
import apps.door  # noqa: E402, F401

door_ms = time.ticks_diff(time.ticks_ms(), start_ms)
gc.collect()
found = {"node_ms": node_ms, "door_ms": door_ms, "heap": gc.mem_alloc() - before}
found["where"] = getattr(coap.node, "__file__", "frozen")
report(found)  # noqa: F821
