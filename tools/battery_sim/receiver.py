"""Runs a simulated node on a battery and the receiver of its reports, and prints both.

    .venv/bin/python tools/battery_sim/receiver.py --app door --speed 60 --port 5683

The node is that of live.py. Prints `ready coap://HOST:PORT` when the receiver listens. Lines on
stdin go to the node; the end of stdin ends both.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aiocoap
import aiocoap.resource
import cbor2

sys.path.append(str(Path(__file__).resolve().parent.parent))

from battery_sim import run  # noqa: E402
from host.device import Problem  # noqa: E402
from setup import console  # noqa: E402

# Labels of SenML in CBOR (RFC 8428 section 6)
NAME, UNIT, VALUE, STRING, BOOLEAN, TIME = 0, 1, 2, 3, 4, 6
BASE_TIME = -3
STATES = {"contact": ("closed", "open"), "tamper": ("lid on", "lid off")}
NONE_WAIT = cbor2.dumps(0)  # the receiver has no requests for the node


class Reports(aiocoap.resource.Resource, aiocoap.resource.PathCapable):
    """/r/NODE: prints each report that is posted there."""

    async def render_post(self, request):
        """Print the records of a report; respond with 2.04, or 4.00 if it is no SenML pack."""
        node = "/".join(request.opt.uri_path)
        try:
            text = describe(cbor2.loads(request.payload))
        except (ValueError, TypeError, KeyError, AttributeError):
            return aiocoap.Message(code=aiocoap.BAD_REQUEST, payload=b"must be SenML in CBOR")
        print(f"         report of {node}: {text}", flush=True)
        return aiocoap.Message(code=aiocoap.CHANGED, payload=NONE_WAIT)


def describe(records):
    """Return the records of a SenML pack as text, like "contact open 2 s ago, batt 83 %EL"."""
    texts = []
    base_s = 0
    for record in records:
        base_s = record.get(BASE_TIME, base_s)
        name = record[NAME]
        value = record.get(BOOLEAN, record.get(STRING, record.get(VALUE)))
        if name in STATES and BOOLEAN in record:
            value = STATES[name][record[BOOLEAN]]
        unit = record.get(UNIT, "")
        age_s = -(base_s + record.get(TIME, 0))
        when = f" {age_s} s ago" if age_s else ""
        texts.append(f"{name} {value}{' ' * bool(unit)}{unit}{when}")
    return ", ".join(texts)


async def serve(options):
    """Receive reports until the node ends; return its exit code."""
    site = aiocoap.resource.Site()
    site.add_resource(["r"], Reports())
    context = await aiocoap.Context.create_server_context(
        site, bind=(options.host, options.port), transports=["udp6"]
    )
    with tempfile.TemporaryDirectory() as flash:
        node = start(options, Path(flash))
        try:
            print(f"ready coap://{options.host}:{options.port}", flush=True)
            return await asyncio.to_thread(node.wait)
        finally:
            node.terminate()
            node.wait()
            await context.shutdown()


def start(options, flash):
    """Start the node of the command line in the folder `flash`; return its process."""
    # A receiver that listens on all addresses of this computer gets reports at one.
    host = "127.0.0.1" if options.host == "0.0.0.0" else options.host
    gateway = f"coap://{host}:{options.port}"
    return run.start_live(flash, options.app, f"{options.app}-1", gateway, host, options.speed)


def parse(argv):
    """Return the command line as a namespace."""
    parser = console.Arguments(prog="receiver", description=__doc__.splitlines()[0])
    parser.add_argument("--app", choices=("door", "wearable"), default="door")
    parser.add_argument("--speed", type=int, default=60)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5683)
    return parser.parse_args(argv)


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(serve(parse(sys.argv[1:]))))
    except KeyboardInterrupt:
        pass
    except (Problem, console.Problem) as problem:
        console.fail(problem)
