"""Just enough of a CoAP client (RFC 7252, RFC 7959) to ask a node on this computer what it has."""

import os
import socket

VERSION_CON = 0x40
GET = 1
CONTENT = 0x45
OPTION_URI_PATH = 11
OPTION_BLOCK2 = 23
PAYLOAD_MARKER = 0xFF
TRIES = 20
WAIT_S = 0.5
BLOCKS = 64


def get(host, port, path):
    """The payload of a 2.05 response to a GET of `path`; None for anything else."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.connect((host, port))
        payload = b""
        for number in range(BLOCKS):
            answer = _exchange(sock, path, number)
            if answer is None:
                return None
            block, part = answer
            payload += part
            if not block & 8:  # the `more` bit
                return payload
    return None


def _exchange(sock, path, number):
    """(value of Block2 or 0, payload) of the answer to one request."""
    token = os.urandom(4)
    request = bytes((VERSION_CON | len(token), GET)) + os.urandom(2) + token
    before = 0
    options = [(OPTION_URI_PATH, part.encode()) for part in path.split("/") if part]
    if number:
        options.append((OPTION_BLOCK2, (number << 4 | 6).to_bytes(2, "big")))
    for option, value in options:
        if len(value) > 12:
            request += bytes(((option - before) << 4 | 13, len(value) - 13)) + value
        else:
            request += bytes(((option - before) << 4 | len(value),)) + value
        before = option
    for _ in range(TRIES):
        try:
            sock.send(request)
            answer = sock.recv(2048)
            while answer[4 : 4 + len(token)] != token:
                answer = sock.recv(2048)
        except OSError:
            continue
        return _read(answer, 4 + len(token)) if answer[1] == CONTENT else None
    return None


def _read(answer, at):
    """(value of Block2 or 0, payload) of a response whose options start at `at`."""
    option = block = 0
    while at < len(answer) and answer[at] != PAYLOAD_MARKER:
        fields = [answer[at] >> 4, answer[at] & 15]
        at += 1
        for i, field in enumerate(fields):
            if field == 13:
                fields[i] = 13 + answer[at]
                at += 1
            elif field == 14:
                fields[i] = 269 + int.from_bytes(answer[at : at + 2], "big")
                at += 2
        option += fields[0]
        if option == OPTION_BLOCK2:
            block = int.from_bytes(answer[at : at + fields[1]], "big")
        at += fields[1]
    return block, answer[at + 1 :]
