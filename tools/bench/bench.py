"""Requests per second of Mote and of other CoAP servers, by one closed-loop load client.

Every round loads every server with every workload in turn, so that a machine that slows down
slows all of them; medians over the rounds are printed as a Markdown table.
"""

import argparse
import datetime
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

import programs
from servers import HOST, SERVERS
from workloads import WORKLOADS

USUAL = ("echo", "mote-micropython", "mote-cpython", "libcoap", "aiocoap")
SERVER_CPU, CLIENT_CPU = 0, 1
BUSY = 0.85  # of its processor, or the rate is not the server's own
TEXT_COLUMNS = ["workload", "server"]
NUMBER_COLUMNS = ["requests/s", "of the echo", "of libcoap", "p50 µs", "p99 µs"]
NUMBER_COLUMNS += ["server CPU", "client CPU", "answer B", "errors"]


def main():
    """Run the bench; exit code 1 when a server answered wrongly, 2 when it cannot run."""
    arguments = parse()
    try:
        load = programs.c_program("load")
        servers = [SERVERS[name]() for name in arguments.servers]
        results = measure(load, servers, arguments)
    except programs.Problem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    print(heading(arguments))
    print(table(results, servers, arguments.workloads))
    print(legend(servers, arguments.workloads))
    print(warnings(results), end="")
    wrong = sum(r["errors"] + r["bad_codes"] for runs in results.values() for r in runs)
    return 1 if wrong else 0


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message):
        self.exit(2, f"bench: {message.removeprefix('argument ')}\n")


def parse():
    """Read the command line."""
    by_name = {workload.name: workload for workload in WORKLOADS}
    usual = (*USUAL, "microcoapy") if os.environ.get("MICROCOAPY") else USUAL
    parser = Parser(prog="bench.py", description="Compare the speed of CoAP servers.")
    parser.add_argument("--seconds", type=positive(float), default=2.0, help="of one load")
    parser.add_argument("--rounds", type=positive(int), default=5)
    parser.add_argument("--sockets", type=positive(int), default=8, help="of the load client")
    parser.add_argument("--window", type=positive(int), default=8, help="requests under way each")
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


def measure(load, servers, arguments):
    """Return what the load client reported: (workload, server) -> one dict per round."""
    results = {}
    pinned = (os.cpu_count() or 1) > 1
    options = ["--host", HOST, "--seconds", str(arguments.seconds)]
    options += ["--sockets", str(arguments.sockets), "--window", str(arguments.window)]
    options += ["--warmup", str(min(0.2, arguments.seconds / 2))]
    options += ["--cpu", str(CLIENT_CPU)] if pinned else []
    for round_number in range(arguments.rounds):
        with ExitStack() as running:
            for server in servers:
                running.callback(server.stop)
                server.start(SERVER_CPU if pinned else None)
            for workload in arguments.workloads:
                # Backwards every other round: a drift of the machine favours nobody.
                for server in servers[:: -1 if round_number % 2 else 1]:
                    if request := workload.requests.get(server.kind):
                        result = loaded([load, *options], server, request)
                        results.setdefault((workload.name, server.name), []).append(result)
    return results


def loaded(command, server, request):
    """Load one server with one request; return the report and the server's share of a CPU."""
    command = [*command, "--port", str(server.port), *request.arguments]
    if server.name.startswith("echo"):
        command.append("--echo")
    cpu_s, start = server.cpu_s(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    elapsed = time.monotonic() - start
    if done.returncode:
        what = f"{server.name}, {request.label}"
        raise programs.Problem(f"{what}: {done.stderr.strip() or 'the load client died'}")
    report = json.loads(done.stdout)
    report["server_cpu"] = (server.cpu_s() - cpu_s) / elapsed
    return report


def heading(arguments):
    """Return when, where and with which command this was measured."""
    command = ["python3", "tools/bench/bench.py", *sys.argv[1:]]
    micropython = programs.first_line(
        programs.micropython(), "-c", "import sys; print(sys.version.split('; ')[-1])"
    )
    lines = [
        f"{datetime.date.today()}, `{shlex.join(command)}`: medians of {arguments.rounds} "
        f"rounds of {arguments.seconds:g} s, {arguments.sockets} sockets with "
        f"{arguments.window} requests under way each.",
        f"{processor()}, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}; "
        f"{micropython}; CPython {sys.version.split()[0]}.",
        "",
    ]
    return "\n".join(lines)


def processor():
    """Return the processor's name."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def table(results, servers, workloads):
    """Return the Markdown table."""
    rows = [TEXT_COLUMNS + NUMBER_COLUMNS]
    rows.append(["---"] * len(TEXT_COLUMNS) + ["---:"] * len(NUMBER_COLUMNS))
    for workload in workloads:
        for server in servers:
            if runs := results.get((workload.name, server.name)):
                echo = results.get((workload.name, "echo"))
                libcoap = results.get((workload.name, "libcoap"))
                rows.append(row(workload, server, runs, echo, libcoap))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"


def row(workload, server, runs, echo, libcoap):
    """Return one line of the table."""

    def median(key):
        return statistics.median(run[key] for run in runs)

    def ratio(others):
        if not others:
            return "-"
        pairs = zip(runs, others, strict=True)  # of the same round
        return f"{statistics.median(ours['rate'] / its['rate'] for ours, its in pairs):.2f}"

    return [
        workload.title,
        server.title,
        f"{median('rate'):,.0f}",
        ratio(echo),
        ratio(libcoap),
        f"{median('p50_us'):,.0f}",
        f"{median('p99_us'):,.0f}",
        f"{median('server_cpu'):.2f}",
        f"{median('client_cpu'):.2f}",
        f"{runs[-1]['answer_bytes']}",
        mistakes(runs),
    ]


def mistakes(runs):
    """Return the number of wrong answers, and the code that came last if codes were wrong."""
    bad_codes = sum(run["bad_codes"] for run in runs)
    count = bad_codes + sum(run["errors"] for run in runs)
    return f"{count} ({runs[-1]['code']})" if bad_codes else f"{count}"


def legend(servers, workloads):
    """Return which request stands for a workload at each kind of server."""
    kinds = list(dict.fromkeys(s.kind for s in servers if not s.name.startswith("echo")))
    lines = []
    for workload in workloads:
        used = [
            f"{kind} {request.label}" for kind in kinds if (request := workload.requests.get(kind))
        ]
        if used:
            lines.append(f"- {workload.title}: {', '.join(used)}")
    return "\n".join(lines)


def warnings(results):
    """Return a line for each reason why a rate may not be the server's own."""
    idle, reused = [], []
    for names, runs in results.items():
        if statistics.median(run["server_cpu"] for run in runs) < BUSY:
            idle.append(", ".join(names))
        if any(run["mid_reused"] for run in runs):
            reused.append(", ".join(names))
    lines = ""
    if idle:
        lines += f"\nToo low, because other programs took the processor: {'; '.join(idle)}.\n"
    if reused:
        lines += f"\nMessage IDs came twice, use more --sockets: {'; '.join(reused)}.\n"
    return lines


if __name__ == "__main__":
    sys.exit(main())
