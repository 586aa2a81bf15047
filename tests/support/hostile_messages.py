"""Datagrams of every kind that makes a node keep something, work long, or send much."""

from support.engine import encode, uint

GET, POST, PUT, DELETE, FETCH = 1, 2, 3, 4, 5
PATH, QUERY, ACCEPT, BLOCK2, BLOCK1, OSCORE, OBSERVE = 11, 15, 17, 23, 27, 9, 6
PATHS = (
    "s/contact",
    "s/tamper",
    "s/contact/events",
    "s/batt",
    "s/hr",
    "s/temp",
    "s/batch",
    "s/accel",
    "diag",
    "diag/log",
    "dev",
    "config",
    ".well-known/core",
)
FORMATS = (0, 40, 50, 60, 110, 112)
KID = b"\x09\x7f\x02"  # OSCORE option of a request from the client of these keys


def hostile(chance):
    """Return a datagram of one of the kinds that make a node put something into its heap."""

    def message(code, path="", options=(), payload=b"", kind=0):
        segments = [(PATH, part.encode()) for part in path.split("/") if part]
        token = chance.randbytes(chance.randrange(9))
        mid = chance.randrange(65536)
        return encode(kind, code, mid, token, segments + list(options), payload)

    path = chance.choice(PATHS)
    queries = [(QUERY, b"c.pmin=1"), (QUERY, b"c.pmax=5")]
    accept = [(ACCEPT, uint(chance.choice(FORMATS)))]
    szx = chance.randrange(7)
    block = uint(chance.randrange(4) << 4 | 8 | szx)
    kinds = (
        lambda: message(GET, path, accept, kind=chance.randrange(2)),
        lambda: message(GET, path, [(OBSERVE, b"")] + queries[: chance.randrange(3)] + accept),
        lambda: message(GET, path, [(BLOCK2, uint(chance.randrange(4) << 4 | szx))] + accept),
        lambda: message(GET, path, [(QUERY, b"href=/" + b"s" * szx), (QUERY, b"rt=*")]),
        lambda: message(chance.choice((GET, FETCH, PUT)), path, [(BLOCK1, block)], b"y" * 16),
        lambda: message(PUT, path, [(BLOCK1, uint(8 | szx))], b"y" * (16 << szx)),
        lambda: message(POST, "", [(OSCORE, KID)], chance.randbytes(chance.randrange(9, 1110))),
        lambda: message(FETCH, "", [(OSCORE, chance.randbytes(chance.randrange(12)))], b"x" * 30),
        lambda: message(PUT, "config", [], chance.randbytes(chance.randrange(1100))),
        lambda: message(DELETE, "/".join(["x" * szx] * chance.randrange(20))),
        lambda: encode(chance.choice((0, 2, 3)), 0, chance.randrange(65536)),
        lambda: message(chance.randrange(0x40, 0xA0), "", [], b"z" * szx),
        lambda: chance.randbytes(chance.randrange(1200)),
    )
    return chance.choice(kinds)()
