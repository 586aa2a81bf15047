"""A node with the plugtest's resources and a fault: see faults.py."""

import socket
import threading
import time

from apps import plugtest

HOST = "127.0.0.1"


class Running:
    """A node with a fault, served in a thread."""

    def __init__(self, fault):
        self.fault = fault
        self.node = plugtest.make_node()
        plugtest.setup(self.node)
        self.node.seed(b"12345678")
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.settimeout(0.02)
        self.address = self.sock.getsockname()
        self.ended = False
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.sock.close()

    def _serve(self):
        node = self.node
        while not self.ended:
            try:
                data, peer = self.sock.recvfrom(2048)
            except (TimeoutError, ConnectionRefusedError):
                data = None
            now_ms = time.monotonic_ns() // 1000000 & 0x3FFFFFFF
            if data is not None:
                arrived = self.fault.arriving(data)
                answer = None
                if arrived is not None:
                    who = "all" if self.fault.all_are_one else peer
                    n = node.datagram(arrived, len(arrived), who, now_ms)
                    answer = bytes(node.tx_view(n)) if n else None
                self._send(self.fault.answered(data, answer), peer)
            while n := node.due(now_ms):
                self._send(bytes(node.tx_view(n)), node.peer)

    def _send(self, data, peer):
        data = data and self.fault.leaving(data)
        if data:
            for _ in range(self.fault.copies):
                self.sock.sendto(data, peer)
