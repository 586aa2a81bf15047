"""The servers under test: how each is started, and where it has the plugtest's resources.

A name that a server lacks leaves out the checks that need it. `obs-delete` and `obs-format` stand
for what /obs can do, `obs-clock` for one that changes by itself, `obs-abandoned` for one that no
other check changes, `location` for what a POST to /test does, `get-only` for a resource without
POST, `large-sz` for a size among the links, `problem` for problem details, `group` for the group
that it is a member of.
"""

import sys
import threading
from collections import defaultdict
from pathlib import Path
from types import MappingProxyType

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "bench"))

import programs  # noqa: E402
from client import CONTENT_FORMAT, Client, Failed, block, uint  # noqa: E402
from clocks import Wall  # noqa: E402
from servers import HOST, Server  # noqa: E402

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
NOT_IN_AIOCOAP = ["obs-non", "obs-pumping", "path", "store", "echo-required", "problem"]
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


class Target:
    """A server under test. `is_ours`: its failures are failures of the project; `one_by_one`: no
    two checks of it run at the same time; `lacks`: names that it cannot have, or topics and checks
    that do not apply to it, and why; `clock`: by which its time passes; `make_client`: its client,
    by address and clock.
    """

    one_by_one = False
    lacks = MappingProxyType({})
    clock = Wall
    make_client = Client

    def __init__(self, name, title, command, paths, is_ours=False, contents=None):
        self.name = name
        self.title = title
        self.is_ours = is_ours
        self.paths = paths
        self.contents = contents or {}
        self.locks = defaultdict(threading.Lock)
        self.server = Server(name, "conformance", title, command)

    def start(self):
        """Start it and give it the contents that it lacks."""
        self.server.start()
        self.address = (HOST, self.server.port)
        self.clock = getattr(self.server, "clock", Wall)
        self.make_client = getattr(self.server, "make_client", Client)
        client = self.make_client(self.address, self.clock)
        try:
            for path, payload in self.contents.items():
                fill(client, path, payload)
        except Failed as failure:
            raise programs.Problem(f"{self.title} takes no /{path}: {failure}") from None
        finally:
            client.close()

    def stop(self):
        """End it."""
        self.server.stop()


def fill(client, path, payload):
    """PUT in blocks of 512 bytes."""
    for at in range(0, len(payload), 512):
        more = at + 512 < len(payload)
        options = [(CONTENT_FORMAT, uint(0)), (27, block(at // 512, more, 5))]
        part = payload[at : at + 512]
        answer = client.ask("PUT", path, payload=part, options=options if at or more else [])
        if answer.code not in ("2.01", "2.04", "2.31"):
            raise Failed(str(answer))


def mote(interpreter, title, *more):
    simulate = [sys.executable, str(programs.ROOT / "tools" / "simulator"), "--app", "plugtest"]
    simulate += ["--host", HOST, "--interpreter", interpreter, "--group", GROUP, "--iface", HOST]
    simulate += more
    paths = {name: name for name in PLUGTEST} | SPECIAL | {"group": GROUP}
    name = f"mote-{interpreter}"
    return Target(name, title, lambda n: [*simulate, "--port", str(n)], paths, is_ours=True)


def under_oscore():
    from protected import OUTSIDE, SecuredServer

    title = "Mote on MicroPython under OSCORE"
    target = mote("micropython", title)
    target.name = "mote-oscore"
    target.server = SecuredServer(lambda file: mote("micropython", title, "--oscore", file).server)
    target.lacks = OUTSIDE
    return target


def pico():
    from emulated import PicoServer

    paths = {name: name for name in PLUGTEST} | SPECIAL
    title = "Mote on an emulated Raspberry Pi Pico"
    target = Target("mote-pico", title, None, paths, is_ours=True)
    target.server = PicoServer()
    target.one_by_one = True
    target.lacks = {"group": "there is no multicast on its PPP link"}
    return target


def pico_under_oscore():
    from protected import OUTSIDE, SecuredServer

    from emulated import PicoServer

    target = pico()
    target.name = "mote-pico-oscore"
    target.server = SecuredServer(PicoServer)
    target.lacks = OUTSIDE
    return target


def aiocoap():
    command = [programs.aiocoap_python(), str(HERE / "aiocoap_server.py"), HOST]
    paths = {name: name for name in PLUGTEST} | SPECIAL
    for name in NOT_IN_AIOCOAP:
        del paths[name]
    return Target("aiocoap", "aiocoap's server", lambda n: [*command, str(n)], paths)


def libcoap():
    command = [programs.libcoap_server(), "-A", HOST, "-v", "0", "-d", "100", "-p"]
    contents = {"test": b"This is /test", "seg1/seg2/seg3": b"three segments", "obs": b"0"}
    contents["large"] = b"The quick brown fox jumps over the lazy dog.\n" * 60
    contents["example_data"] = b"put here"
    title = "libcoap's coap-server"
    return Target("libcoap", title, lambda n: [*command, str(n)], LIBCOAP, contents=contents)


TARGETS = {
    "mote-micropython": lambda: mote("micropython", "Mote on MicroPython"),
    "mote-cpython": lambda: mote("cpython", "Mote on CPython"),
    "mote-oscore": under_oscore,
    "aiocoap": aiocoap,
    "libcoap": libcoap,
    "mote-pico": pico,
    "mote-pico-oscore": pico_under_oscore,
}
USUAL = tuple(name for name in TARGETS if not name.startswith("mote-pico"))  # those are slow
