"""A dashboard that is killed again and again: each time it comes from another port."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import node_program

RESTARTS = 9
PAUSE_S = 2.5  # the node gives a silent observer up within 2.1 s


@pytest.mark.parametrize("interpreter", ["micropython", "cpython"])
def test_aiocoap_observes_each_time(interpreter):
    with node_program("observed_node.py", interpreter) as node:
        for restart in range(RESTARTS + 1):
            command = [
                sys.executable,
                Path(__file__).with_name("dashboard.py"),
                f"{node.url}/count",
            ]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dashboard:
                try:
                    lines = [dashboard.stdout.readline().strip() for _ in range(3)]
                finally:
                    dashboard.kill()
            assert all(line.isdigit() for line in lines), f"restart {restart}: {lines}"
            assert int(lines[0]) < int(lines[1]) < int(lines[2])
            if restart > 2:  # the next one finds the table full
                time.sleep(PAUSE_S)
