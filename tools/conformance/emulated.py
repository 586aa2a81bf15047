"""The plugtest's resources on an emulated Pico: real firmware under the same checks.

    python tools/conformance --servers mote-pico --no-clients

MicroPython's UDP socket on lwIP holds one datagram, and these clients send none twice, so the
topics go one after the other here.
"""

import sys

import programs

import device
from emulator.pico import Pico
from launch.ask import get
from setup import firmware
from setup.console import Problem

HOST = "127.0.0.1"
START_LIMIT_MS = 30_000
ANSWER_LIMIT_MS = 5000
LINE_BAUD = 921_600
NODE = """
import board, gc, links, startup
from apps import plugtest
from config import Settings
node = plugtest.make_node(0, True)
plugtest.setup(node)
link = links.choose(board, "plugtest", "", print)
service = startup.make_service(node, link, None, Settings(), "plugtest", print)
startup.run(service, link, gc.mem_free)
"""


class PicoServer:
    """An emulated Pico in the place of a server process.

    Raises:
        Problem: what the firmware or the emulator needs is missing.
    """

    pico = None

    def start(self):
        """Start the node and let it run in real time."""
        try:
            image, *_ = firmware.build_from_debian(device.find_board("PICO_EMU"))
            self.pico = Pico(image, ppp_baud=LINE_BAUD)
            self.pico.power()
            self.pico.repl().start(NODE)
            self.pico.run_until(lambda: self.pico.link_up, START_LIMIT_MS)
            self.pico.set_realtime(True)
            self.port = self.pico.udp_port
            if not self.pico.run_until(self._answers, ANSWER_LIMIT_MS):
                said = self.pico.console.read().decode(errors="replace").split("\n")
                said = " ".join(line.strip() for line in said[-3:])
                raise Problem(f"the plugtest does not start on the Pico: {said}")
        except Problem as problem:
            self.stop()
            raise programs.Problem(str(problem)) from None

    def _answers(self):
        return get(HOST, self.port, "/test") is not None

    def stop(self):
        """End the emulator; a node that has ended says why."""
        if self.pico is not None:
            said = self.pico.console.read().decode(errors="replace")
            if "Traceback" in said:
                print(said[said.index("Traceback") :].replace("\r", ""), file=sys.stderr)
            self.pico.close()
