"""Instructions per request of Mote and of a bare echo on MicroPython, counted by callgrind.

Unlike requests per second they hardly change with what else the machine does. The kernel's are
not counted. The counter is set to zero after a first load, so start and warming up are left out.
"""

import contextlib
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import programs
from servers import SERVERS
from workloads import WORKLOADS

WARM, COUNTED = 100, 300  # requests
TOOL = ("--tool=callgrind", "--vgdb=yes", "--instr-atstart=no")  # the start would take long
BASELINE = programs.HERE / "icount.json"
# Workload -> the operation of icount.py that it consists of, and how often.
OPERATIONS = {name: (name, 1) for name in ("get", "not-found", "put", "duplicate", "discovery")}
OPERATIONS |= {"block": ("block", 4), "observe": ("notify", 1)}
PATIENT = ("--retransmit-ms", "60000")  # nothing is sent twice


def main():
    """Print the table; exit code 2 when something is missing."""
    import tables

    try:
        found = counted(WORKLOADS)
    except programs.Problem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    version = programs.version(programs.built_micropython())
    print(f"{datetime.date.today()}, `make bench-instructions`: {version}, x64, user space.\n")
    print(tables.instructions(found, baseline(), WORKLOADS), end="")
    return 0


def counted(workloads):
    """Return {workload: (instructions of the echo or None, of Mote)} per request.

    Raises Problem when valgrind or the interpreter that was built here is missing.
    """
    with built_interpreter():
        echo = per_request(SERVERS["echo"](), [w for w in workloads if w.requests["mote"].echoed])
        mote = per_request(SERVERS["mote-micropython"](), workloads)
    return {name: (echo.get(name), mote[name]) for name in mote}


@contextlib.contextmanager
def built_interpreter():
    """Let whoever looks for a MicroPython find the one built here: valgrind can run it."""
    before = os.environ.get("MICROPYTHON")
    os.environ["MICROPYTHON"] = programs.built_micropython()
    try:
        yield
    finally:
        del os.environ["MICROPYTHON"]
        if before is not None:
            os.environ["MICROPYTHON"] = before


def per_request(server, workloads):
    """Return {workload: instructions that one request takes} of one server."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "callgrind.out"
        server.start(prefix=[programs.valgrind(), *TOOL, f"--callgrind-out-file={file}"])
        try:
            monitor(server, "instrumentation on")
            for number, workload in enumerate(workloads, 1):
                request = workload.requests["mote"]
                if request.program == "load":
                    load(server, request, WARM)
                # A second set of verified observers would fill the table of peers, so those few
                # requests that register them count among the many notifications.
                monitor(server, "zero")
                requests = load(server, request, COUNTED)
                monitor(server, "dump")
                text = Path(f"{file}.{number}").read_text()
                totals = re.search(r"^totals: (\d+)", text, re.MULTILINE)
                found[workload.name] = int(totals[1]) / requests
        finally:
            server.stop()
    return found


def load(server, request, count):
    """Send so many requests; return how many were counted, notifications where there are some."""
    command = [programs.c_program(request.program), "--port", str(server.port)]
    command += ["--count", str(count), *PATIENT, *request.arguments]
    command += ["--echo"] if server.echoes else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise programs.Problem(f"{server.name}, {request.label}: {done.stderr.strip()}")
    return json.loads(done.stdout)["requests"]


def monitor(server, command):
    """Have callgrind set its counter to zero, or write it."""
    vgdb = [programs.vgdb(), f"--pid={server.process.pid}", *command.split()]
    done = subprocess.run(vgdb, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise programs.Problem(f"vgdb: {(done.stderr.strip() or 'failed').splitlines()[-1]}")


def baseline(file=BASELINE):
    """Return {processor: {workload: instructions}} that icount.py counted, {} without its file."""
    if not file.exists():
        return {}
    counted = json.loads(file.read_text())
    return {
        processor: {
            workload: rows[name] * times
            for workload, (name, times) in OPERATIONS.items()
            if name in rows
        }
        for processor, rows in counted.items()
    }


if __name__ == "__main__":
    sys.exit(main())
