"""What scan() and View find in a datagram, as plain values. Runs on CPython and MicroPython.

As a program (on MicroPython) it answers each line of standard input, `longest token, hexadecimal
datagram`, with one line of output.
"""

import sys

import slots as s
from coap.message import View

UINTS = {
    6: s.OBSERVE,
    7: s.URI_PORT,
    12: s.CONTENT_FORMAT,
    14: s.MAX_AGE,
    17: s.ACCEPT,
    23: s.BLOCK2,
    27: s.BLOCK1,
    28: s.SIZE2,
    60: s.SIZE1,
    258: s.NO_RESPONSE,
}
OPAQUE = {
    1: s.IF_MATCH,
    3: s.URI_HOST,
    4: s.ETAG,
    5: s.IF_NONE_MATCH,
    8: s.LOCATION_PATH,
    9: s.OSCORE,
    11: s.URI_PATH,
    15: s.URI_QUERY,
    20: s.LOCATION_QUERY,
    35: s.PROXY,  # and 39
    252: s.ECHO,
    292: s.REQUEST_TAG,
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
        view = _views[longest_token] = View(token_max=longest_token)
    view.buf = buf
    flags = s.scan(buf, len(data), view.r, b"\0")
    if flags & s.SILENT:
        return {"answer": "silence"}
    found = {"mid": view.r[s.MID]}
    if flags & s.REFUSE:
        found["answer"] = "reset"
        return found
    found["answer"] = None
    found["type"] = view.r[s.TYPE]
    found["code"] = view.r[s.CODE]
    found["token"] = view.token()
    found["payload at"] = view.r[s.PAYLOAD]
    found["payload"] = bytes(view.payload())
    found["size"] = view.r[s.SIZE]
    found["request"] = flags & s.REQUEST != 0 and not flags & s.OTHER
    found["non"] = flags & s.NON != 0
    found["unsafe"] = flags & s.UNSAFE != 0
    found["odd"] = flags & s.ODD != 0
    found["refused"] = flags >> s.UNKNOWN & 1 != 0
    found["flags kept"] = flags == view.r[s.FLAGS]
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
