"""What the bench prints: when and where it was measured, the tables, what to mistrust in them."""

import datetime
import os
import shlex
import statistics
import sys

import programs

BUSY = 0.85  # of its processor, or the rate is not the server's own
TEXT_COLUMNS = ["workload", "server"]
NUMBER_COLUMNS = ["requests/s", "of the echo", "of libcoap", "p50 µs", "p99 µs"]
NUMBER_COLUMNS += ["server CPU", "client CPU", "answer B", "errors"]
NOT_MEASURED = "not measured"


def heading(arguments):
    """Return when, where and with which command this was measured."""
    command = ["python3", "tools/bench/bench.py", *sys.argv[1:]]
    lines = [
        f"{datetime.date.today()}, `{shlex.join(command)}`: medians of {arguments.rounds} "
        f"rounds of {arguments.seconds:g} s, {arguments.sockets} sockets with "
        f"{arguments.window} requests under way each.",
        f"{processor()}, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}; "
        f"{programs.version(programs.micropython())}; CPython {sys.version.split()[0]}.",
        "",
    ]
    return "\n".join(lines)


def processor():
    """Return the processor's name."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def markdown(text_columns, number_columns, rows):
    """Return a Markdown table; numbers stand on the right."""
    ruler = ["---"] * len(text_columns) + ["---:"] * len(number_columns)
    rows = [[*text_columns, *number_columns], ruler, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"


def rates(results, servers, workloads):
    """Return the table of rates and ratios."""
    rows = []
    for workload in workloads:
        for server in servers:
            if runs := results.get((workload.name, server.name)):
                echo = results.get((workload.name, "echo"))
                libcoap = results.get((workload.name, "libcoap"))
                rows.append(row(workload, server, runs, echo, libcoap))
    return markdown(TEXT_COLUMNS, NUMBER_COLUMNS, rows)


def row(workload, server, runs, echo, libcoap):
    """Return one line of the table."""

    def median(key):
        return statistics.median(run[key] for run in runs)

    return [
        workload.title,
        server.title,
        f"{median('rate'):,.0f}",
        f"{ratio(runs, echo):.2f}" if echo else "-",
        f"{ratio(runs, libcoap):.2f}" if libcoap else "-",
        f"{median('p50_us'):,.0f}",
        f"{median('p99_us'):,.0f}",
        f"{median('server_cpu'):.2f}",
        f"{median('client_cpu'):.2f}",
        f"{runs[-1]['answer_bytes']}",
        mistakes(runs),
    ]


def ratio(runs, others):
    """Return the median of the ratios of two servers' rates, each of the same round."""
    pairs = zip(runs, others, strict=True)
    return statistics.median(ours["rate"] / its["rate"] for ours, its in pairs)


def mistakes(runs):
    """Return the number of wrong answers, and the code that came last if codes were wrong."""
    bad_codes = sum(run["bad_codes"] for run in runs)
    count = bad_codes + sum(run["errors"] for run in runs)
    return f"{count} ({runs[-1]['code']})" if bad_codes else f"{count}"


def instructions(counted, baseline, workloads):
    """Return the table of instructions per request; counted: {workload: (echo, Mote)}."""
    rows = []
    boards = list(baseline)
    for workload in workloads:
        echo, mote = counted.get(workload.name, (None, None))
        cells = [number(mote), number(None if echo is None else mote - echo)]
        cells += [number(baseline[board].get(workload.name)) for board in boards]
        rows.append([workload.title, *cells])
    columns = ["x64, callgrind", "less the echo's"]
    return markdown(["instructions of Mote"], columns + [f"{b}, icount" for b in boards], rows)


def number(value):
    """Return a cell."""
    return NOT_MEASURED if value is None else f"{value:,.0f}"


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


def client_alone(runs):
    """Return a line that says what the load client can do at most, from loads of an echo in C."""
    rate = statistics.median(run["rate"] for run in runs)
    busy = statistics.median(run["client_cpu"] for run in runs)
    return (
        f"The load client against an echo in C: {rate:,.0f} requests/s, busy for {busy:.2f} "
        "of its processor. Nothing below is limited by it as long as client CPU is under 1.\n"
    )


def missed(results, workloads):
    """Return a line for each floor that Mote on MicroPython does not reach."""
    lines = []
    for workload in workloads:
        runs = results.get((workload.name, "mote-micropython"))
        for name, floor in workload.floors.items():
            others = results.get((workload.name, name))
            if runs and others and (found := ratio(runs, others)) < floor:
                lines.append(f"- {workload.title}: {found:.2f} of {name}, the floor is {floor}")
    return "\n".join(["\nBelow the floor:", *lines]) if lines else ""


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
