"""`make bench` in short: every server responds rightly to every workload."""

import subprocess
import sys

import pytest
from processes import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the load client needs epoll")

BENCH = ROOT / "tools" / "bench" / "bench.py"
SERVERS = {
    "bare UDP echo on MicroPython",
    "Mote on MicroPython",
    "Mote on MicroPython, with limits",
    "Mote on CPython",
    "libcoap's coap-server",
    "aiocoap on CPython",
}


WORKLOADS = (
    "GET one value",
    "GET SenML-CBOR",
    "GET, 4.04",
    "PUT configuration",
    "duplicate CON PUT",
    "discovery",
    "GET of 4 KB, Block2",
    "notification of 8 observers",
)


def bench(*arguments, **options):
    """Run the bench; return the finished process."""
    command = [sys.executable, BENCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, **options)


def rows_of(printed):
    """Return the table: (workload, server) -> {column: cell}."""
    lines = [line.strip("| ").split(" | ") for line in printed.splitlines() if line[:1] == "|"]
    return {(cells[0], cells[1]): dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]}


def test_all_servers_and_workloads():
    done = bench("--seconds", "0.1", "--rounds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "`make bench BENCH='--seconds 0.1 --rounds 1'`" in done.stdout
    rows = rows_of(done.stdout)
    assert {server for workload, server in rows if workload == "GET one value"} == SERVERS
    for what, row in rows.items():
        assert float(row["requests/s"].replace(",", "")) > 0, what
        assert row["errors"] == "0", what
        if what[1] == "bare UDP echo on MicroPython":
            assert row["of the echo"] == "1.00", what
        else:
            assert int(row["response B"]) >= 4 + 4, what
    for workload in WORKLOADS:
        for server in ("Mote on MicroPython", "Mote on CPython", "libcoap's coap-server"):
            assert (workload, server) in rows
    assert "libcoap GET /time" in done.stdout
    assert int(rows["GET of 4 KB, Block2", "Mote on MicroPython"]["response B"]) > 1024
    assert ("GET of 4 KB, Block2", "bare UDP echo on MicroPython") not in rows


def test_ratios_are_of_the_same_round():
    names = ["--servers", "libcoap,echo", "--workloads", "not-found"]
    rows = rows_of(bench("--seconds", "0.1", "--rounds", "1", *names).stdout)
    echo = rows["GET, 4.04", "bare UDP echo on MicroPython"]
    libcoap = rows["GET, 4.04", "libcoap's coap-server"]
    rates = [float(row["requests/s"].replace(",", "")) for row in (echo, libcoap)]
    rounded = sum(0.5 / rate for rate in rates)  # all the more, the slower the computer
    for cell, ratio in (
        (libcoap["of the echo"], rates[1] / rates[0]),
        (echo["of libcoap"], rates[0] / rates[1]),
    ):
        assert float(cell) == pytest.approx(ratio, abs=0.006 + ratio * rounded)


@pytest.mark.parametrize(
    ("arguments", "environ", "complaint"),
    [
        (["--servers", "apache"], {}, "--servers: apache is none of"),
        (["--seconds", "0"], {}, "--seconds: 0 is not a number above 0"),
        (["--rounds", "many"], {}, "--rounds: many is not"),
        (["--servers", "libcoap"], {"PATH": "/nowhere"}, "no "),
        (["--servers", "microcoapy"], {"MICROCOAPY": "/nowhere"}, "MICROCOAPY"),
        (["--servers", "echo"], {"MICROPYTHON": "/nowhere"}, "MICROPYTHON"),
    ],
)
def test_what_cannot_work_ends_with_one_line(arguments, environ, complaint):
    done = bench(*arguments, env=environ)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
