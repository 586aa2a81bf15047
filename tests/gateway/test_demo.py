"""`make demo`: three simulated nodes report to the gateway, and are on its page."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from parts import free_port

from setup.console import ROOT

LIMIT_S = 90
pytestmark = pytest.mark.takes(LIMIT_S)


def test_three_nodes_are_on_the_page_and_a_door_opens_when_told():
    http = free_port(socket.SOCK_STREAM)
    argv = [sys.executable, "-m", "tools.gateway", "--demo", "--http", f"127.0.0.1:{http}"]
    argv += ["--coap", f"127.0.0.1:{free_port()}"]
    process = subprocess.Popen(
        argv, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip

    def nodes():
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/api/nodes") as response:
            return {one["title"]: one for one in json.load(response)}

    def wait_for(found):
        end_s = time.monotonic() + LIMIT_S
        while not found():
            assert time.monotonic() < end_s and process.poll() is None, nodes()
            time.sleep(0.2)

    try:
        while "They run" not in process.stdout.readline():
            assert process.poll() is None, process.stderr.read()
        wait_for(lambda: set(nodes()) == {"Front door", "Bedroom window", "Wristband"})
        found = nodes()
        assert found["Bedroom window"]["keys"] and not found["Front door"]["keys"]
        assert found["Wristband"]["awake"] and not found["Front door"]["awake"]
        wait_for(lambda: "s/hr" in nodes()["Wristband"]["last"])
        was = nodes()["Front door"]["last"]["s/contact"]["value"]
        process.stdin.write("door close\n" if was else "door open\n")
        process.stdin.flush()
        wait_for(lambda: nodes()["Front door"]["last"]["s/contact"]["value"] != was)
        wait_for(lambda: nodes()["Bedroom window"]["firmware"])
    finally:
        process.terminate()
        assert process.wait(30) == 0, process.stderr.read()
