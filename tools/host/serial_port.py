"""A serial line to a board: a device (pyserial, which knows every system's) or tcp://HOST:PORT.

An emulator gives its UARTs to the host as TCP ports or pseudo-terminals.
"""

import errno
import os
import socket

import serial
from serial.tools import list_ports

from host.device import Problem

BAUD = 115200
TCP = "tcp://"
TCP_S = 5
WRITE_S = 2  # a board that takes nothing for so long does not read


def find_device(dev):
    """The device that "auto" means: the first on USB, as mpremote has it. Raises Problem."""
    if dev != "auto":
        return dev
    found = sorted(port.device for port in list_ports.comports() if port.vid is not None)
    if not found:
        raise Problem("no board on USB: plug it in, or name the serial line with DEV=/dev/tty...")
    return found[0]


def open_port(dev, baud=BAUD):
    """The line as a stream with fileno(), readinto(), write() and close(); reading never waits.

    Raises Problem when it cannot be opened.
    """
    if dev.startswith(TCP):
        return _open_tcp(dev.removeprefix(TCP))
    try:
        return serial.Serial(dev, baud, timeout=0, write_timeout=WRITE_S, exclusive=True)
    except (OSError, ValueError) as error:
        raise Problem(
            f"cannot open {dev} ({reason(error)}): plug the board in, close other programs that"
            " use it, or name the line with DEV=/dev/tty... or DEV=tcp://host:port"
        ) from None


def reason(error):
    """Why a line could not be opened, in a few words."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and error.__context__ is not None:  # pyserial drops that of termios
        number, *_ = *error.__context__.args, None
    if number == errno.ENOTTY:
        return "it is no serial line"
    if number == errno.EAGAIN:
        return "another program uses it"
    return os.strerror(number) if isinstance(number, int) else str(error)


def _open_tcp(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Problem(f"DEV={TCP}{text} names no port: it must be DEV=tcp://host:port")
    try:
        sock = socket.create_connection((host.strip("[]"), int(port)), TCP_S)
    except OSError as error:
        raise Problem(
            f"cannot connect to {TCP}{text} ({error.strerror or error}): start what listens there"
        ) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    stream = sock.makefile("rwb", buffering=0)
    sock.close()  # the stream keeps it open
    return stream
