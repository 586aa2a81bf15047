"""The bridge from UDP to a serial line, piece by piece; `make config` for a node that runs."""

import contextlib
import io
import json
import os
import pty
import select
import socket
import subprocess
import sys
import tty
from pathlib import Path

import pytest
from running import LIMIT_S, running, wait_until

from coap.numbers import ACK, CON, CONTENT, GET, NON, POST, RST
from host import serial_port, slipmux_bridge
from host.device import Problem
from support.engine import decode, encode, uint

ROOT = Path(__file__).resolve().parents[2]
TOOL = (sys.executable, "tools/host", "slipmux")
CONFIGURE = (sys.executable, "tools/host", "configure", "--dev")
PASSWORD = "correct horse battery"
ONE, OTHER = ("127.0.0.1", 40001), ("127.0.0.1", 40002)


# Numbers for the clients' MIDs and tokens


def test_a_key_keeps_its_number_and_others_get_others():
    table = slipmux_bridge.NumberTable(1 << 16)
    numbers = [table.number(i, 0) for i in range(1000)]
    assert len(set(numbers)) == 1000
    assert [table.number(i, 9999) for i in range(1000)] == numbers
    assert [table.key(number) for number in numbers] == list(range(1000))


def test_a_key_gets_a_new_number_after_its_lifetime():
    table = slipmux_bridge.NumberTable(1 << 16, lifetime_s=247)
    number = table.number("a", 0)
    assert table.number("a", 247) == number
    assert table.number("a", 248) != number
    assert table.key(number) is None


def test_a_full_table_evicts_what_was_used_longest_ago(monkeypatch):
    monkeypatch.setattr(slipmux_bridge, "TABLE_ENTRIES", 3)
    table = slipmux_bridge.NumberTable(4)
    a, b, c = (table.number(key, 0) for key in "abc")
    assert table.key(a) == "a"  # a notification came: it is in use
    table.number("d", 0)
    assert [table.key(number) for number in (a, c)] == ["a", "c"]
    assert table.key(b) != "b"


# Messages


class Bench:
    """A bridge, what its clients got, and a clock that stands."""

    def __init__(self):
        self.got = []
        self.now_s = 0
        self.bridge = slipmux_bridge.Bridge(self.send, lambda: self.now_s)

    def send(self, data, address):
        self.got.append((decode(data), address))

    def up(self, address, *message):
        """A client's message as the node gets it."""
        return decode(self.bridge.to_line(encode(*message), address))

    def down(self, *message):
        """What the line gets for a message of the node at once, None for nothing."""
        data = encode(*message)
        n = self.bridge.datagram(data, len(data), None, 0)
        return decode(self.bridge.tx_view(n)) if n else None


def test_two_clients_with_the_same_numbers():
    bench = Bench()
    first = bench.up(ONE, CON, GET, 5, b"t", [(11, b"a")])
    second = bench.up(OTHER, CON, GET, 5, b"t", [(11, b"a")])
    assert first.mid != second.mid and first.token != second.token
    assert first.options == second.options == [(11, b"a")]
    bench.down(ACK, CONTENT, second.mid, second.token, (), b"2")
    bench.down(ACK, CONTENT, first.mid, first.token, (), b"1")
    answers = [(got.mid, got.token, got.payload, to) for got, to in bench.got]
    assert answers == [(5, b"t", b"2", OTHER), (5, b"t", b"1", ONE)]


def test_a_repeat_is_the_same_message_until_its_lifetime_is_over():
    bench = Bench()
    message = (CON, POST, 5, b"t")
    first = bench.up(ONE, *message)
    assert bench.up(ONE, *message).mid == first.mid
    bench.now_s = 300
    assert bench.up(ONE, *message).mid != first.mid


@pytest.mark.parametrize("token", [b"", b"t", b"12345678"])
def test_tokens_of_all_lengths_come_back(token):
    bench = Bench()
    asked = bench.up(ONE, NON, GET, 5, token)
    assert len(asked.token) == slipmux_bridge.TOKEN_BYTES
    bench.down(NON, CONTENT, 900, asked.token, [(6, uint(7))], b"x")
    got, to = bench.got[0]
    assert (got.mid, got.token, got.uint(6), got.payload, to) == (900, token, 7, b"x", ONE)


def test_acknowledgements_of_a_client_keep_the_numbers_of_the_node():
    bench = Bench()
    for kind in (ACK, RST):
        passed = bench.up(ONE, kind, 0, 901)
        assert (passed.kind, passed.mid) == (kind, 901)


def test_a_ping_and_its_reset():
    bench = Bench()
    ping = bench.up(ONE, CON, 0, 5)
    assert ping.code == 0 and ping.token == b""
    bench.down(RST, 0, ping.mid)
    assert (bench.got[0][0].kind, bench.got[0][0].mid) == (RST, 5)


def test_what_nobody_asked_for_is_reset():
    bench = Bench()
    for message in ((CON, CONTENT, 7, b"none"), (NON, CONTENT, 7, b"none"), (CON, GET, 7, b"t")):
        answer = bench.down(*message)
        assert (answer.kind, answer.mid) == (RST, 7)
    assert bench.down(ACK, CONTENT, 7, b"none") is None
    assert bench.got == []


@pytest.mark.parametrize("data", [b"", b"\x40\x01\x02", b"\x00\x01\x02\x03", b"\x44\x01\0\0t"])
def test_what_is_no_message_does_not_reach_the_line(data):
    bench = Bench()
    assert bench.bridge.to_line(data, ONE) is None
    assert bench.bridge.datagram(data, len(data), None, 0) == 0
    assert [got.kind for got, _ in bench.got] == ([RST] if data[:1] == b"\x44" else [])


def test_the_terminal_is_not_steered():
    output = io.StringIO()
    terminal = slipmux_bridge.Terminal(output)
    for part in (b"21 \xc2", b"\xb0C\r\n\x1b[2J", b"\xff\n"):
        terminal.show(part)
    assert output.getvalue() == "21 °C\n?[2J\ufffd\n"


# The program


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["/dev/tty-none"], "cannot open /dev/tty-none (No such file or directory): plug"),
        (["/dev/null"], "cannot open /dev/null (it is no serial line): plug"),
        (["/dev/null", "--baud", "-5"], "(50 to 12000000)"),
        (["/dev/null", "--baud", "fast"], "(50 to 12000000)"),
        (["tcp://127.0.0.1"], "tcp://host:port"),
        (["tcp://127.0.0.1:1"], "start what listens there"),
        (["/dev/null", "--port", "70000"], "PORT=70000 is no UDP port: it must be 0 to 65535"),
        (["/dev/null", "--port", "ttyUSB0"], "DEV=ttyUSB0"),
        (["5683"], "DEV="),
    ],
)
def test_what_is_wrong_is_one_line(arguments, names):
    done = subprocess.run(
        [*TOOL, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and names in done.stderr


def test_a_line_that_another_program_uses_is_named_so():
    near, far = pty.openpty()
    device = os.ttyname(far)
    expected = pytest.raises(Problem, match=r"\(another program uses it\)")
    with open(near, "rb"), open(far, "rb"), serial_port.open_port(device), expected:
        serial_port.open_port(device)


def test_a_port_in_use_is_one_line():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = str(sock.getsockname()[1])
        done = subprocess.run(
            [*TOOL, "/dev/null", "--port", port], cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 2 and "PORT=" in done.stderr and done.stderr.count("\n") == 1


def test_over_tcp_until_the_line_ends():
    server = socket.create_server(("127.0.0.1", 0))
    device = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    with running([*TOOL, device, "--port", "0"]) as bridge:
        line, _ = server.accept()
        port = int(bridge.line("ready").split(" over ")[0].rpartition(":")[2])
        line.sendall(b"boot\xc0\x0ahello\n\xc0")
        bridge.line("boothello")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"\x40\x00\x00\x01", ("127.0.0.1", port))
        frame = line.recv(64)
        assert frame[:4] == b"\xc0\xa9\x40\x00" and frame[-1:] == b"\xc0"
        line.close()
        assert bridge.end() == 2
        assert bridge.errors == [
            f"{device} is gone: plug the board in again and restart the bridge"
        ]
    server.close()


# make config, for a node that runs


@contextlib.contextmanager
def node_that_runs(folder, pytestconfig, *arguments):
    """A node's console: the name of its line, and its process."""
    micropython = pytestconfig.pluginmanager.get_plugin("portable").targets[0].command
    paths = ":".join(str(ROOT / path) for path in ("lib", "firmware", "tools/simulator"))
    line, far = pty.openpty()
    tty.setraw(far)
    process = subprocess.Popen(
        [micropython, Path(__file__).with_name("console_node.py"), *arguments],
        cwd=folder,
        stdin=line,
        stdout=line,
        env={**os.environ, "MICROPYPATH": f"{paths}:.frozen"},
        start_new_session=True,
    )
    try:
        said = b""
        while b"ready" not in said:
            assert select.select([far], [], [], LIMIT_S)[0], f"the node says no more than {said}"
            said += os.read(far, 1000)
        yield os.ttyname(far), process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        os.close(far)
        os.close(line)


def configured(device, answers):
    return subprocess.run(
        [*CONFIGURE, device], cwd=ROOT, input=answers, capture_output=True, text=True, timeout=120
    )


def test_a_node_that_runs_gets_its_wifi_access(tmp_path, pytestconfig):
    (tmp_path / "config.json").write_text('{"heartbeat_s": 60}')
    with node_that_runs(tmp_path, pytestconfig, "wifi") as (device, process):
        done = configured(device, f"attic\n{PASSWORD}\nde\nback door\ndoor\n")
        assert done.returncode == 0, done.stderr
        assert wait_until(lambda: process.poll() is not None)  # it starts anew
    assert json.loads((tmp_path / "secrets.json").read_text()) == {
        "ssid": "attic",
        "password": PASSWORD,
        "country": "DE",
    }
    settings = json.loads((tmp_path / "config.json").read_text())
    assert (settings["name"], settings["app"], settings["heartbeat_s"]) == (
        "back door",
        "door",
        60,
    )
    assert PASSWORD not in done.stdout + done.stderr
    assert "mpremote" not in done.stdout


def test_a_node_without_wifi_is_asked_for_none(tmp_path, pytestconfig):
    with node_that_runs(tmp_path, pytestconfig) as (device, process):
        done = configured(device, "shed\n\n")
        assert done.returncode == 0, done.stderr
        assert "SSID" not in done.stdout
        assert process.poll() is None
    assert json.loads((tmp_path / "config.json").read_text())["name"] == "shed"
    assert not (tmp_path / "secrets.json").exists()


def test_a_wrong_answer_is_named_and_the_node_keeps_what_it_has(tmp_path, pytestconfig):
    with node_that_runs(tmp_path, pytestconfig, "wifi") as (device, process):
        done = configured(device, "attic\nshort\n")
        assert done.returncode == 2
        assert done.stderr.startswith("password: ") and done.stderr.count("\n") == 1
        assert process.poll() is None
    assert list(tmp_path.iterdir()) == []


def test_nobody_on_the_line(monkeypatch):
    monkeypatch.setattr(serial_port, "PING_LIMIT_S", 0.05)
    line, far = pty.openpty()
    tty.setraw(far)
    try:
        assert serial_port.find_node(os.ttyname(far)) is None
        # a REPL heard it: nothing in it is a command for one
        heard = os.read(line, 1000)
        assert heard.count(b"\xa9") == serial_port.PINGS
        assert not set(heard) & (set(range(1, 32)) | {127})
    finally:
        os.close(line)
        os.close(far)
    assert serial_port.find_node("/dev/tty-none") is None


def test_a_node_that_falls_silent_is_one_line(monkeypatch):
    monkeypatch.setattr(serial_port, "RESPONSE_LIMIT_S", 0.1)
    line, far = pty.openpty()
    tty.setraw(far)
    try:
        with serial_port.SerialNode(os.ttyname(far)) as node:
            with pytest.raises(Problem, match="does not respond any more"):
                node.request(GET, "config")
    finally:
        os.close(line)
        os.close(far)
