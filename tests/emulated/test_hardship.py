"""Resets, losses of power and a loop that hangs, on the emulated Pico."""

import json
import re

import pytest
from pico_client import (
    LINK_LIMIT_MS,
    PicoClient,
    await_node,
    path_options,
    power_cycle,
    run_make,
)

from emulator import run
from emulator.pseudo_terminal import PseudoTerminal

pytestmark = pytest.mark.emulated
GET = 1
NOT_FOUND = 0x84
WATCHDOG_MS = 8000
HANGS_AFTER_MS = 20_000
RESTARTED = b"Mote starts in"
# CoAP beside the console, as `SLIPMUX = "console"` in board.py has it.
ON_THE_CONSOLE = "import board, startup; board.SLIPMUX = 'console'; startup.main()"
# Settings of its own: without them a node is in safe mode and has no watchdog. Beside the node is
# the user's timer, with a callback that never ends.
HANG = """
import config, machine, startup
settings = config.Settings("config.json")
settings.update({"name": "attic"})
settings.save()
def hang(timer):
    print("hanging")
    while True:
        pass
beside = machine.Timer(mode=machine.Timer.ONE_SHOT, period=%d, callback=hang)
startup.main()
"""
CONFIGURED = """
import config
settings = config.Settings("config.json")
settings.update({"name": "attic"})
settings.save()
"""
CANNOT_SLEEP = """
import config
settings = config.Settings("config.json")
settings.update({"power": "battery", "app": "door", "gateway": "coap://192.0.2.1"})
settings.save()
config.save_secrets("secrets.json", {"ssid": "attic"})
"""
CALM_MS = 10_000  # longer than a reset is a fast one


@pytest.fixture
def pico(make_pico, tmp_path):
    """A Pico with its sensors, on, whose flash memory is a file."""
    pico = make_pico(flash=tmp_path / "flash.bin")
    run.Wiring(pico)
    pico.power()
    return pico


def test_settings_by_slipmux_survive_a_reset_and_a_loss_of_power(pico):
    pico.repl().start(ON_THE_CONSOLE)
    with PicoClient(pico) as client:
        await_node(pico)
        assert client.request(GET, path_options("/s/hr"))[1] != NOT_FOUND
        pico.set_realtime(True)
        with PseudoTerminal(pico.console) as terminal:
            printed = run_make("config", f"DEV={terminal.device}", text="attic\ndoor\n")
        assert "attic is configured; another application begins at its next start" in printed
        pico.set_realtime(False)
        for restart in (pico.reset, lambda: power_cycle(pico)):
            pico.console.read()
            pico.link_up = False
            restart()
            await_node(pico)
            said = pico.console.read()
            assert RESTARTED in said and b"safe mode:" not in said
            settings = json.loads(client.get("/config"))
            assert (settings["name"], settings["app"]) == ("attic", "door")
            assert client.request(GET, path_options("/s/hr"))[1] == NOT_FOUND


def test_three_fast_resets_are_safe_mode(pico):
    pico.repl().exec(CONFIGURED)
    for resets in (2, 3):
        for _ in range(resets):
            pico.console.read()
            pico.link_up = False
            pico.reset()
            pico.console.read_until(RESTARTED, LINK_LIMIT_MS)
        await_node(pico)
        said = pico.console.read()
        assert (b"safe mode: 3 fast resets" in said) == (resets == 3), said
        pico.run_ms(CALM_MS)


def test_door_events_can_be_read(pico):
    with PicoClient(pico) as client:
        await_node(pico)
        for level in (1, 0, 1):
            pico.pin(run.load_board().REED_PIN, level)
            pico.run_ms(2000)
        events = json.loads(client.get("/s/contact/events"))
    values = {record["n"]: record for record in events}
    assert values["contact_n"]["v"] == 3 and values["lost"]["v"] == 0
    edges = [values[f"contact/{number}"] for number in (1, 2, 3)]
    assert [record["vb"] for record in edges] == [True, False, True]
    for record, age_s in zip(edges, (6, 4, 2), strict=True):  # both clocks count whole seconds
        assert abs(record["t"] + age_s) <= 1


def test_the_watchdog_resets_only_after_the_loop_hangs(pico):
    pico.repl().start(HANG % HANGS_AFTER_MS)
    with PicoClient(pico) as client:
        await_node(pico)
        boots = list(pico.boots)
        said = pico.console.read_until(b"hanging", HANGS_AFTER_MS + 1000)
        assert b"safe mode:" not in said
        assert pico.boots == boots  # it was fed for longer than it waits
        hung_ms = pico.now_ms
        pico.link_up = False
        assert pico.run_until(lambda: len(pico.boots) > len(boots), 2 * WATCHDOG_MS)
        assert pico.boots[len(boots) :] == ["watchdog"]
        # It counts from when it was last fed: within a step of the loop, a quarter of a second.
        assert WATCHDOG_MS - 300 <= pico.now_ms - hung_ms <= WATCHDOG_MS + 20
        await_node(pico)
        assert re.search(rb"reset: watchdog\n", client.get("/diag"))


def test_settings_that_the_board_cannot_do_are_safe_mode(pico):
    pico.repl().exec(CANNOT_SLEEP)
    pico.console.read()
    pico.link_up = False
    pico.reset()
    await_node(pico)
    said = pico.console.read()
    assert b"safe mode: power: this board has no Wi-Fi" in said
    pico.run_ms(CALM_MS)
    assert pico.boots[-1] != "watchdog" and RESTARTED not in pico.console.read()
