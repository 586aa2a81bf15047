"""The plugtest's resources on an emulated Pico: real firmware under the same checks.

    python tools/conformance --servers mote-pico,mote-pico-oscore --no-clients

Time is the Pico's own, see clocks.py.
"""

import sys

import programs
from client import Client, Failed
from clocks import OfPico

from emulator.pico import Pico
from host import device
from setup import firmware
from setup.console import Problem

HOST = "127.0.0.1"
START_LIMIT_MS = 30_000
OPEN_MS = 1000  # the port is open so long after the link is up
LINE_BAUD = 921_600
NODE = """
import board, gc, keys, links, startup
from apps import plugtest
from config import Settings
node = plugtest.make_node(0, True, {})
plugtest.setup(node)
link = links.choose(board, "plugtest", "", print)
service = startup.make_service(node, link, None, Settings(), "plugtest", print)
startup.run(service, link, gc.mem_free)
"""


class PicoServer:
    """An emulated Pico in the place of a server process. `clock`: by which its time passes.

    keys: the file of its keys, None for a node that is open.

    Raises:
        Problem: what the firmware or the emulator needs is missing, or the node does not start.
    """

    pico = None

    def __init__(self, keys=None):
        self.keys = keys

    def start(self):
        """Start the node."""
        try:
            image, *_ = firmware.build_from_debian(device.find_board("PICO_EMU"))
            self.pico = Pico(image, ppp_baud=LINE_BAUD)
            self.clock = OfPico(self.pico)
            self.pico.power()
            python = self.pico.repl()
            if self.keys is not None:
                written = self.keys.read_text()
                python.exec(f"f = open('oscore.json', 'w'); f.write({written!r}); f.close()")
            python.start(NODE.format("()" if self.keys is None else "keys.features()"))
            self.pico.run_until(lambda: self.pico.link_up, START_LIMIT_MS)
            self.port = self.pico.udp_port
            self._ask()
        except Problem as problem:
            self.stop()
            raise programs.Problem(str(problem)) from None

    def _ask(self):
        self.pico.run_ms(OPEN_MS)
        client = Client((HOST, self.port), self.clock)
        try:
            client.ask("GET", "test")
        except Failed:
            said = self.pico.console.read().decode(errors="replace").split("\n")
            said = " ".join(line.strip() for line in said[-3:])
            raise Problem(f"the plugtest does not start on the Pico: {said}") from None
        finally:
            client.close()

    def stop(self):
        """End the emulator; a node that has ended says why."""
        if self.pico is not None:
            said = self.pico.console.read().decode(errors="replace")
            if "Traceback" in said:
                print(said[said.index("Traceback") :].replace("\r", ""), file=sys.stderr)
            self.pico.close()
