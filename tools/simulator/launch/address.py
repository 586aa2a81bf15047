"""Finds out whether a node could listen on an address before one is started there."""

import errno
import os
import socket

from setup.console import Problem


def free_address(host, port):
    """The numeric host and the port to listen on, after a trial that they can be had.

    Raises:
        Problem: the host is not this machine's, or the port is taken or not allowed.
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
        raise Problem(explain(error.errno, host, port)) from None


def explain(number, host, port):
    """One line for an errno of bind() that names the fix."""
    if number == errno.EADDRINUSE:
        return (
            f"UDP port {port} of {host} is in use: choose another, `make run PORT={other(port)}`"
        )
    if number == errno.EACCES:
        return f"UDP port {port} is for root alone: choose another, `make run PORT=5683`"
    if number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"{host} is not an address of this machine: use HOST=127.0.0.1 or HOST=0.0.0.0"
    return f"cannot listen on {host} port {port}: {os.strerror(number)}"


def other(port):
    """A port to propose instead of a taken one."""
    return port + 1 if port < 65535 else 5683


def bracketed(host):
    """The host as it stands in a URI."""
    return f"[{host}]" if ":" in host else host
