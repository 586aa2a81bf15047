"""The command line of tools/simulator; every mistake is one line and exit code 2."""

import argparse
import errno
import ipaddress
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from keys.folder import NODE_FILE, disk_errors, is_provisioned, lock
from setup.console import Arguments, Problem

COMMANDS = (
    "lines on stdin: Enter, door open, door close, battery 2900, hr 88, steps 1200, temp 36.9"
)
SMALLEST_HEAP = 16 << 10
APPS = ("door", "wearable", "both", "plugtest")
# Options that an emulated Pico's board or settings decide
NOT_ON_BOARDS = ("heap", "rate", "group", "rd", "oscore")
# Options that a node on a battery does not have
NOT_ON_BATTERY = ("board", "heap", "rate", "seed", "group", "rd", "oscore")
FASTEST = 1000  # a node on a battery still has to keep up with its own sensors


def port_number(text):
    """Return a UDP port, 0 for a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a UDP port (0 to 65535)")
    return int(text)


def heap_size(text):
    """Return the bytes of a heap size such as 64k, 2m or 65536."""
    match = re.fullmatch(r"(\d{1,9})([km]?)", text.lower())
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a heap size (64k, 2m, 65536)")
    size = int(match[1]) << {"": 0, "k": 10, "m": 20}[match[2]]
    if size < SMALLEST_HEAP:
        raise argparse.ArgumentTypeError(f"'{text}' is too small for any node (64k works)")
    return size


def count(text):
    """Return a whole number from 0 on."""
    if not text.isdecimal() or int(text) >= 1 << 30:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number below 2**30")
    return int(text)


def group_address(text):
    """Return the IP address of a multicast group."""
    try:
        if ipaddress.ip_address(text).is_multicast:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a multicast address (224.0.1.187)")


def speed(text):
    """Return how much faster time passes while a node sleeps."""
    if not text.isdecimal() or not 1 <= int(text) <= FASTEST:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to {FASTEST}")
    return int(text)


def directory(text):
    """Return the URI of a resource directory given as coap://HOST or coap://HOST:PORT."""
    uri = urlsplit(text)
    try:
        if uri.scheme == "coap" and uri.hostname and uri.path in ("", "/"):
            return f"coap://{bracketed(uri.hostname)}:{uri.port or 5683}"
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a directory (coap://192.168.1.2:5683)")


def parse(argv):
    """Return the command line as a namespace; end the program if it is wrong."""
    parser = Arguments(prog="simulator", description="Run a simulated node.", epilog=COMMANDS)
    add = parser.add_argument
    add("--app", choices=APPS, help="both; with --board pico: what its settings say")
    add("--board", choices=("", "pico"), default="", help="pico: real firmware on an emulated one")
    add("--power", choices=("mains", "battery"), default="mains", help="battery: it sleeps")
    add("--speed", type=speed, help="with --power battery: how fast sleep passes (60)")
    add("--flash", help="file that keeps the emulated Pico's flash memory (build/pico.flash)")
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    add("--port", type=port_number, default=5683, help="UDP port, 0 for a free one (5683)")
    add("--interpreter", choices=("micropython", "cpython"), default="micropython")
    add("--heap", type=heap_size, help="MicroPython's heap in bytes, or 64k; small: all frozen in")
    add("--rate", type=count, default=0, help="requests per second allowed to one peer, 0 = off")
    add("--seed", type=count, help="seed of MIDs, Echo values and the sensors' noise (random)")
    add("--group", type=group_address, help="multicast group to join, such as 224.0.1.187")
    add("--iface", help="address of the interface on which to join it")
    add("--rd", type=directory, help="resource directory to register with, coap://HOST:PORT")
    add("--oscore", help="keys that `make keys` wrote; writes need OSCORE then")
    add("--play", action="store_true", help="show the resources and how to play, as on a terminal")
    options = parser.parse_args(argv)
    if options.power == "battery":
        check_battery(parser, options)
    elif options.speed:
        parser.error("--speed: only with --power battery, the node that sleeps")
    if options.board:
        check_board(parser, options)
    else:
        options.app = options.app or ("door" if options.power == "battery" else "both")
        if options.flash:
            parser.error("--flash: only with --board pico")
    if options.heap and options.interpreter == "cpython":
        parser.error("--heap: CPython has no fixed heap; use --interpreter micropython")
    if options.rd and options.app == "plugtest":
        parser.error("--rd: the plugtest server registers nowhere; use --app both")
    if options.oscore and not os.path.isfile(options.oscore):
        parser.error(
            f"--oscore: there is no file {options.oscore}; `make keys NODE=name` makes one"
        )
    if options.oscore:
        options.oscore = lock_keys(parser, Path(options.oscore))
    if options.iface and not options.group:
        parser.error("--iface: needs --group, such as --group 224.0.1.187")
    return options


def lock_keys(parser, file):
    """Lock the keys until this program ends; return their path.

    End the program if a board has had these keys or another node is using them.
    """
    # The sender sequence numbers are stored beside the file itself, not beside a link to it.
    file = file.resolve()
    try:
        with disk_errors(file):
            lock(file.parent if file.name == NODE_FILE else file)
            used = is_provisioned(file)
    except Problem as problem:
        parser.error(f"--oscore: {problem}")
    if used:
        parser.error(
            f"--oscore: the keys in {file} have been on a board, whose sequence numbers would be "
            "used again; `make keys NODE=name ROTATE=1` makes new ones"
        )
    return str(file)


def check_battery(parser, options):
    """End the program for options that a node on a battery does not have."""
    if options.app not in (None, "door", "wearable"):
        parser.error("--app: a node on a battery is a door or a wearable")
    if options.interpreter != "micropython":
        parser.error("--interpreter: a node on a battery runs MicroPython")
    for name in NOT_ON_BATTERY:
        if getattr(options, name):
            parser.error(f"--{name}: not with --power battery")
    if not has_ipv4(options.host):
        parser.error("--host: an IPv4 address with --power battery, such as 127.0.0.1")
    options.speed = options.speed or 60


def check_board(parser, options):
    """End the program for options that an emulated Pico does not have."""
    if options.app == "plugtest":
        parser.error("--app: the firmware has door, wearable and both")
    if options.interpreter != "micropython":
        parser.error("--interpreter: a Pico runs MicroPython")
    if not has_ipv4(options.host):
        parser.error("--host: an IPv4 address with --board pico, such as 127.0.0.1")
    for name in NOT_ON_BOARDS:
        if getattr(options, name):
            parser.error(f"--{name}: not with --board pico, whose firmware decides that")
    if options.flash and os.path.isdir(options.flash):
        parser.error(f"--flash: {options.flash} is a folder; name a file")


def has_ipv4(host):
    """Return True if the host has an IPv4 address, or is no host at all: reported later."""
    try:
        return any(found[0] == socket.AF_INET for found in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return True


def check_address(host, port):
    """Return the numeric host and the port to listen on, after binding to them once.

    Raises:
        Problem: the host is not this machine's, or the port is in use or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise Problem(f"'{host}' is not an address: use HOST=127.0.0.1 or HOST=0.0.0.0") from None
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0])
    try:
        with socket.socket(family, kind, protocol) as trial:
            trial.bind(address)
            return trial.getsockname()[:2]
    except OSError as error:
        raise Problem(bind_problem(error.errno, host, port)) from None


def bind_problem(number, host, port):
    """Return one line that names the fix for an errno of bind()."""
    if number == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 5683
        return f"UDP port {port} of {host} is in use: choose another, `make run PORT={other}`"
    if number == errno.EACCES:
        return f"UDP port {port} is for root alone: choose another, `make run PORT=5683`"
    if number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"{host} is not an address of this machine: use HOST=127.0.0.1 or HOST=0.0.0.0"
    return f"cannot listen on {host} port {port}: {os.strerror(number)}"


def bracketed(host):
    """Return the host as it stands in a URI."""
    return f"[{host}]" if ":" in host else host
