"""A board on a serial line, for mpremote: a pseudo-terminal, the raw REPL, and a real MicroPython.

What mpremote sends is executed by MicroPython in a folder that stands in for the board's flash.
"""

import os
import pty
import struct
import subprocess
import threading
import tty

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
END = b"\xff"  # sent by nobody
WINDOW = 32768  # bytes of raw paste that may come before they are acknowledged
EXECUTOR = r"""
import os
import sys


class BoardOs:
    def stat(self, path):
        return os.stat(path or ".")  # "" is the root on a board, and nothing on unix

    def __getattr__(self, name):
        return getattr(os, name)


sys.modules["os"] = BoardOs()
names = {"__name__": "__main__"}
while True:
    length = sys.stdin.buffer.readline()
    if not length:
        break
    code = sys.stdin.buffer.read(int(length))
    try:
        exec(code, names)
        sys.stdout.write("\x04")
    except BaseException as error:
        sys.stdout.write("\x04")
        sys.print_exception(error, sys.stdout)
    sys.stdout.write("\x04")
"""


class SerialBoard:
    """`device` is what DEV= gets; `flash` the folder of its files; `executed` all that was run."""

    def __init__(self, micropython, flash):
        self.micropython = str(micropython)
        self.flash = flash
        self.executed = []
        self.unread = b""
        self.line, slave = pty.openpty()
        tty.setraw(slave)
        self.slave = slave  # kept open: the line stays up between two programs
        self.device = os.ttyname(slave)
        self.child = None
        self._restart()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self.slave, END)
        self.child.stdin.close()
        self.child.wait(timeout=60)
        self.thread.join(timeout=60)
        os.close(self.slave)

    def files(self):
        """{path: bytes} of all that lies in flash."""
        return {
            path.relative_to(self.flash).as_posix(): path.read_bytes()
            for path in sorted(self.flash.rglob("*"))
            if path.is_file()
        }

    def _restart(self):
        if self.child:
            self.child.stdin.close()
            self.child.wait(timeout=60)
        self.child = subprocess.Popen(
            [self.micropython, "-c", EXECUTOR],
            cwd=self.flash,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def _serve(self):
        try:
            self._repl()
        finally:
            os.close(self.line)  # whoever is still connected is told so

    def _repl(self):
        code = bytearray()
        for byte in self._bytes():
            if byte == b"\x01":
                code.clear()
                self._write(BANNER)
            elif byte in (b"\x02", b"\x03"):
                code.clear()
            elif byte == b"\x05":
                code.clear()
                self._paste()
            elif byte == b"\x04" and not code.strip():
                self._restart()
                self._write(b"OK\r\nMPY: soft reboot\r\n" + BANNER)
            elif byte == b"\x04":
                self._execute(bytes(code), b"OK")
                code.clear()
            else:
                code += byte

    def _bytes(self):
        while (byte := self._read(1)) != END:
            yield byte

    def _read(self, n):
        while len(self.unread) < n:
            self.unread += os.read(self.line, 4096)
        data, self.unread = self.unread[:n], self.unread[n:]
        return data

    def _paste(self):
        assert self._read(2) == b"A\x01"
        self._write(b"R\x01" + struct.pack("<H", WINDOW))
        code = bytearray()
        while (byte := self._read(1)) != b"\x04":
            code += byte
            assert len(code) < WINDOW
        self._execute(bytes(code), b"\x04")

    def _execute(self, code, taken):
        self.executed.append(code.decode())  # before it is `taken`: some programs end then
        self._write(taken)
        self.child.stdin.write(b"%d\n" % len(code) + code)
        ends = 0
        while ends < 2:
            output = os.read(self.child.stdout.fileno(), 4096)
            ends += output.count(b"\x04")
            self._write(output)
        self._write(b">")

    def _write(self, data):
        while data:
            data = data[os.write(self.line, data) :]
