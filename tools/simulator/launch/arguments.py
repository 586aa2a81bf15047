"""The command line of tools/simulator; every mistake in it is one line and exit code 2."""

import argparse
import ipaddress
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from key_folder import NODE_FILE, hold, is_on_board, using
from setup.console import Arguments, Problem
from simulator.launch.address import bracketed

EXAMPLES = (
    "lines on stdin: Enter, door open, door close, battery 2900, hr 88, steps 1200, temp 36.9"
)
SMALLEST_HEAP = 16 << 10
APPS = ("door", "wearable", "both", "plugtest")
# What an emulated Pico has from its board or its settings.
NOT_ON_BOARDS = ("heap", "rate", "group", "rd", "oscore")


def port_number(text):
    """A UDP port, 0 for a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a UDP port (0 to 65535)")
    return int(text)


def heap_size(text):
    """Bytes of a heap size such as 64k, 2m or 65536."""
    match = re.fullmatch(r"(\d{1,9})([km]?)", text.lower())
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a heap size (64k, 2m, 65536)")
    size = int(match[1]) << {"": 0, "k": 10, "m": 20}[match[2]]
    if size < SMALLEST_HEAP:
        raise argparse.ArgumentTypeError(f"'{text}' is too small for any node (64k works)")
    return size


def count(text):
    """A whole number from 0 on."""
    if not text.isdecimal() or int(text) >= 1 << 30:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number below 2**30")
    return int(text)


def group_address(text):
    """An IP address of a multicast group."""
    try:
        if ipaddress.ip_address(text).is_multicast:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a multicast address (224.0.1.187)")


def directory(text):
    """The URI of a resource directory, coap://HOST or coap://HOST:PORT."""
    uri = urlsplit(text)
    try:
        if uri.scheme == "coap" and uri.hostname and uri.path in ("", "/"):
            return f"coap://{bracketed(uri.hostname)}:{uri.port or 5683}"
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a directory (coap://192.168.1.2:5683)")


def parse(argv):
    """The command line as a namespace; ends the program when it is wrong."""
    parser = Arguments(prog="simulator", description="Runs a simulated node.", epilog=EXAMPLES)
    add = parser.add_argument
    add("--app", choices=APPS, help="both; with --board pico: what its settings say")
    add("--board", choices=("", "pico"), default="", help="pico: real firmware on an emulated one")
    add("--flash", help="file that keeps the emulated Pico's flash memory (build/pico.flash)")
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    add("--port", type=port_number, default=5683, help="UDP port, 0 for a free one (5683)")
    add("--interpreter", choices=("micropython", "cpython"), default="micropython")
    add("--heap", type=heap_size, help="MicroPython's heap in bytes, or 64k; small: all frozen in")
    add("--rate", type=count, default=0, help="requests a second that one peer may make, 0 = off")
    add("--seed", type=count, default=1, help="of the simulated sensors' noise")
    add("--group", type=group_address, help="multicast group to join, such as 224.0.1.187")
    add("--iface", help="address of the interface on which to join it")
    add("--rd", type=directory, help="resource directory to register with, coap://HOST:PORT")
    add("--oscore", help="keys that `make keys` wrote; writes need OSCORE then")
    add("--play", action="store_true", help="show the resources and how to play, as on a terminal")
    options = parser.parse_args(argv)
    if options.board:
        check_board(parser, options)
    else:
        options.app = options.app or "both"
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
        options.oscore = take_keys(parser, Path(options.oscore))
    if options.iface and not options.group:
        parser.error("--iface: needs --group, such as --group 224.0.1.187")
    return options


def take_keys(parser, file):
    """The path of the keys, of which this program lets go when it ends.

    Ends the program for keys that a board has had, or that another node is using.
    """
    # Beside the file itself lie the numbers, also where a link leads to it.
    file = file.resolve()
    try:
        with using(file):
            hold(file.parent if file.name == NODE_FILE else file)
            used = is_on_board(file)
    except Problem as problem:
        parser.error(f"--oscore: {problem}")
    if used:
        parser.error(
            f"--oscore: the keys in {file} have been on a board, whose numbers would be used "
            "again; `make keys NODE=name ROTATE=1` makes new ones"
        )
    return str(file)


def check_board(parser, options):
    """Ends the program for what an emulated Pico does not take."""
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
    """Can a node listen there with IPv4? True also of what is no host at all."""
    try:
        return any(found[0] == socket.AF_INET for found in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return True
