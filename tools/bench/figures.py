"""Measure what README.md quotes and write it there, between two marks: `make figures`.

Takes the arguments of bench.py. Exit code 2 when something cannot be measured; README.md is then
left as it is.
"""

import sys
import textwrap

import icount
import oscore
import programs
import tables
from servers import SERVERS

from bench import measure, parse
from size import heap

README = programs.ROOT / "README.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
MOTE = "mote-micropython"
OPERATIONS = {
    "GET of one value": "get",
    "GET as SenML-CBOR": "senml",
    "duplicate of a PUT": "duplicate",
    "notification": "notify",
    "GET under OSCORE": "oscore-get",
}
HEAP = ("modules", "node", "application", "all")


def main():
    """Measure and rewrite README.md."""
    arguments = parse(sys.argv[1:], "figures.py", "Measure what README.md quotes.")
    try:
        servers = [SERVERS[name]() for name in arguments.servers]
        results = measure(servers, arguments)
        parts = [
            paragraph(tables.heading("figures", arguments)),
            by_server(results, servers),
            by_workload(results, arguments.workloads),
            instructions(icount.count()),
            bytes_of_heap(heap.sums(heap.on_unix())),
            under_oscore(oscore.measure()),
        ]
        write("\n".join(parts))
    except programs.Problem as problem:
        print(f"figures: {problem}", file=sys.stderr)
        return 2
    return 0


def by_server(results, servers):
    """Return a table: the rate of each server's GET."""
    runs = {s: ours for s in servers if (ours := results.get(("get", s.name)))}
    others = {server.name: its for server, its in runs.items()}
    rows = [
        [server.title, *tables.rate_and_ratios(ours, others.get("echo"), others.get("libcoap"))]
        for server, ours in runs.items()
    ]
    return tables.markdown(["GET"], ["requests/s", "of the echo", "of libcoap"], rows)


def by_workload(results, workloads):
    """Return a table: Mote's rate of each workload."""
    rows = [
        [workload.title, *tables.rate_and_ratios(ours, results.get((workload.name, "libcoap")))]
        for workload in workloads
        if (ours := results.get((workload.name, MOTE)))
    ]
    return tables.markdown(["Mote on MicroPython"], ["requests/s", "of libcoap"], rows)


def instructions(counted):
    """Return a table of icount.count()."""
    machines = [what.split()[-1] for what in counted]
    rows = [
        [title, *(f"{numbers[name]:,}" for numbers in counted.values())]
        for title, name in OPERATIONS.items()
    ]
    return tables.markdown(["instructions (`make bench-icount`)"], machines, rows)


def bytes_of_heap(sums):
    """Return a table of heap.sums()."""
    rows = [[name, f"{sums[name]:,}"] for name in HEAP]
    return tables.markdown(["heap of a door, all frozen (`make size`)"], ["bytes"], rows)


def under_oscore(found):
    """Return a sentence with what oscore.measure() returns."""
    times = found["plain_rps"] / found["protected_rps"]
    return paragraph(
        f"Under OSCORE a GET takes {times:.1f} times as long on this computer and "
        f"{found['protected_bytes']} bytes of heap; a context takes {found['context_bytes']:,}, "
        f"the extension {found['extension_bytes']:,} (`make bench-oscore`)."
    )


def paragraph(text):
    """Return text in lines of at most 99 characters."""
    return textwrap.fill(text, 99, break_on_hyphens=False) + "\n"


def write(text, file=README):
    """Replace the text between the marks of a file. Raises Problem without marks."""
    before, begin, rest = file.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise programs.Problem(f"{file.name} lacks the lines {BEGIN.strip()} and {END.strip()}")
    file.write_text(f"{before}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())
