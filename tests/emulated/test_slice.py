"""What every run of the tests does with real firmware: from power-on to responses."""

import re
import time

from pico_client import LINK_LIMIT_MS, PicoClient

FIRST_GET_LIMIT_MS = 7000
LEAST_HEAP_BYTES = 110_000
REGISTER = b"\x60\x51s\x07contact"
CONTACT = {0: b"closed", 1: b"open"}


def test_from_power_on_to_the_first_response(wired, record_property):
    began = time.monotonic()
    wired.power()
    assert wired.run_until(lambda: wired.link_up, LINK_LIMIT_MS), wired.console.read()
    link_ms = wired.now_ms
    with PicoClient(wired) as client:
        client.wait_for("/s/contact", b"closed")
        first_ms, wall_s = wired.now_ms, time.monotonic() - began
        heap = int(re.search(rb"heap_free: (\d+) B", client.get("/diag"))[1])
    took = f"link after {link_ms:.0f} ms, response after {first_ms:.0f} ms of its time"
    print(f"{took}, {wall_s:.1f} s here; {heap:,} bytes of heap free")
    record_property("first_get_ms", round(first_ms))
    record_property("heap_free", heap)
    assert first_ms < FIRST_GET_LIMIT_MS
    assert heap > LEAST_HEAP_BYTES


def test_an_observer_hears_of_each_edge(wired):
    with PicoClient(wired) as client:
        response = client.request(1, REGISTER)
        assert response[1] == 0x45 and response.endswith(b"\xffclosed")
        for level in (1, 0, 1):
            wired.pin(14, level)
            notification = client.receive(3000)
            assert notification[4:6] == response[4:6] and notification.endswith(
                b"\xff" + CONTACT[level]
            )
            if notification[0] >> 4 & 3 == 0:  # a CON wants its ACK
                client.send(b"\x60\x00" + notification[2:4])


def test_a_sensor_on_i2c(wired):
    with PicoClient(wired) as client:
        client.wait_for("/s/temp", b"36.60")
        wired.wiring.command("temp 38.5")
        client.wait_for("/s/temp", b"38.50")
