"""The checks, in the order in which they run. Each returns text and values, or raises.

A check gets a Bench: the line, the options of the command line and what earlier checks found.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from check_board.line import Line
from setup.console import ROOT
from simulator.launch.mini_client import get

Found = tuple[str, dict[str, Any]]
KNOWN = {0x57: "MAX30102", 0x48: "TMP117", 0x6A: "LSM6DSOX", 0x6B: "LSM6DSOX", 0x18: "LIS3DH",
         0x19: "LIS3DH"}  # fmt: skip
RTC_TEXT = "check-board"
SLEEP_MS = 3000
REST_S = 5  # in which the contact is not to be moved
PIN_S = 25
SPAN_MS = 25_000  # of on_board/sleep.py
MARGIN_MS = 2_000
TIMER_WAKE = 4  # machine.wake_reason() of an ESP32
ROUNDS = 50
SLOW_NOISE_UV = 20_000
START_S = 60.0
TRIES = 3
LEAST_HEAP = 40_000


class NotHere(Exception):
    """This board cannot do it; the text says why."""


class Wrong(Exception):
    """The board does something else than it should; the text says what."""

    def __init__(self, text: str, values: dict[str, Any] | None = None):
        super().__init__(text)
        self.values = values or {}


@dataclass
class Bench:
    """What checks share. ask(text): shows a request to the person at the board."""

    line: Line
    ask: Callable[[str], None]
    board: str = ""
    coap: tuple[str, int] | None = None  # where the node responds, if not by Wi-Fi
    topics: str = ""  # of the conformance checks; "": all
    facts: dict[str, Any] = field(default_factory=dict)


def identity(bench: Bench) -> Found:
    """Find out what the board is, and whether it is the one that was named."""
    found = bench.line.run("identity")
    bench.facts.update(found)
    if found["mote"].startswith("missing"):
        raise Wrong(f"no Mote on it ({found['mote']}): run `make deploy` first", found)
    if bench.board and bench.board != found["board"]:
        raise Wrong(f"this is {found['board']}, not {bench.board}: name BOARD=", found)
    text = "{board}, {machine}, MicroPython {micropython}, Mote {mote}".format(**found)
    return text, found


def heap(bench: Bench) -> Found:
    """Look whether enough memory is free, and in one piece."""
    found = {name: bench.facts[name] for name in ("heap_free", "largest_block", "flash_free")}
    text = "{heap_free:,} B free, {largest_block:,} B in one piece".format(**found)
    if found["heap_free"] < LEAST_HEAP:
        raise Wrong(f"{text}: a node needs {LEAST_HEAP:,} B", found)
    return text, found


def imports(bench: Bench) -> Found:
    """Measure how long the node's modules take to load."""
    found = bench.line.run("imports")
    return "a door's modules in {door_ms} ms, {heap:,} B".format(**found), found


def portable_tests(bench: Bench) -> Found:
    """Run the tests of the message codec and of messaging on the board."""
    from check_board import on_target

    return on_target.run(bench.line)


def battery_input(bench: Bench) -> Found:
    """Measure the noise of the battery's ADC input."""
    if "BATTERY_ADC_PIN" not in bench.facts["pins"]:
        raise NotHere("this board measures no battery")
    found = bench.line.run("adc")
    text = "{battery_mv} mV, deviation {deviation_uv} uV at the pin".format(**found)
    if found["deviation_uv"] > SLOW_NOISE_UV:
        raise Wrong(f"{text}: is the divider connected, with 100 nF to ground?", found)
    return text, found


def sensors(bench: Bench) -> Found:
    """List the sensors on the I2C bus."""
    addresses = bench.line.run("sensors")["addresses"]
    names = [KNOWN.get(one, f"0x{one:02x}") for one in addresses]
    return ", ".join(names) or "none on the bus", {"addresses": addresses}


def pulls(bench: Bench) -> Found:
    """Read the contacts with each pull: how they are wired."""
    found = bench.line.run("pins")
    words = []
    for name, levels in found.items():
        how = "driven high, or by a resistor of its own to 3V3"
        if not levels["up"] and not levels["down"]:
            how = "closed to ground"
        elif levels["up"] and not levels["down"]:
            how = "open, and no resistor of its own" if levels["none"] else "open"
        words.append(f"{name}: {how}")
    return "; ".join(words), found


def timer_wake(bench: Bench) -> Found:
    """Sleep deeply for three seconds; look what wakes and what the RTC memory keeps."""
    rtc = f"machine.RTC().memory(b'{RTC_TEXT}')"
    has_rtc = "True" in bench.line.exec("import machine; print(hasattr(machine.RTC(), 'memory'))")
    bench.line.begin()
    source = f"import machine; {rtc + '; ' if has_rtc else ''}machine.deepsleep({SLEEP_MS})"
    start_s = time.monotonic()
    bench.line.leave(source)
    time.sleep(SLEEP_MS / 1000)
    bench.line.wait()
    starts = bench.line.notes()
    found = {"starts": starts, "back_s": round(time.monotonic() - start_s, 1)}
    if not starts:
        raise Wrong("it did not start again by itself", found)
    kept = starts[0].get("rtc")
    if has_rtc and kept != RTC_TEXT:
        raise Wrong(f"RTC memory had {kept!r} after the sleep", found)
    memory = "RTC memory kept" if has_rtc else "this chip has no RTC memory"
    bench.facts["has_rtc"] = has_rtc
    main_ms = starts[0]["main_ms"]
    return f"started by {starts[0]['cause']}, main.py after {main_ms} ms, {memory}", found


def pin_wake(bench: Bench) -> Found:
    """Let the contact wake the board in both directions, and not while it rests."""
    found: dict[str, Any] = {}
    for _ in range(2):
        level = one_wake(bench, found)
        if level in found.get("levels", []):
            raise Wrong("the contact was in the same state twice", found)
        found.setdefault("levels", []).append(level)
    return "opening and closing wake it; at rest it sleeps", found


def one_wake(bench: Bench, found: dict[str, Any]) -> int:
    """Sleep until the contact moves; return its level before."""
    bench.line.begin()
    bench.line.leave_file("sleep")
    time.sleep(REST_S)
    bench.ask(f"Open the contact, or close it if it is open, within {PIN_S - 10} s")
    time.sleep(PIN_S)
    bench.line.wait()
    notes = bench.line.notes()
    found.setdefault("notes", []).append(notes)
    if not notes:
        raise Wrong("it did not sleep", found)
    slept_ms = notes[0].get("slept_ms")
    if slept_ms is None:
        wake = notes[1] if len(notes) > 1 else {}
        if wake.get("cause") != "DEEPSLEEP_RESET" or wake.get("wake") == TIMER_WAKE:
            raise Wrong("the contact did not wake it", found)
        slept_ms = wake.get("woken_ms", 0) - notes[0].get("began_ms", 0)
    elif slept_ms >= SPAN_MS:
        raise Wrong("the contact did not wake it", found)
    if slept_ms < REST_S * 1000 - MARGIN_MS:
        raise Wrong(f"it woke after {slept_ms} ms, before the contact moved", found)
    return notes[0]["level"]


def watchdog(bench: Bench) -> Found:
    """Let a program hang; look whether the watchdog starts the board again."""
    bench.line.begin()
    bench.line.leave("import machine; w = machine.WDT(timeout=2000)\nwhile True: pass")
    starts: list[dict] = []
    for _ in range(TRIES):  # no program can stop a watchdog, not even Ctrl-C
        time.sleep(4)
        bench.line.wait()
        starts = bench.line.notes()
        if starts:
            return f"it started again by {starts[0]['cause']}", {"starts": starts}
    raise Wrong("a program that hangs is not ended", {"starts": starts})


def wifi(bench: Bench) -> Found:
    """Join the network as for the first time and as after a sleep."""
    has_wifi = "True" in bench.line.exec("import network; print(hasattr(network, 'WLAN'))")
    if not has_wifi:
        raise NotHere("no radio")
    found = bench.line.run("wifi", limit_s=150)
    if "missing" in found:
        raise NotHere("no Wi-Fi access on it: run `make config`")
    address = found.pop("address", None)
    if address is None:
        raise Wrong("it does not join: look at the password with `make config`", found)
    bench.coap = bench.coap or (address, 5683)
    if not found["fast_was_fast"] or found["fast_ms"] is None:
        raise Wrong("it does not join fast: its battery would last for months less", found)
    return "{full_ms} ms, fast {fast_ms} and {fast_again_ms} ms, {rssi_dbm} dBm".format(
        **found
    ), found


def round_trips(bench: Bench) -> Found:
    """Start the node as it runs every day; measure its start and round trips of requests."""
    if bench.coap is None:
        raise NotHere("no address: no Wi-Fi, and COAP=host:port is not given")
    bench.line.end()
    start_s = time.monotonic()
    while get(*bench.coap, "/dev") is None:
        if time.monotonic() - start_s > START_S:
            raise Wrong(f"it does not respond within {START_S:g} s of its reset")
    ready_s = time.monotonic() - start_s
    times_ms = []
    for _ in range(ROUNDS):
        before_s = time.monotonic()
        if get(*bench.coap, "/dev") is None:
            raise Wrong("a request had no response")
        times_ms.append((time.monotonic() - before_s) * 1000)
    times_ms.sort()
    found = {
        "ready_s": round(ready_s, 1),
        "median_ms": round(statistics.median(times_ms), 1),
        "slowest_ms": round(times_ms[-1], 1),
    }
    return (
        "first response {ready_s} s after the reset; median {median_ms} ms, slowest "
        "{slowest_ms} ms"
    ).format(**found), found


def conformance(bench: Bench) -> Found:
    """Run the conformance checks against the conformance application on the board."""
    if bench.coap is None:
        raise NotHere("no address: no Wi-Fi, and COAP=host:port is not given")
    from check_board import on_target

    with on_target.serving(bench.line, bench.coap):
        argv = [sys.executable, "tools/conformance", "--servers", "board", "--no-clients"]
        if bench.topics:
            argv += ["--only", bench.topics]
        done = subprocess.run(
            argv, cwd=ROOT, env=on_target.environment(bench.coap), capture_output=True, text=True
        )
    found = on_target.counts(done.stdout)
    if done.returncode:
        raise Wrong(f"{found['passed']} of {sum(found.values())} checks", {**found})
    return f"{found['passed']} of {sum(found.values())} checks", {**found}


CHECKS: tuple[Callable[[Bench], Found], ...] = (
    identity, heap, imports, battery_input, sensors, pulls, portable_tests, watchdog, timer_wake,
    pin_wake, wifi, round_trips, conformance,
)  # fmt: skip
