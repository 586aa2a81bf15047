# A node on the second UART of QEMU's MPS2 board, whose machine code is that of a Cortex-M3. Typed
# into the REPL on the first UART by test_serial_emulated.py. The port has no select, and its
# os no random numbers: what takes their place comes first.
import sys

import umachine  # the frozen `machine` is a simulated one

UART1 = 0x40005000  # CMSDK: DATA, STATE, CTRL, -, BAUDDIV
registers = umachine.mem32
registers[UART1 + 16] = 16
registers[UART1 + 8] = 3  # transmit and receive


class Uart:
    def ready(self):
        return registers[UART1 + 4] & 2

    def readinto(self, buf):
        n = 0
        while n < len(buf) and registers[UART1 + 4] & 2:
            buf[n] = registers[UART1] & 255
            n += 1
        return n or None

    def write(self, data):
        for byte in data:
            while registers[UART1 + 4] & 1:
                pass
            registers[UART1] = byte
        return len(data)


class Poll:
    def __init__(self):
        self.streams = []

    def register(self, stream, _events):
        self.streams.append(stream)

    def ipoll(self, _wait_ms):
        for stream in self.streams:
            if stream.ready():
                return ((stream, 1),)
        return ()


class Module:
    poll = Poll
    urandom = bytes


sys.modules["select"] = sys.modules["os"] = Module

from coap.link_format import WellKnownCore  # noqa: E402
from coap.node import Node  # noqa: E402
from coap.transports.slipmux import Slipmux  # noqa: E402

node = Node(WellKnownCore())
node.get("all")(lambda request, reply: bytes(range(256)))
node.post("echo")(lambda request, reply: request.payload_bytes())
line = Slipmux(node, Uart(), waits=False)
line.say("at your service")
while True:
    line.step(0)
