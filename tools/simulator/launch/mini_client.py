"""A minimal CoAP client (RFC 7252, RFC 7959) for GETs to a node on this computer."""

import os
import socket

GET = 1
CONTENT = 0x45
URI_PATH, BLOCK2 = 11, 23
VERSION_CON = 0x40
PAYLOAD_MARKER = 0xFF
TRIES = 20
RESPONSE_LIMIT_S = 0.5
MAX_BYTES = 65536
LARGEST = 6  # the size of a block, as an exponent: 1024 bytes


def get(host, port, path):
    """Return the payload of the 2.05 response to a GET of `path`, None for any other outcome."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(RESPONSE_LIMIT_S)
        sock.connect((host, port))
        payload = b""
        block = LARGEST
        while len(payload) < MAX_BYTES:
            size = 16 << (block & 7)
            response = _exchange(sock, path, len(payload) // size << 4 | block & 7)
            if response is None:
                return None
            block, part = response
            payload += part
            if not block & 8:  # More
                return payload
    return None


def _exchange(sock, path, block):
    """Request a block; return (value of Block2 or 0, payload), None unless it is a 2.05."""
    token = os.urandom(4)
    request = bytes((VERSION_CON | len(token), GET)) + os.urandom(2) + token
    options = [(URI_PATH, part.encode()) for part in path.split("/") if part]
    if block >> 4:
        options.append((BLOCK2, block.to_bytes(3, "big").lstrip(b"\0")))
    previous = 0
    for option, value in options:
        delta, length = option - previous, len(value)
        extended = bytes((length - 13,)) if length > 12 else b""
        request += bytes((delta << 4 | min(length, 13),)) + extended + value
        previous = option
    for _ in range(TRIES):
        try:
            sock.send(request)
            response = sock.recv(2048)
            while response[4 : 4 + len(token)] != token:
                response = sock.recv(2048)
        except OSError:
            continue
        return _parse(response, 4 + len(token)) if response[1] == CONTENT else None
    return None


def _parse(response, at):
    """Return (value of Block2 or 0, payload) of a response whose options start at `at`."""
    option = block = 0
    while at < len(response) and response[at] != PAYLOAD_MARKER:
        fields = [response[at] >> 4, response[at] & 15]
        at += 1
        for i, field in enumerate(fields):
            if field == 13:
                fields[i] = 13 + response[at]
                at += 1
            elif field == 14:
                fields[i] = 269 + int.from_bytes(response[at : at + 2], "big")
                at += 2
        option += fields[0]
        if option == BLOCK2:
            block = int.from_bytes(response[at : at + fields[1]], "big")
        at += fields[1]
    return block, response[at + 1 :]
