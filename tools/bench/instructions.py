"""Instructions per request of Mote and of a bare echo on MicroPython, counted by callgrind.

Unlike requests per second they hardly change with what else the machine does. The kernel's are
not counted. The counter is set to zero after a first load, so start and warming up are left out.
"""

import datetime
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import programs
from servers import HOST, Server
from workloads import WORKLOADS

WARM, COUNTED = 100, 500  # requests
TOOL = ("--tool=callgrind", "--vgdb=yes")
PATIENT = ("--retransmit-ms", "60000")  # nothing is sent twice


def main():
    """Print the table; exit code 2 when something is missing."""
    try:
        os.environ["MICROPYTHON"] = programs.built_micropython()
        client = programs.c_program("load")
        rows = [row(client, workload) for workload in WORKLOADS]
    except programs.Problem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    version = programs.first_line(
        programs.micropython(), "-c", "import sys; print(sys.version.split('; ')[-1])"
    )
    print(f"{datetime.date.today()}, `make bench-instructions`: {version}, x64, user space.\n")
    print("| workload | bare echo | Mote | Mote without the echo |")
    print("| --- | ---: | ---: | ---: |")
    print("\n".join(rows))
    return 0


def row(client, workload):
    """Return one line of the table."""
    request = workload.requests["mote"]
    echo = per_request([client, "--echo"], echo_server, request)
    mote = per_request([client], mote_server, request)
    return f"| {workload.title} | {echo:,.0f} | {mote:,.0f} | {mote - echo:,.0f} |"


def echo_server():
    """Return the bare echo on the built MicroPython."""
    command = [programs.micropython(), str(programs.HERE / "echo.py"), HOST]
    return Server("echo", "mote", "", lambda port: [*command, str(port)])


def mote_server():
    """Return the simulated door without the program that watches over it."""
    from launch.arguments import parse
    from launch.command import command

    argv, environ, _ = command(parse(["--app", "door", "--host", HOST, "--port", "0"]))
    at = argv.index("--port") + 1
    return Server(
        "mote", "mote", "", lambda port: [*argv[:at], str(port), *argv[at + 1 :]], environ
    )


def per_request(command, make_server, request):
    """Return the instructions that one request takes."""
    server = make_server()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "callgrind.out"
        server.start(prefix=[programs.valgrind(), *TOOL, f"--callgrind-out-file={file}"])
        try:
            load(command, server, request, WARM)
            monitor(server, "zero")
            load(command, server, request, COUNTED)
            monitor(server, "dump")
        finally:
            server.stop()
        totals = re.search(r"^totals: (\d+)", Path(f"{file}.1").read_text(), re.MULTILINE)
    return int(totals[1]) / COUNTED


def load(command, server, request, count):
    """Send so many requests."""
    arguments = ["--port", str(server.port), "--count", str(count), *PATIENT, *request.arguments]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise programs.Problem(f"{request.label}: {done.stderr.strip()}")


def monitor(server, command):
    """Have callgrind set its counter to zero, or write it."""
    vgdb = [programs.vgdb(), f"--pid={server.process.pid}", command]
    done = subprocess.run(vgdb, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise programs.Problem(f"vgdb: {(done.stderr.strip() or 'failed').splitlines()[-1]}")


if __name__ == "__main__":
    sys.exit(main())
