"""Where `make keys` writes: never where a link leads, and never where others can write."""

import os

import pytest

from host.device import Problem
from keys import make as tool
from keys.provision import provision


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


def test_keys_are_not_written_through_a_link_of_the_whole_folder(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "keys").symlink_to(elsewhere)
    assert is_refused(tmp_path / "keys")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert is_refused(tmp_path / "dangling")
    assert list(elsewhere.iterdir()) == [] and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["oscore.json", "oscore.json.numbers", "client.json"])
@pytest.mark.parametrize("suffix", ["", ".new"])
def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path, name, suffix):
    folder, victim = tmp_path / "keys", tmp_path / "victim"
    tool.make("door-1", keys=folder)
    victim.write_text("precious")
    if not suffix:
        (folder / "door-1" / name).rename(tmp_path / name)
        victim = tmp_path / name
    before = victim.read_bytes()
    (folder / "door-1" / (name + suffix)).symlink_to(victim)
    tool.make("door-1", rotate=True, keys=folder)
    assert victim.read_bytes() == before
    assert not (folder / "door-1" / name).is_symlink()


@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_the_folder_above_decides_who_may_replace_the_keys(tmp_path, mode, refused):
    above = tmp_path / "above"
    above.mkdir()
    os.chmod(above, mode)
    assert is_refused(above / "keys") is refused


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "keys"
    tool.make("door-1", keys=folder)
    os.chown(folder, 12345, -1) if os.geteuid() == 0 else monkeypatch.setattr(
        os, "geteuid", lambda: 12345
    )
    assert is_refused(folder)


@pytest.mark.parametrize("name", ["", "door-1"])
def test_keys_are_not_provisioned_from_where_others_can_write(tmp_path, name):
    folder = tmp_path / "keys"
    tool.make("door-1", keys=folder)
    os.chmod(folder / name, 0o770)
    with pytest.raises(Problem, match="others may write"):
        provision("door-1", "/dev/ttyACM0", keys=folder)
