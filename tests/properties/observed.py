"""What scan() and View find in a datagram, as plain values. Runs on CPython and MicroPython.

As a program (on MicroPython) it answers each line of standard input, `longest token, hexadecimal
datagram`, with one line of output.
"""

import sys

from coap.codec import (
    BAD_METHOD_OR_SIZE,
    CODE,
    DROP,
    FLAGS,
    IX_ACCEPT,
    IX_BLOCK1,
    IX_BLOCK2,
    IX_CONTENT_FORMAT,
    IX_ECHO,
    IX_ETAG,
    IX_IF_MATCH,
    IX_IF_NONE_MATCH,
    IX_LOCATION_PATH,
    IX_LOCATION_QUERY,
    IX_MAX_AGE,
    IX_NO_RESPONSE,
    IX_OBSERVE,
    IX_OSCORE,
    IX_PROXY,
    IX_REQUEST_TAG,
    IX_SIZE1,
    IX_SIZE2,
    IX_UNKNOWN,
    IX_URI_HOST,
    IX_URI_PATH,
    IX_URI_PORT,
    IX_URI_QUERY,
    MID,
    NON_REQUEST,
    NOT_REQUEST,
    PAYLOAD,
    REQUEST,
    SEND_RESET,
    SIZE,
    TYPE,
    UNSAFE,
    parse,
)
from coap.message import MessageView

UINTS = {
    6: IX_OBSERVE,
    7: IX_URI_PORT,
    12: IX_CONTENT_FORMAT,
    14: IX_MAX_AGE,
    17: IX_ACCEPT,
    23: IX_BLOCK2,
    27: IX_BLOCK1,
    28: IX_SIZE2,
    60: IX_SIZE1,
    258: IX_NO_RESPONSE,
}
OPAQUE = {
    1: IX_IF_MATCH,
    3: IX_URI_HOST,
    4: IX_ETAG,
    5: IX_IF_NONE_MATCH,
    8: IX_LOCATION_PATH,
    9: IX_OSCORE,
    11: IX_URI_PATH,
    15: IX_URI_QUERY,
    20: IX_LOCATION_QUERY,
    35: IX_PROXY,  # and 39
    252: IX_ECHO,
    292: IX_REQUEST_TAG,
}
# What lies behind a datagram in its buffer must not matter: here it would be more options.
BEHIND = bytes(range(0x10, 0x30)) * 10

_views = {}


def observe(longest_token, data, buf):
    """Return a dict of what is found in buf[: len(data)], which holds `data`.

    One View serves all datagrams, as in a node: nothing may remain of the one before.
    """
    view = _views.get(longest_token)
    if view is None:
        view = _views[longest_token] = MessageView(token_max=longest_token)
    view.buf = buf
    flags = parse(buf, len(data), view.index, b"\0")
    if flags & DROP:
        return {"answer": "silence"}
    found = {"mid": view.index[MID]}
    if flags & SEND_RESET:
        found["answer"] = "reset"
        return found
    found["answer"] = None
    found["type"] = view.index[TYPE]
    found["code"] = view.index[CODE]
    found["token"] = view.token()
    found["payload at"] = view.index[PAYLOAD]
    found["payload"] = bytes(view.payload())
    found["size"] = view.index[SIZE]
    found["request"] = flags & REQUEST != 0 and not flags & NOT_REQUEST
    found["non"] = flags & NON_REQUEST != 0
    found["unsafe"] = flags & UNSAFE != 0
    found["odd"] = flags & BAD_METHOD_OR_SIZE != 0
    found["refused"] = flags >> IX_UNKNOWN & 1 != 0
    found["flags kept"] = flags == view.index[FLAGS]
    options = found["options"] = {}
    for number, slot in UINTS.items():
        if view.has(slot):
            options[number] = view.uint(slot)
    for number, slot in OPAQUE.items():
        if view.has(slot):
            options[number] = view.values(slot)
    return found


def main():
    while True:
        line = sys.stdin.readline().split()
        if not line:
            break
        data = bytes.fromhex(line[1][1:])
        print(observe(int(line[0]), data, data + BEHIND))


if __name__ == "__main__":
    main()
