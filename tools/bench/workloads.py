"""The requests of the bench. Each server has resources of its own: the nearest one is taken."""

from dataclasses import dataclass, field

JSON = 50
SENML_CBOR = 112
BODY_BYTES = 4096
OBSERVERS = 8
CONFIG = '{"heartbeat_s": 60}'


@dataclass(frozen=True)
class Request:
    """One request: the load client's arguments, and the name for the table's legend."""

    label: str
    arguments: tuple
    program: str = "load"  # which client sends it
    echoed: bool = True  # has a meaning for a server that echoes
    upload: tuple = ()  # (path, payload) of a PUT that creates the resource


@dataclass(frozen=True)
class Workload:
    """One kind of request for every kind of server that has something like it."""

    name: str
    title: str
    requests: dict  # kind of server -> Request
    floors: dict = field(default_factory=lambda: {"libcoap": 0.6})  # Mote's rate by a server's


def get(path, expect="2.05", accept=None):
    """Return a CON GET."""
    arguments = ("--path", path, "--expect", expect)
    if accept is not None:
        return Request(f"GET /{path}, Accept {accept}", (*arguments, "--accept", str(accept)))
    return Request(f"GET /{path}", arguments)


def put(path, payload, content_format, *more):
    """Return a CON PUT whose response is 2.04."""
    arguments = ("--method", "put", "--path", path, "--payload", payload, "--expect", "2.04")
    arguments += ("--content-format", str(content_format), *more)
    return Request(f"PUT /{path}", arguments)


def blocks(path, upload):
    """Return a GET of a body in blocks, which counts once; `upload` puts it there."""
    body = bytes(97 + i % 23 for i in range(BODY_BYTES))  # as blocks.h expects it
    return Request(
        f"GET /{path}",
        ("--path", path, "--body", str(BODY_BYTES), "--expect", "2.05", "--window", "1"),
        echoed=False,
        upload=(path, body) if upload else (),
    )


def observe(path):
    """Return PUTs to an observed resource, one at a time; the notifications count."""
    arguments = ("--path", path, "--sockets", str(OBSERVERS), "--window", "1")
    return Request(f"PUT /{path}", arguments, program="observe_load", echoed=False)


def everywhere(request):
    """Return the same request for every kind of server."""
    return dict.fromkeys(("mote", "libcoap", "aiocoap", "microcoapy"), request)


CONTACT = get("s/contact")

WORKLOADS = (
    Workload(
        "get",
        "GET one value",
        {"mote": CONTACT, "libcoap": get("time"), "aiocoap": CONTACT, "microcoapy": CONTACT},
        {"echo": 0.5, "libcoap": 1.0, "aiocoap": 15},
    ),
    Workload(
        # libcoap's server has nothing in SenML: the same request for its clock.
        "senml",
        "GET SenML-CBOR",
        {"mote": get("s/contact", accept=SENML_CBOR), "libcoap": get("time", accept=SENML_CBOR)},
    ),
    Workload("not-found", "GET, 4.04", everywhere(get("no/such", "4.04"))),
    Workload(
        "put",
        "PUT configuration",
        {
            "mote": put("config", CONFIG, JSON),
            "libcoap": put("example_data", CONFIG, JSON),
        },
    ),
    Workload(
        # Every socket repeats one message: the first is executed, the response to all others is
        # the cached one. libcoap's server has no cache and executes each.
        "duplicate",
        "duplicate CON PUT",
        {
            "mote": put("config", CONFIG, JSON, "--duplicate"),
            "libcoap": put("example_data", CONFIG, JSON, "--duplicate"),
        },
    ),
    Workload(
        "discovery",
        "discovery",
        {kind: get(".well-known/core") for kind in ("mote", "libcoap", "aiocoap")},
    ),
    Workload(
        "block",
        "GET of 4 KB, Block2",
        {
            "mote": blocks("bench/body", upload=False),
            "libcoap": blocks("example_data", upload=True),
            "aiocoap": blocks("bench/body", upload=True),
        },
    ),
    Workload(
        "observe",
        f"notification of {OBSERVERS} observers",
        {
            "mote": observe("bench/state"),
            "libcoap": observe("example_data"),
            "aiocoap": observe("bench/state"),
        },
    ),
)
