"""Free ports for servers of tests that run in several processes at once.

They lie below those that systems give to clients, and each process counts from a place of its own:
a port is still free when the server that it was chosen for has started.
"""

import itertools
import os
import socket

HOST = "127.0.0.1"
FIRST, LAST = 10_000, 19_999
OF_ONE_PROCESS = 257

_numbers = itertools.count(os.getpid() * OF_ONE_PROCESS)


def free_port(kind=socket.SOCK_DGRAM):
    """Return a port that is free now, of UDP or another kind of socket."""
    for number in itertools.islice(_numbers, LAST - FIRST):
        port = FIRST + number % (LAST - FIRST + 1)
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port from {FIRST} to {LAST} of {HOST} is free")
