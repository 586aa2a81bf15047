"""Ten thousand mixed requests to real firmware: the heap stays where the first hundred left it."""

import re
import time

import pytest
from pico_client import LINK_LIMIT_MS, PicoClient, path_options

from emulator import run
from emulator.pico import Pico

pytestmark = pytest.mark.emulated
REQUESTS = 10_000
WARM = 100  # each client has sent each kind of request by then
CLIENTS = 10  # one alone may send 20 requests a second
BAUD = 2_000_000  # else the line, not the node, would take most of the time
HEAP_PIN = 2
SWEEPS = 5
LOGGED_MS = 20_000  # after which what went wrong at the start is in the log
TWO_BYTES = 256  # observers, after which the number of the next one has so many
# The user's own code beside the node: at an edge on a pin it collects garbage and prints the rest.
START = """
import gc, machine
def sweep(pin):
    gc.collect()
    print("swept:", gc.mem_free())
machine.Pin(2, machine.Pin.IN, machine.Pin.PULL_DOWN).irq(sweep, machine.Pin.IRQ_RISING)
import startup
startup.main()
"""
GET, DELETE = 1, 4
OK, NOT_FOUND, NOT_ALLOWED = 0x45, 0x84, 0x85
OBSERVER = b"ob"
CONTACT = b"\x51s\x07contact"  # Uri-Path after Observe
THIRD_BLOCK, FIRST_BLOCK = b"\xc1\x32", b"\xc1\x02"  # Block2 after Uri-Path, 64 bytes each
BEGIN, END = (GET, b"\x60" + CONTACT, OK), (GET, b"\x61\x01" + CONTACT, OK)  # observing
# (method, options, code of the response). For each length of a datagram the node keeps a view: 16
# bytes of heap, 24 lengths at most. So no length may be new after the first hundred: of /diag,
# which counts and so grows, there is the first block, and Observe has its second byte before.
KINDS = (
    (GET, path_options("/s/contact"), OK),
    (GET, path_options("/s/temp"), OK),
    (GET, path_options("/s/accel"), OK),
    (GET, path_options("/s/contact") + b"\x61\x32", OK),  # Accept: JSON
    (GET, path_options("/.well-known/core") + THIRD_BLOCK, OK),
    (GET, path_options("/diag") + FIRST_BLOCK, OK),
    (GET, path_options("/nowhere/at/all"), NOT_FOUND),
    (DELETE, path_options("/s/contact"), NOT_ALLOWED),
    BEGIN,
    END,
)


def test_the_heap_stays_over_ten_thousand_requests(image, record_property):
    with Pico(image, ppp_baud=BAUD) as pico:
        run.Wiring(pico)
        pico.pin(HEAP_PIN, 0)
        pico.power()
        pico.repl().start(START)
        assert pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS), pico.console.read()
        clients = [PicoClient(pico) for _ in range(CLIENTS)]
        try:
            clients[0].wait_for("/s/contact", b"closed")
            pico.run_ms(LOGGED_MS)
            for number in range(TWO_BYTES):
                for kind in BEGIN, END:
                    _request(clients[number % CLIENTS], *kind)
            for client in clients:
                client.get("/diag")  # returns its Echo, and is verified from now on
            _load(clients, range(WARM))
            warm_bytes = _heap_free(pico)
            began, began_ms = time.monotonic(), pico.now_ms
            _load(clients, range(WARM, REQUESTS))
            took_ms = (pico.now_ms - began_ms) / (REQUESTS - WARM)
            end_bytes = _heap_free(pico)
            diag = clients[0].get("/diag").decode()
        finally:
            for client in clients:
                client.__exit__()
        print(
            f"{REQUESTS:,} requests, {took_ms:.1f} ms of its time each, "
            f"{time.monotonic() - began:.0f} s here; "
            f"heap free {warm_bytes:,} bytes, then {end_bytes:,}"
        )
        record_property("heap_free", end_bytes)
        assert pico.boots == ["power"] and not pico.troubles
        for fault in (
            "malformed",
            "handler_errors",
            "out_of_memory",
            "rate_limited",
            "send_errors",
        ):
            assert f"\n{fault}: 0\n" in diag
        assert end_bytes == warm_bytes


def _load(clients, numbers):
    for number in numbers:
        _request(clients[number // len(KINDS) % CLIENTS], *KINDS[number % len(KINDS)])


def _request(client, method, options, code):
    response = client.request(method, options, OBSERVER)
    assert response[1] == code, (method, options, response)


def _heap_free(pico):
    """The heap that is free after a collection, without what a function has in hand just then."""
    return max(_swept(pico) for _ in range(SWEEPS))


def _swept(pico):
    pico.console.read()
    pico.pin(HEAP_PIN, 1)
    said = b""
    while b"swept" not in said:
        said = pico.console.read_until(b"\n", 2000)
    pico.pin(HEAP_PIN, 0)
    pico.run_ms(7)
    return int(re.search(rb"swept: (\d+)", said)[1])
