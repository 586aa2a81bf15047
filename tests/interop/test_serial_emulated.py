"""A node on the serial line of an emulated machine, asked by libcoap through the bridge."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import libcoapclient
import pytest
from processes import HOST, ROOT, free_port, running

from emulator.pico import Pico
from host import device
from setup import firmware, qemu

pytestmark = pytest.mark.emulated

TYPED = 32  # bytes at a time: the receiver of the first UART is a short queue
PAUSE_S = 0.004
START_S = 20


@contextlib.contextmanager
def bridge_to(dev):
    """The bridge, once the node behind it answers."""
    port = free_port()
    command = [sys.executable, ROOT / "tools" / "host", "slipmux", dev, "--port", port]
    with running(f"bridge to {dev}", command, port) as bridge:
        yield bridge


def test_the_second_uart_of_a_cortex_m3():
    machine = qemu.MACHINES["MPS2_AN385"]
    port = free_port(socket.SOCK_STREAM)
    line = ("-serial", f"tcp:{HOST}:{port},server=on,wait=off")
    process = subprocess.Popen(
        machine.command(qemu.build(machine), *line),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )

    def type_in(text):
        for at in range(0, len(text), TYPED):
            process.stdin.write(text[at : at + TYPED])
            process.stdin.flush()
            time.sleep(PAUSE_S)

    try:
        time.sleep(0.5)
        type_in(b"\r\x03\x01")
        type_in(Path(__file__).with_name("qemu_node.py").read_bytes() + b"\x04")
        with bridge_to(f"tcp://{HOST}:{port}") as bridge:
            url = f"coap://{HOST}:{bridge.port}"
            assert libcoapclient.request(f"{url}/all").payload == bytes(range(256))
            echoed = libcoapclient.request(f"{url}/echo", "post", payload="back")
            assert echoed.payload == b"back"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


class Wire:
    """Carries a stream of an emulated Pico over a TCP connection, which the bridge opens."""

    def __init__(self, stream):
        self.stream = stream
        self.server = socket.create_server((HOST, 0))
        self.dev = f"tcp://{HOST}:{self.server.getsockname()[1]}"
        self.open = True
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def _carry(self):
        connection, _ = self.server.accept()
        connection.settimeout(0.01)
        carried = len(self.stream.received)
        with connection:
            while self.open:
                with contextlib.suppress(TimeoutError):
                    data = connection.recv(4096)
                    if not data:
                        return
                    self.stream.write(data)
                end = len(self.stream.received)
                connection.sendall(bytes(self.stream.received[carried:end]))
                carried = end

    def close(self):
        self.open = False
        self.thread.join(5)
        self.server.close()


@pytest.fixture(scope="module")
def image():
    """The firmware of a Pico without radio."""
    files = firmware.build_from_debian(device.find_board("RPI_PICO"))
    return next(file for file in files if file.suffix == ".bin")


@pytest.mark.parametrize("where", ["uart", "console"])
def test_a_plain_pico(image, where):
    with Pico(image, realtime=True, ppp_uart=None) as pico:
        stream = pico.console
        pico.power()
        if where == "uart":
            stream = pico.uart(0)
        else:
            repl = pico.repl()
            repl.start("import board, startup; board.SLIPMUX = 'console'; startup.main()")
        assert pico.run_until(
            lambda: b"CoAP: on the serial line" in stream.received, START_S * 1000
        )
        wire = Wire(stream)
        try:
            with bridge_to(wire.dev) as bridge:
                url = f"coap://{HOST}:{bridge.port}"
                assert libcoapclient.request(f"{url}/s/contact").payload == b"open"
                links = libcoapclient.request(f"{url}/.well-known/core")  # in blocks
                assert b"</s/contact>" in links.payload and b"/wifi" not in links.payload
                body = '{"name":"shed"}'
                put = libcoapclient.request(f"{url}/config", "put", body, content_format=50)
                assert put.response.code == "2.04"
                assert b'"shed"' in libcoapclient.request(f"{url}/config").payload
        finally:
            wire.close()
        if where == "console":
            pico.console.write(b"\r\x03")
            assert pico.run_until(lambda: b"KeyboardInterrupt" in pico.console.received, 5000)
