"""The simulated node, as tools/simulator starts it: the boards' applications on UDP.

    node_main.py --app door|wearable|both|plugtest --host H --port N [--rate N] [--seed N]
                 [--group G --iface I] [--rd coap://H:N] [--oscore FILE]

Prints `ready coap://H:N` when it listens, with the assigned port for --port 0. Lines on stdin are
commands (see commands.py). The end of stdin and SIGINT end the node with exit code 0.
"""

import gc
import os
import sys

_APPS = {
    "door": ("door",),
    "wearable": ("wearable",),
    "both": ("door", "wearable"),
    "plugtest": (),
}
_DEFAULTS = {
    "--app": "both",
    "--host": "127.0.0.1",
    "--port": "5683",
    "--rate": "0",
    "--seed": "0",
    "--group": "",
    "--iface": "",
    "--rd": "",
    "--oscore": "",
}
_WHOLE = ("--port", "--rate", "--seed")
_EADDRINUSE = (98, 48)  # Linux, macOS
_FIRST_FREE_PORT = 49152
_FREE_PORTS = 65536 - 49152
_PORT_TRIES = 100
_LONGEST_LINE = 80


class Lines:
    """Collect lines from a stream, read one byte at a time so that reading never blocks."""

    def __init__(self, on_line):
        self.ended = False
        self._on_line = on_line
        self._line = bytearray()

    def read(self, stream):
        """Read a byte; at the end of a line call `on_line` with it."""
        byte = stream.read(1)
        if not byte:
            self.ended = True
        elif byte == b"\n":
            line = bytes(self._line)
            self._line = bytearray()
            self._on_line("".join([chr(c) if 32 <= c < 127 else "?" for c in line.strip()]))
        elif len(self._line) < _LONGEST_LINE:
            self._line.extend(byte)


def parse(argv):
    """Return the options as a dict without dashes. Raise ValueError naming a wrong one."""
    options = dict(_DEFAULTS)
    if len(argv) % 2:
        raise ValueError(argv[-1] + " needs a value")
    for i in range(0, len(argv), 2):
        if argv[i] not in options:
            raise ValueError("no option " + argv[i] + ": use one of " + " ".join(sorted(options)))
        options[argv[i]] = argv[i + 1]
    if options["--app"] not in _APPS:
        raise ValueError("--app is one of " + " ".join(sorted(_APPS)))
    for name in _WHOLE:
        if not options[name].isdigit():
            raise ValueError(name + " is a whole number, not " + options[name])
        options[name] = int(options[name])
    if options["--port"] > 65535:
        raise ValueError("--port is at most 65535")
    return {name[2:]: value for name, value in options.items()}


def build(options):
    """Return (node with its applications, function that executes a command)."""
    import board

    from coap.presets import node_for_board

    board.power_on()
    more = keys_of(options["oscore"]) if options["oscore"] else ()
    if options["app"] == "plugtest":
        import node_app

        node = node_app.make_node(options["rate"], options["group"] != "", more)
        node_app.setup(node)
        return node, lambda line: print("error: the plugtest server has no commands")

    from config import Settings

    slots = dict(board.SLOTS)
    if options["rd"]:
        from gateway import REQUESTS

        slots["requests"] = REQUESTS
    node = node_for_board(slots, board.RECV_MAX, options["rate"], options["group"] != "", more)
    settings = Settings()
    apps = _APPS[options["app"]]
    body = oximeter = None
    if "door" in apps:
        from apps import door

        door.setup(node, board, settings)
    if "wearable" in apps:
        from apps import wearable

        body = board.Body(options["seed"])
        oximeter = wearable.setup(node, board, settings).oximeter

    def make_commands():
        """Return the commands; a board has none, so they take heap when they are used."""
        from commands import Commands

        return Commands(board, node.after, apps, body, oximeter)

    if body is not None:
        make_commands()  # lets the oximeter measure
    return node, late(make_commands)


def late(make_commands):
    """Return a function that executes a command, by what is made at the first one."""
    made = []

    def line(text):
        """Execute a command."""
        if not made:
            made.append(make_commands())
        made[0].line(text)

    return line


def keys_of(path):
    """Return the extensions for the keys in a file. Raise ValueError if there are none."""
    import credentials

    if not credentials.load(path):
        raise ValueError("--oscore {}: no such file, or no keys in it".format(path))
    found = credentials.features(path)
    if found[-1].status.startswith("sequence"):
        raise ValueError("--oscore {}: {}".format(path, found[-1].status))
    return found


def serve(options):
    """Run until stdin ends or Ctrl-C. Raise OSError if the address cannot be bound."""
    from coap.link_format import listing
    from coap.transports.udp import Udp
    from unload import unload

    node, execute = build(options)
    for name in ("coap.presets", "config_schema", "credentials", "links", "commands"):
        unload(name)  # what only the start needs, as on a board
    for name in ("parse", "build", "keys_of", "late", "_APPS", "_DEFAULTS", "_WHOLE"):
        del globals()[name]
    gc.collect()
    listing(node)  # the longest text that is kept: a heap too small for it fails now
    udp = listen(Udp, node, options["host"], options["port"])
    if options["group"]:
        join(udp, options["group"], options["iface"])
    if options["seed"]:
        node.seed(options["seed"].to_bytes(8, "big"))
    lines = Lines(execute)
    stdin = open(0, "rb", buffering=0)
    try:
        udp.watch(stdin, lines.read)
        host = options["host"]
        host = "[" + host + "]" if ":" in host else host
        if options["rd"]:
            from gateway import Gateway

            Gateway(node, options["rd"], "mote-{}".format(udp.port)).linked()
        print("ready coap://{}:{}".format(host, udp.port))
        while not lines.ended:
            udp.step()
    finally:
        udp.close()


def listen(Udp, node, host, port):
    """Return a transport on this port, for 0 on a free one.

    MicroPython's sockets do not report an assigned port, so random ones are tried.
    """
    if port:
        return Udp(node, host, port)
    tries = _PORT_TRIES
    while True:
        low, high = os.urandom(2)
        try:
            return Udp(node, host, _FIRST_FREE_PORT + (low | high << 8) % _FREE_PORTS)
        except OSError as error:
            tries -= 1
            if error.errno not in _EADDRINUSE or not tries:
                raise


def join(udp, group, iface):
    """Join a multicast group. Raise ValueError if that fails."""
    from coap.transports.group import Group

    try:
        Group(udp, group, *([iface] if iface else []))
    except OSError as error:
        raise ValueError("cannot join the group {}: {}".format(group, error))


def main(argv):
    """Run the node; return the exit code."""
    try:
        options = parse(argv)
        serve(options)
    except KeyboardInterrupt:
        pass
    except ValueError as error:
        return fail(str(error))
    except MemoryError:
        return fail("out of memory: give it more, such as --heap 256k")
    except OSError as error:
        if error.errno in _EADDRINUSE:
            return fail("port {} is in use (EADDRINUSE)".format(options["port"]))
        return fail("cannot listen on {}: {}".format(options["host"], error))
    return 0


def fail(why):
    """Print an error; return exit code 2."""
    print("error: " + why, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
