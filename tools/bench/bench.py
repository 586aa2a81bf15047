"""Requests per second of Mote and of other CoAP servers, by one closed-loop load client.

Every round loads every server with every workload, one after the other, so that a machine that
slows down affects all of them; medians over the rounds are printed as a Markdown table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack

import programs
import tables
from servers import HOST, SERVERS
from workloads import BODY, WORKLOADS

from setup.console import Arguments

USUAL = ("echo", "mote-micropython", "mote-limited", "mote-cpython", "libcoap", "aiocoap")
WARMUP_S = 0.1
UPLOAD_S = 60


def main():
    """Run the bench; exit code 1 when a response was wrong, 2 when it cannot run."""
    arguments = parse(sys.argv[1:], "bench.py", "Compare the speed of CoAP servers.")
    try:
        servers = [SERVERS[name]() for name in arguments.servers]
        results = measure(servers, arguments)
        print(tables.heading("bench", arguments))
        print(tables.rates(results, servers, arguments.workloads))
        print(tables.legend(servers, arguments.workloads), end="")
        print(tables.warnings(results, arguments.workloads))
    except programs.Problem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    return 1 if any(run["errors"] + run["bad_codes"] for r in results.values() for run in r) else 0


def parse(argv, prog, description):
    """Return the arguments of the command line."""
    by_name = {workload.name: workload for workload in WORKLOADS}
    usual = (*USUAL, "microcoapy") if os.environ.get("MICROCOAPY") else USUAL
    parser = Arguments(prog=prog, description=description)
    parser.add_argument("--seconds", type=positive(float), default=0.5, help="of one load")
    parser.add_argument("--rounds", type=positive(int), default=5)
    parser.add_argument("--sockets", type=positive(int), default=8, help="of the load client")
    parser.add_argument("--window", type=positive(int), default=8, help="requests under way each")
    for option, known, default in (
        ("--servers", SERVERS, usual),
        ("--workloads", by_name, tuple(by_name)),
    ):
        names = f"of {', '.join(known)}"
        parser.add_argument(
            option, type=names_of(known), default=default, metavar="A,B", help=names
        )
    arguments = parser.parse_args(argv)
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
    """Return {(workload, server): one report of the load client per round}. Raises Problem."""
    results = {}
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    server_cpu, client_cpu = cpus[:2] if len(cpus) > 1 else (None, None)
    options = ["--host", HOST, "--seconds", str(arguments.seconds)]
    options += ["--sockets", str(arguments.sockets), "--window", str(arguments.window)]
    options += ["--warmup", str(min(WARMUP_S, arguments.seconds / 2))]
    options += ["--cpu", str(client_cpu)] if client_cpu is not None else []
    for round_number in range(arguments.rounds):
        with ExitStack() as running:
            for server in servers:
                running.callback(server.stop)
                server.start(server_cpu)
            for workload in arguments.workloads:
                # Backwards every other round: a drift of the machine favours no server.
                for server in servers[:: -1 if round_number % 2 else 1]:
                    request = workload.requests.get(server.kind)
                    if request and (request.echoed or not server.echoes):
                        runs = results.setdefault((workload.name, server.name), [])
                        runs.append(load(options, server, request))
    return results


def load(options, server, request):
    """Load one server with one request; return the report and the server's share of a CPU."""
    command = [programs.load_client(request.program), *options]
    command += ["--port", str(server.port), *request.arguments]
    if server.echoes:
        command.append("--echo")
    if request.upload:
        upload(server, request)
    cpu_s, start = server.cpu_s(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    elapsed = time.monotonic() - start
    if done.returncode:
        why = done.stderr.strip() or "the load client died"
        raise programs.Problem(f"{server.name}, {request.label}: {why}")
    report = json.loads(done.stdout)
    report["server_cpu"] = (server.cpu_s() - cpu_s) / elapsed
    return report


def upload(server, request):
    """PUT, in blocks, the body that a request then reads. Raises Problem."""
    uri = f"coap://{HOST}:{server.port}/{request.path}"
    with tempfile.NamedTemporaryFile() as file:
        file.write(BODY)
        file.flush()
        command = [
            programs.libcoap("coap-client"),
            "-m",
            "put",
            "-b",
            "1024",
            "-f",
            file.name,
            uri,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=UPLOAD_S)
    if done.stdout.strip() or done.stderr.strip():
        raise programs.Problem(f"{server.name}, PUT {uri}: {(done.stderr or done.stdout).strip()}")


if __name__ == "__main__":
    sys.exit(main())
