"""What the servers are asked. Each server has resources of its own: the nearest one is taken."""

from dataclasses import dataclass

JSON = 50
CONFIG = '{"heartbeat_s": 60}'


@dataclass(frozen=True)
class Request:
    """One request: what the load client is told, and how the table's legend names it."""

    label: str
    arguments: tuple


@dataclass(frozen=True)
class Workload:
    """One kind of request for every kind of server that has something like it."""

    name: str
    title: str
    requests: dict  # kind of server -> Request


def get(path, expect="2.05"):
    """Return a CON GET."""
    return Request(f"GET /{path}", ("--path", path, "--expect", expect))


def put(path, payload, content_format, *more):
    """Return a CON PUT that is answered 2.04."""
    arguments = ("--method", "put", "--path", path, "--payload", payload, "--expect", "2.04")
    arguments += ("--content-format", str(content_format), *more)
    return Request(f"PUT /{path}", arguments)


def everywhere(request):
    """Return the same request for every kind of server."""
    return dict.fromkeys(("mote", "libcoap", "aiocoap", "microcoapy"), request)


CONTACT = get("s/contact")

WORKLOADS = (
    Workload(
        "get",
        "GET one value",
        {"mote": CONTACT, "libcoap": get("time"), "aiocoap": CONTACT, "microcoapy": CONTACT},
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
        # Every socket sends one Message ID again and again: the first is executed, all others
        # are answered from memory. libcoap's server remembers none and executes each.
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
)
