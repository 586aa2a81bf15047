"""A UDP relay that loses what it is told to lose: the plugtest's lossy gateway."""

import socket
import threading

from processes import HOST


class Relay:
    """Stands between one client and a server. `lose(way, datagram)` decides; way: "request" or
    "response". `passed` and `lost` list what it saw.
    """

    def __init__(self, port, lose):
        self.lose = lose
        self.passed = []
        self.lost = []
        self.inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inside.connect((HOST, port))
        self.outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.outside.bind((HOST, 0))
        self.url = f"coap://{HOST}:{self.outside.getsockname()[1]}"
        self.client = None
        self.ended = False
        self.threads = [
            threading.Thread(target=self._carry, args=(sock, way))
            for sock, way in ((self.outside, "request"), (self.inside, "response"))
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for thread in self.threads:
            thread.join()
        self.inside.close()
        self.outside.close()

    def _carry(self, sock, way):
        sock.settimeout(0.1)
        while not self.ended:
            try:
                data, sender = sock.recvfrom(2048)
            except (TimeoutError, ConnectionRefusedError):
                continue
            if way == "request":
                self.client = sender
            if self.lose(way, data):
                self.lost.append((way, data))
                continue
            self.passed.append((way, data))
            if way == "request":
                self.inside.send(data)
            else:
                self.outside.sendto(data, self.client)
