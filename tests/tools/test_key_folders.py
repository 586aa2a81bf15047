"""Where `make keys` writes: never where a link leads, and never where others can write."""

import os

import pytest

from host.device import Problem
from keys import make as tool


def is_refused(folder):
    """True when no keys are made in the folder."""
    try:
        tool.make("door-1", keys=folder)
    except Problem:
        return True
    return False


def test_keys_are_not_written_through_a_link(tmp_path):
    folder, elsewhere = tmp_path / "keys", tmp_path / "elsewhere"
    folder.mkdir(mode=0o700)
    elsewhere.mkdir(mode=0o700)
    (folder / "door-1").symlink_to(elsewhere)
    assert is_refused(folder)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("mode", [0o770, 0o777])
@pytest.mark.parametrize("name", ["", "door-1"])
def test_keys_are_not_written_where_others_can_write(tmp_path, name, mode):
    folder = tmp_path / "keys"
    place = folder / name
    place.mkdir(parents=True)
    os.chmod(place, mode)
    assert is_refused(folder)
    assert not list(folder.rglob("oscore.json"))
