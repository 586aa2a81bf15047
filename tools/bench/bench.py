"""Requests per second of Mote and of other CoAP servers, by one closed-loop load client.

Every round loads every server with every workload in turn, so that a machine that slows down
slows all of them; medians over the rounds are printed as a Markdown table. Instructions per
request, which hardly change with what else the machine does, stand in a second one.
"""

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from contextlib import ExitStack

import instructions
import programs
import tables
from servers import HOST, SERVERS
from workloads import CONTACT, WORKLOADS

from setup.console import Arguments

USUAL = ("echo", "mote-micropython", "mote-cpython", "libcoap", "aiocoap")
WARMUP_S = 0.1
UPLOAD_S = 60


def main():
    """Run the bench; exit code 1 when a server answered wrongly, 2 when it cannot run."""
    arguments = parse()
    try:
        servers = [SERVERS[name]() for name in arguments.servers]
        results = measure(servers, arguments)
        counted, why = count(arguments)
    except programs.Problem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    print(tables.heading(arguments))
    print(tables.client_alone(results.pop("alone")))
    print(tables.rates(results, servers, arguments.workloads))
    print(tables.instructions(counted, instructions.baseline(), arguments.workloads))
    print(why, end="")
    print(tables.legend(servers, arguments.workloads))
    print(tables.missed(results, arguments.workloads))
    print(tables.warnings(results), end="")
    wrong = sum(r["errors"] + r["bad_codes"] for runs in results.values() for r in runs)
    return 1 if wrong else 0


def parse():
    """Read the command line."""
    by_name = {workload.name: workload for workload in WORKLOADS}
    usual = (*USUAL, "microcoapy") if os.environ.get("MICROCOAPY") else USUAL
    parser = Arguments(prog="bench.py", description="Compare the speed of CoAP servers.")
    parser.add_argument("--seconds", type=positive(float), default=0.5, help="of one load")
    parser.add_argument("--rounds", type=positive(int), default=5)
    parser.add_argument("--sockets", type=positive(int), default=8, help="of the load client")
    parser.add_argument("--window", type=positive(int), default=8, help="requests under way each")
    parser.add_argument(
        "--no-instructions", action="store_true", help="do not count them with valgrind"
    )
    for name, known, default in (
        ("servers", SERVERS, usual),
        ("workloads", by_name, tuple(by_name)),
    ):
        parser.add_argument(
            f"--{name}",
            type=names_of(known),
            default=default,
            metavar="A,B",
            help=f"of {', '.join(known)}",
        )
    arguments = parser.parse_args()
    arguments.workloads = [by_name[name] for name in arguments.workloads]
    return arguments


def positive(kind):
    """Return a parser of a positive number."""

    def parse_number(text):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value <= 600:
            raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and up to 600")
        return value

    return parse_number


def names_of(known):
    """Return a parser of a list of known names."""

    def parse_names(text):
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
        return text.split(",")

    return parse_names


def measure(servers, arguments):
    """Return what the load clients reported: (workload, server) -> one dict per round.

    "alone" -> what the load client itself can do, against an echo in C.
    """
    results = {}
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    server_cpu, client_cpu = cpus[:2] if len(cpus) > 1 else (None, None)
    options = ["--host", HOST, "--seconds", str(arguments.seconds)]
    options += ["--sockets", str(arguments.sockets), "--window", str(arguments.window)]
    options += ["--warmup", str(min(WARMUP_S, arguments.seconds / 2))]
    options += ["--cpu", str(client_cpu)] if client_cpu is not None else []
    echo = SERVERS["echo-c"]()
    for round_number in range(arguments.rounds):
        with ExitStack() as running:
            for server in [*servers, echo]:
                running.callback(server.stop)
                server.start(server_cpu)
            results.setdefault("alone", []).append(loaded(options, echo, CONTACT))
            for workload in arguments.workloads:
                # Backwards every other round: a drift of the machine favours nobody.
                for server in servers[:: -1 if round_number % 2 else 1]:
                    request = workload.requests.get(server.kind)
                    if request and (request.echoed or not server.echoes):
                        result = loaded(options, server, request)
                        results.setdefault((workload.name, server.name), []).append(result)
    return results


def loaded(options, server, request):
    """Load one server with one request; return the report and the server's share of a CPU."""
    command = [programs.c_program(request.program), *options]
    command += ["--port", str(server.port), *request.arguments]
    if server.echoes:
        command.append("--echo")
    what = f"{server.name}, {request.label}"
    if request.before:
        asyncio.run(upload(server, *request.before))
    cpu_s, start = server.cpu_s(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    elapsed = time.monotonic() - start
    if done.returncode:
        raise programs.Problem(f"{what}: {done.stderr.strip() or 'the load client died'}")
    report = json.loads(done.stdout)
    report["server_cpu"] = (server.cpu_s() - cpu_s) / elapsed
    return report


async def upload(server, path, payload):
    """PUT a payload of any length, in blocks if need be."""
    import aiocoap  # here, for those who load servers that need no upload and lack it

    logging.getLogger("coap").setLevel(logging.ERROR)  # it dislikes libcoap's answers to blocks
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    message = aiocoap.Message(
        code=aiocoap.PUT,
        uri=f"coap://{HOST}:{server.port}/{path}",
        payload=payload,
        content_format=0,
    )
    try:
        answer = await asyncio.wait_for(context.request(message).response, UPLOAD_S)
    except (aiocoap.error.Error, TimeoutError) as error:
        raise programs.Problem(f"{server.name}, PUT /{path}: {error!r}") from None
    finally:
        await context.shutdown()
    if not answer.code.is_successful():
        raise programs.Problem(f"{server.name}, PUT /{path}: {answer.code}")


def count(arguments):
    """Return the instructions that callgrind counts, and a line that says why there are none."""
    if arguments.no_instructions:
        return {}, ""
    try:
        return instructions.counted(arguments.workloads), ""
    except programs.Problem as problem:
        return {}, f"Instructions of x64: {problem}.\n\n"


if __name__ == "__main__":
    sys.exit(main())
