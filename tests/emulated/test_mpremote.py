"""The real mpremote on the USB cable of an emulated Pico: deploy, config, recover."""

import subprocess

import pytest
from pico_client import PicoClient, making, run_make

from emulator.pseudo_terminal import PseudoTerminal
from host import deploy, device

BOARD = "PICO_EMU"
LINK_LIMIT_MS = 120_000
ANSWERS = "home\nsecret-password\nDE\nfront\ndoor\n"
KNOCKED_S = 3
DEPLOY_LIMIT_S = 1200  # it takes four minutes where nothing else runs
FROM_FILES = "import coap.node, startup; print(startup.__file__, coap.node.__file__)"
RECOVER_LIMIT_S = 240
DEAF = "import machine; machine.disable_irq()\nwhile True: pass"  # nothing but a reset helps
FILES = "import os; print(sorted(os.listdir()))"

pytestmark = pytest.mark.emulated


@pytest.fixture
def plugged(make_pico):
    """(Pico that runs in real time, device of its cable)"""
    pico = make_pico()
    pico.power()
    assert pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS)
    pico.set_realtime(True)
    with PseudoTerminal(pico.console) as terminal:
        yield pico, terminal.device


def mpremote(dev, source):
    return device.run([*device.mpremote(dev), "exec", source], capture=True).strip()


def boots(pico, count):
    return pico.run_until(lambda: len(pico.boots) == count, LINK_LIMIT_MS)


def test_what_is_deployed_goes_before_what_is_frozen(plugged, tmp_path, monkeypatch, capfd):
    pico, dev = plugged
    # The rest stays frozen: copying all takes minutes.
    chosen = ("config.py", "coap/link_format.py")
    modules = [module for module in deploy.sources() if str(module[0]) in chosen]
    monkeypatch.setattr(deploy, "sources", lambda: modules)
    deploy.deploy(device.find_board(BOARD), dev, stage=tmp_path)
    assert boots(pico, 2) and pico.boots[-1] == "software"
    found = mpremote(dev, "import board, config; print(board.__file__, config.__file__)")
    assert found == "board.mpy config.mpy"


def test_make_deploy_copies_everything_and_the_node_runs_from_it(plugged):
    pico, dev = plugged
    pico.link_up = False
    run_make("deploy", f"BOARD={BOARD}", f"DEV={dev}", limit_s=DEPLOY_LIMIT_S)
    assert boots(pico, 2) and pico.boots[-1] == "software"
    assert pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS)
    with PicoClient(pico) as client:
        client.wait_for("/s/contact", b"open")  # nothing is wired to its pin
    assert mpremote(dev, FROM_FILES) == "startup.mpy /lib/coap/node.mpy"


def test_settings_arrive_and_recovery_puts_them_aside(plugged):
    pico, dev = plugged
    assert "front is configured" in run_make("config", f"DEV={dev}", text=ANSWERS)
    assert boots(pico, 2)
    settings = mpremote(dev, "print(open('config.json').read())")
    assert '"name":"front"' in settings and '"app":"door"' in settings
    assert "secrets.json" in mpremote(dev, FILES)
    device.run([*device.mpremote(dev), "exec", "--no-follow", DEAF])
    with making("recover", f"DEV={dev}") as command:
        said = command.stdout.readline()
        while "Press the board's reset button now" not in said:
            assert said
            said = command.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(KNOCKED_S)  # in vain
        pico.reset()
        said = command.stdout.read()
        assert command.wait(RECOVER_LIMIT_S) == 0
    assert "recovered: config.json is now config.json.old" in said
    assert boots(pico, 4) and pico.boots[-2:] == ["button", "software"]
    files = mpremote(dev, FILES)
    assert "'config.json'" not in files and "'config.json.old'" in files
