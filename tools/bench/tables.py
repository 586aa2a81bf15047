"""What the bench prints: when and where it was measured, the table, warnings."""

import datetime
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import programs

BUSY = 0.85  # of its processor, or the rate is not the server's own
TEXT_COLUMNS = ["workload", "server"]
NUMBER_COLUMNS = ["requests/s", "of the echo", "of libcoap", "p50 µs", "p99 µs"]
NUMBER_COLUMNS += ["server CPU", "client CPU", "response B", "errors"]


def heading(target, arguments):
    """Return two lines: when, where and by which `make` this was measured."""
    command = f"make {target}"
    if len(sys.argv) > 1:
        command += f" BENCH='{' '.join(sys.argv[1:])}'"
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(": ")[1] for line in cpuinfo if line.startswith("model name")]
    version = "import sys; print(sys.version.split('; ')[-1])"
    interpreter = subprocess.run(
        [programs.micropython(), "-c", version], capture_output=True, text=True
    )
    return (
        f"{datetime.date.today()}, `{command}`: medians of {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s, {arguments.sockets} sockets with {arguments.window} requests "
        f"under way each.\n{(models or ['unknown processor'])[0]}, {os.cpu_count()} processors, "
        f"load average {os.getloadavg()[0]:.1f}; {interpreter.stdout.strip()}; "
        f"CPython {platform.python_version()}.\n"
    )


def markdown(text_columns, number_columns, rows):
    """Return a Markdown table; numbers stand on the right."""
    ruler = ["---"] * len(text_columns) + ["---:"] * len(number_columns)
    rows = [[*text_columns, *number_columns], ruler, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"


def median(runs, key):
    """Return the median of one number of several reports."""
    return statistics.median(run[key] for run in runs)


def ratio(runs, others):
    """Return the median ratio of two servers' rates in the same round, None if one is missing."""
    if not runs or not others:
        return None
    pairs = zip(runs, others, strict=True)
    return statistics.median(ours["rate"] / its["rate"] for ours, its in pairs)


def rate_and_ratios(runs, *others):
    """Return cells: the rate, and its ratio to the rate of each other server, "-" without one."""
    ratios = (ratio(runs, its) for its in others)
    return [
        f"{median(runs, 'rate'):,.0f}",
        *("-" if found is None else f"{found:.2f}" for found in ratios),
    ]


def rates(results, servers, workloads):
    """Return the table of rates and ratios; results: {(workload, server): round reports}."""
    rows = []
    for workload in workloads:
        runs = {server.name: results.get((workload.name, server.name)) for server in servers}
        for server in servers:
            if ours := runs[server.name]:
                cells = rate_and_ratios(ours, runs.get("echo"), runs.get("libcoap"))
                rows.append([workload.title, server.title, *cells, *details(ours)])
    return markdown(TEXT_COLUMNS, NUMBER_COLUMNS, rows)


def details(runs):
    """Return the cells behind the ratios."""
    return [
        f"{median(runs, 'p50_us'):,.0f}",
        f"{median(runs, 'p99_us'):,.0f}",
        f"{median(runs, 'server_cpu'):.2f}",
        f"{median(runs, 'client_cpu'):.2f}",
        f"{runs[-1]['response_bytes']}",
        errors(runs),
    ]


def errors(runs):
    """Return the number of wrong responses, and the last code if codes were wrong."""
    bad_codes = sum(run["bad_codes"] for run in runs)
    count = bad_codes + sum(run["errors"] for run in runs)
    return f"{count} ({runs[-1]['code']})" if bad_codes else f"{count}"


def legend(servers, workloads):
    """Return which request stands for a workload at each kind of server."""
    kinds = list(dict.fromkeys(s.kind for s in servers if not s.echoes))
    lines = []
    for workload in workloads:
        used = [f"{kind} {r.label}" for kind in kinds if (r := workload.requests.get(kind))]
        if used:
            lines.append(f"- {workload.title}: {', '.join(used)}\n")
    return "".join(lines)


def warnings(results, workloads):
    """Return a line for each rate below its floor, and for rates that are not the server's own."""
    lines = []
    for workload in workloads:
        for name, floor in workload.floors.items():
            runs = results.get((workload.name, "mote-micropython"))
            share = ratio(runs, results.get((workload.name, name)))
            if share is not None and share < floor:
                lines.append(
                    f"Below the floor of {floor}: {workload.title}, {share:.2f} of {name}"
                )
    for title, is_wrong in (
        ("Too low, because other programs took the processor", lambda r: r["server_cpu"] < BUSY),
        ("Message IDs came twice, use more --sockets", lambda r: r["mid_reused"]),
    ):
        where = [", ".join(names) for names, runs in results.items() if any(map(is_wrong, runs))]
        lines += [f"{title}: {'; '.join(where)}"] if where else []
    return "\n".join(["", *lines])
