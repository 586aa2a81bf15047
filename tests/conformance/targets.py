"""The servers under test: how each is started, and where it has the plugtest's resources.

A name that a server lacks leaves out the checks that need it. `obs-delete` and `obs-format` stand
for what /obs can do, `obs-clock` for one that changes by itself, `obs-abandoned` for one that no
other check changes, `location` for what a POST to /test does, `get-only` for a resource without
POST, `large-sz` for a size among the links, `problem` for problem details, `group` for the group
that it is a member of.
"""

import os
import sys
import tempfile
import threading
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from processes import HOST, ROOT, free_port, program, running, simulated

from coap.numbers import CONTENT_FORMAT
from conformance.client import Client, Failed, block
from conformance.clocks import OfPico, Wall
from conformance.oscore_client import Keys
from emulator.pico import Pico
from fold import counterpart
from host import device
from keys import folder as key_folder
from keys import make as make_keys
from setup import firmware
from setup.console import Problem

TOOL = ROOT / "tools" / "conformance"
GROUP = "224.0.1.187"
PLUGTEST = (
    *("test", "seg1/seg2/seg3", "query", "separate", "validate", "create1", "location-query"),
    *("multi-format", "large", "large-update", "large-create", "large-post", "obs", "obs-non"),
    *("obs-large", "obs-pumping", "link1", "link2", "link3", "path", "counter", "store", "fetch"),
    "echo-required",
)
SPECIAL = {
    "obs-clock": "obs",
    "obs-delete": "obs",
    "obs-format": "obs",
    "obs-abandoned": "obs-large",
    "large-sz": "large",
    "problem": "",
    "get-only": "seg1/seg2/seg3",
    "location": "test",
}
NODE = {name: name for name in PLUGTEST} | SPECIAL
NOT_IN_AIOCOAP = ["obs-non", "obs-pumping", "path", "store", "echo-required", "problem"]
AIOCOAP = {name: path for name, path in NODE.items() if name not in NOT_IN_AIOCOAP}
LIBCOAP = {
    "test": "test",
    "seg1/seg2/seg3": "seg1/seg2/seg3",
    "query": "time",
    "separate": "async?2",
    "create1": "create1",
    "large": "large",
    "large-update": "example_data",
    "obs": "obs",
    "obs-clock": "time",
    "obs-abandoned": "time",
    "obs-delete": "obs",
    "obs-format": "obs",
    "store": "store",
    "get-only": "",
}
LIBCOAP_CONTENTS = {
    "test": b"This is /test",
    "seg1/seg2/seg3": b"three segments",
    "obs": b"0",
    "large": b"The quick brown fox jumps over the lazy dog.\n" * 60,
    "example_data": b"put here",
}
FILL_S = 30  # for a response of a server that has just started, on a busy computer
_OUTSIDE = "it is about what is outside of OSCORE"
# Topics and checks that do not apply under OSCORE.
OUTSIDE_OSCORE = {
    "hostile": _OUTSIDE,
    "options.host_lengths": _OUTSIDE,
    "options.proxy": _OUTSIDE,
    "extensions.no_keys": _OUTSIDE,
    "group": "OSCORE is between two",
}
# On the emulated Pico.
NO_GROUP = {"group": "there is no multicast on its PPP link"}
START_LIMIT_MS = 30_000
OPEN_MS = 1000  # the port is open so long after the link is up
LINE_BAUD = 921_600
PIECE_BYTES = 1024
PICO_NODE = """
import board, credentials, gc, links, node_app, startup
from config import Settings
node = node_app.make_node(0, True, {})
node_app.setup(node)
link = links.choose(board, "plugtest", "", print)
service = startup.make_service(node, link, None, Settings(), "plugtest", print)
startup.run(service, link, gc.mem_free)
"""


class Target:
    """A server under test; `serve(target)` is a context in which it runs and has an `address`.

    is_ours: its failures are failures of the project; one_by_one: no two checks of it run at the
    same time; lacks: names that it cannot have, or topics and checks that do not apply to it, and
    why; clock: by which its time passes; make_client: its client, by address and clock.
    """

    clock = Wall
    make_client = Client
    address = None

    def __init__(self, name, serve, paths, is_ours=False, one_by_one=False, lacks=()):
        self.name = name
        self.serve = serve
        self.paths = paths
        self.is_ours = is_ours
        self.one_by_one = one_by_one
        self.lacks = dict(lacks)
        self.locks = defaultdict(threading.Lock)
        self.held = ExitStack()

    def __repr__(self):
        return self.name

    def start(self):
        """Start the server."""
        self.held.enter_context(self.serve(self))

    def stop(self):
        """End the server."""
        self.held.close()


def mote(interpreter, *arguments):
    """Return what runs a simulated node."""

    @contextmanager
    def serve(target):
        group = ["--group", GROUP, "--iface", HOST]
        with simulated(interpreter, "plugtest", *group, *arguments) as process:
            target.address = HOST, process.port
            yield

    return serve


@contextmanager
def with_keys(target):
    """Make keys; give the clients theirs and yield the file of the server's."""
    with tempfile.TemporaryDirectory() as folder:
        made = make_keys.make("node", keys=Path(folder, "keys"))
        keys = Keys(next(made.glob(key_folder.GATEWAY + "*")))
        target.make_client = keys.client
        try:
            yield made / key_folder.NODE_FILE
        finally:
            keys.close()


@contextmanager
def mote_oscore(target):
    """Run a simulated node with keys."""
    with with_keys(target) as file, mote("micropython", "--oscore", file)(target):
        yield


@contextmanager
def pico(target, keys=None):
    """Run the plugtest's resources on an emulated Pico, in its time."""
    image, *_ = firmware.build_from_debian(device.find_board("PICO_EMU"))
    with Pico(image, ppp_baud=LINE_BAUD) as emulated:
        emulated.power()
        python = emulated.repl()
        copy_node_app(python)
        if keys is not None:
            for file in (keys, keys.with_name(key_folder.NUMBERS)):
                write_file(python, file.name, file.read_bytes())
        python.start(PICO_NODE.format("()" if keys is None else "credentials.features()"))
        emulated.run_until(lambda: emulated.link_up, START_LIMIT_MS)
        emulated.run_ms(OPEN_MS)
        target.clock = OfPico(emulated)
        target.address = HOST, emulated.udp_port
        ask_once(target, emulated)
        yield
        said = emulated.console.read().decode(errors="replace")
        if "Traceback" in said:
            pytest.fail(said[said.index("Traceback") :].replace("\r", ""))


def ask_once(target, emulated):
    """Check that the node on a Pico responds; say what its console says otherwise."""
    client = Client(target.address, target.clock)
    try:
        client.ask("GET", "test")
    except Failed:
        said = emulated.console.read().decode(errors="replace")
        raise Problem(f"the plugtest does not start on the Pico: {said}") from None
    finally:
        client.close()


def copy_node_app(python):
    """Copy the conformance application, which no firmware has, to the Pico's flash."""
    python.exec("import os; os.mkdir('node_app')")
    for file in sorted(counterpart(TOOL / "node_app").glob("*.py")):
        write_file(python, f"node_app/{file.name}", file.read_bytes())


def write_file(python, path, data):
    """Write a file on the Pico."""
    python.exec(f"f = open({path!r}, 'wb')")
    for at in range(0, len(data), PIECE_BYTES):
        python.exec(f"f.write({data[at : at + PIECE_BYTES]!r})")
    python.exec("f.close()")


@contextmanager
def board(target):
    """Use the conformance application that `make check-board` runs on a board."""
    host, _, port = os.environ["CHECK_BOARD_COAP"].rpartition(":")
    target.address = host, int(port)
    yield


@contextmanager
def pico_oscore(target):
    """Run them there under OSCORE."""
    with with_keys(target) as file, pico(target, file):
        yield


@contextmanager
def aiocoap(target):
    """Run aiocoap's server with the plugtest's resources."""
    port = free_port()
    command = [sys.executable, TOOL / "aiocoap_server.py", HOST, port]
    with running("aiocoap's server", command, port):
        target.address = HOST, port
        yield


@contextmanager
def libcoap(target):
    """Run libcoap's server, and put into it what it has not."""
    port = free_port()
    server = program("coap-server-notls", "coap-server", package="libcoap3-bin")
    command = [server, "-A", HOST, "-v", "0", "-d", "100", "-p", port]
    with running("libcoap's server", command, port):
        target.address = HOST, port
        client = Client(target.address)
        for path, payload in LIBCOAP_CONTENTS.items():
            put(client, path, payload)
        client.close()
        yield


def put(client, path, payload):
    """PUT in blocks of 512 bytes. Raises Failed when the server does not take it."""
    for at in range(0, len(payload), 512):
        more = at + 512 < len(payload)
        options = [(CONTENT_FORMAT, b""), (27, block(at // 512, more, 5))]
        part = payload[at : at + 512]
        request = client.request("PUT", path, payload=part, options=options if at or more else [])
        response = client.response(client.send(request), FILL_S)
        if response.code not in ("2.01", "2.04", "2.31"):
            raise Failed(f"/{path}: {response}")


IN_GROUP = NODE | {"group": GROUP}
ON_PICO = {"is_ours": True, "one_by_one": True}
TARGETS = {
    target.name: target
    for target in (
        Target("mote-micropython", mote("micropython"), IN_GROUP, is_ours=True),
        Target("mote-cpython", mote("cpython"), IN_GROUP, is_ours=True),
        Target("mote-oscore", mote_oscore, IN_GROUP, is_ours=True, lacks=OUTSIDE_OSCORE),
        Target("aiocoap", aiocoap, AIOCOAP),
        Target("libcoap", libcoap, LIBCOAP),
        Target("mote-pico", pico, NODE, lacks=NO_GROUP, **ON_PICO),
        Target("board", board, NODE, lacks=NO_GROUP, **ON_PICO),
        Target("mote-pico-oscore", pico_oscore, NODE, lacks=OUTSIDE_OSCORE, **ON_PICO),
    )
}
SIMULATED = ("mote-micropython", "mote-cpython", "mote-oscore")
ON_A_PICO = ("mote-pico", "mote-pico-oscore")
