"""The servers under load: how each is started, pinned to a processor, and ended."""

import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time

import programs
import psutil

from simulator.launch.node_command import on_cpython, on_micropython

HOST = "127.0.0.1"
READY_S = 60
STOP_S = 20
PR_SET_PDEATHSIG = 1
# Any response will do, a 4.04 too. The path makes it 8 bytes: short datagrams hang microCoAPy.
PROBE = bytes.fromhex("400100bbb3707562")


def free_port():
    """Return a UDP port of the loopback interface that is not in use."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


def confine(cpu):
    """Keep this process to a processor, if one is given, and let it end when its parent does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


class Server:
    """A server process.

    `kind` picks its requests in a workload; command(port) returns the words of its command line.
    """

    def __init__(self, name, kind, title, command, environ=None):
        self.name = name
        self.kind = kind
        self.title = title
        self.command = command
        self.environ = environ
        self.process = None
        self.echoes = name.startswith("echo")

    def start(self, cpu=None):
        """Start on a free port and wait until it responds. Raises Problem."""
        self.port = free_port()
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by stop()
        self.process = subprocess.Popen(
            self.command(self.port),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            env=self.environ,
            start_new_session=True,
            preexec_fn=lambda: confine(cpu),
        )
        deadline = time.monotonic() + READY_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.05)
            sock.connect((HOST, self.port))
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    sock.send(PROBE)
                    sock.recv(2048)
                    return
                except TimeoutError:
                    continue
                except ConnectionRefusedError:
                    time.sleep(0.05)
        self.stop()
        raise programs.Problem(f"{self.name} does not start: {self.last_line}")

    def stop(self):
        """End the process and what it started."""
        if self.process is None:
            return
        for number in (signal.SIGINT, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    continue
        self.output.seek(0)
        self.last_line = (self.output.read().strip().splitlines() or ["it printed nothing"])[-1]
        self.output.close()
        self.process = None

    def cpu_s(self):
        """Return the processor seconds of the process and its descendants so far."""
        process = psutil.Process(self.process.pid)
        total = 0
        for member in [process, *process.children(recursive=True)]:
            try:
                total += sum(member.cpu_times()[:2])  # user and system
            except psutil.NoSuchProcess:
                continue  # it ended meanwhile
        return total


def local(name, kind, title, *command, environ=None):
    """Return a server whose command line ends with HOST and the port."""
    words = [*map(str, command), HOST]
    return Server(name, kind, title, lambda port: [*words, str(port)], environ)


def echo():
    """Return a server that sends each datagram back, by the receive loop of Mote's own socket."""
    program = programs.HERE / "echo.py"
    return local("echo", "mote", "bare UDP echo on MicroPython", programs.micropython(), program)


def mote(interpreter, title):
    """Return Mote on one of the simulator's interpreters, without limits for its peers."""
    return started(f"mote-{interpreter}", "mote", title, interpreter)


def limited():
    """Return Mote with the limits of a board."""
    title = "Mote on MicroPython, with limits"
    return started("mote-limited", "mote limited", title, "micropython", "--limits")


def started(name, kind, title, interpreter, *arguments):
    """Return the server mote_node.py."""
    (*start, _), added, _ = on_cpython() if interpreter == "cpython" else on_micropython(None)
    program = programs.HERE / "mote_node.py"
    environ = {**os.environ, **added}
    return local(name, kind, title, *start, program, *arguments, environ=environ)


def libcoap():
    """Return the example server of libcoap, with its own resources."""
    command = [programs.libcoap_server(), "-v", "0", "-A", HOST, "-p"]
    title = "libcoap's coap-server"
    return Server("libcoap", "libcoap", title, lambda port: [*command, str(port)])


def aiocoap():
    """Return a server with resources like those of Mote's node."""
    command = programs.aiocoap_python(), programs.HERE / "aiocoap_server.py"
    return local("aiocoap", "aiocoap", "aiocoap on CPython", *command)


def microcoapy():
    """Return a server with one resource, of the package in the folder MICROCOAPY."""
    command = programs.micropython(), programs.HERE / "microcoapy_server.py"
    title = "microCoAPy on MicroPython"
    return local("microcoapy", "microcoapy", title, *command, programs.microcoapy_folder())


SERVERS = {
    "echo": echo,
    "mote-micropython": lambda: mote("micropython", "Mote on MicroPython"),
    "mote-limited": limited,
    "mote-cpython": lambda: mote("cpython", "Mote on CPython"),
    "libcoap": libcoap,
    "aiocoap": aiocoap,
    "microcoapy": microcoapy,
}
