"""A door's firmware and the real gateway, on one simulated clock: losses, outages, power cuts."""

import re
import subprocess
import sys

import pytest

from setup.console import ROOT

HOURS = 12
pytestmark = pytest.mark.takes(180)


@pytest.mark.parametrize("seed", [3, 4], ids=["open", "with keys"])
def test_no_event_is_lost_or_stored_twice(seed):
    argv = [sys.executable, "tools/battery_sim", "--gateway", "--seed", str(seed)]
    done = subprocess.run(
        [*argv, "--hours", str(HOURS)], cwd=ROOT, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) happened .* (\d+) reported, 0 lost, 0 duplicated", done.stdout)
    assert int(found[1]) >= int(found[2]) > 5
    assert int(re.search(r"reports +(\d+) received", done.stdout)[1]) > HOURS / 2


@pytest.mark.parametrize("words", [("--app", "wearable"), ("--observed",)])
def test_what_it_is_not_for_is_one_line(words):
    argv = [sys.executable, "tools/battery_sim", "--gateway", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
