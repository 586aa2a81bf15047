"""The requests of the bench. Each server has resources of its own: the nearest one is taken."""

from dataclasses import dataclass, field

JSON = "50"
SENML_CBOR = "112"
BODY = bytes(97 + i % 23 for i in range(4096))  # as blocks.h expects it
OBSERVERS = 8


@dataclass(frozen=True)
class Request:
    """One request: the load client's arguments, and the name for the table's legend."""

    label: str
    path: str
    arguments: tuple
    program: str = "load"  # which client sends it
    echoed: bool = True  # has a meaning for a server that echoes
    upload: bool = False  # a PUT of BODY comes first


@dataclass(frozen=True)
class Workload:
    """One kind of request, for every kind of server that has a comparable resource."""

    name: str
    title: str
    requests: dict  # kind of server -> Request
    floors: dict = field(default_factory=lambda: {"libcoap": 0.6})  # Mote's rate by a server's


def get(path, *more, expect="2.05"):
    """Return a CON GET."""
    arguments = ("--path", path, "--expect", expect, *more)
    return Request(
        " ".join([f"GET /{path}", *more]).replace("--accept", "Accept"), path, arguments
    )


def put(path, *more):
    """Return a CON PUT of a configuration."""
    arguments = ("--method", "put", "--path", path, "--payload", '{"heartbeat_s": 60}')
    arguments += ("--content-format", JSON, "--expect", "2.04", *more)
    return Request(f"PUT /{path}", path, arguments)


def blocks(path, upload=False):
    """Return a GET of BODY in blocks, which counts once."""
    arguments = ("--path", path, "--body", str(len(BODY)), "--expect", "2.05", "--window", "1")
    return Request(f"GET /{path}", path, arguments, echoed=False, upload=upload)


def observe(path):
    """Return PUTs to an observed resource, one at a time; the notifications count."""
    arguments = ("--path", path, "--sockets", str(OBSERVERS), "--window", "1")
    return Request(f"PUT /{path}", path, arguments, program="observe_load", echoed=False)


CONTACT = get("s/contact")
NOT_FOUND = get("no/such", expect="4.04")
DISCOVERY = get(".well-known/core")

WORKLOADS = (
    Workload(
        "get",
        "GET one value",
        {
            "mote": CONTACT,
            "mote limited": CONTACT,
            "libcoap": get("time"),
            "aiocoap": CONTACT,
            "microcoapy": CONTACT,
        },
        {"echo": 0.5, "libcoap": 1.0, "aiocoap": 15},
    ),
    Workload(
        # libcoap's server has nothing in SenML: the same request for its clock.
        "senml",
        "GET SenML-CBOR",
        {
            "mote": get("s/contact", "--accept", SENML_CBOR),
            "libcoap": get("time", "--accept", SENML_CBOR),
        },
    ),
    Workload(
        "not-found",
        "GET, 4.04",
        dict.fromkeys(("mote", "mote limited", "libcoap", "aiocoap", "microcoapy"), NOT_FOUND),
    ),
    Workload(
        "put",
        "PUT configuration",
        {
            "mote": put("config"),
            "mote limited": put("config"),
            "libcoap": put("example_data"),
        },
    ),
    Workload(
        # Every socket repeats one message: the first is executed, the response to all others is
        # the cached one. libcoap's server has no cache and executes each.
        "duplicate",
        "duplicate CON PUT",
        {"mote": put("config", "--duplicate"), "libcoap": put("example_data", "--duplicate")},
    ),
    Workload(
        "discovery",
        "discovery",  # with limits its first block, once the budget for longer ones is used
        dict.fromkeys(("mote", "mote limited", "libcoap", "aiocoap"), DISCOVERY),
    ),
    Workload(
        "block",
        "GET of 4 KB, Block2",
        {
            "mote": blocks("bench/body"),
            "libcoap": blocks("example_data", upload=True),
            "aiocoap": blocks("bench/body"),
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
