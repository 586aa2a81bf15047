"""`make keys` and `make provision`: what they write, to whom, and what they refuse."""

import json
import stat

import pytest
from aiocoap.oscore import FilesystemSecurityContext

import make_keys as tool
import put_keys
from device import Problem


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def node_keys(path):
    """What the node makes of its file, by the code that runs on it."""
    import keys

    return keys.load(str(path))


def modes(folder):
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


def test_both_ends_have_the_same_keys(folder, capsys):
    made = tool.make("door-1", keys=folder)
    assert modes(folder) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (ours,) = node_keys(made / "oscore.json")
    theirs = FilesystemSecurityContext(str(made / "gateway"))
    assert theirs.sender_id == ours["recipient_id"] and theirs.recipient_id == ours["sender_id"]
    assert theirs.id_context is None and ours["id_context"] is None
    from coap.context import expand, hmac, info

    prk = hmac(ours["salt"], ours["secret"])
    assert theirs.recipient_key == expand(prk, info(ours["sender_id"], None, "Key", 16), 16)
    assert theirs.common_iv == expand(prk, info(b"", None, "IV", 13), 13)
    assert ours["secret"].hex() not in capsys.readouterr().out


def test_no_two_are_alike(folder):
    made = [node_keys(tool.make(f"n{i}", keys=folder) / "oscore.json")[0] for i in range(20)]
    for field in ("secret", "salt", "sender_id"):
        assert len({one[field] for one in made}) == 20


def test_rotation(folder):
    with pytest.raises(Problem, match="no keys yet"):
        tool.make("door-1", rotate=True, keys=folder)
    before = (tool.make("door-1", keys=folder) / "oscore.json").read_text()
    with pytest.raises(Problem, match="ROTATE=1"):
        tool.make("door-1", keys=folder)
    made = tool.make("door-1", "192.168.1.7", rotate=True, keys=folder)
    assert (made / "oscore.json").read_text() != before
    (ours,) = node_keys(made / "oscore.json")
    theirs = FilesystemSecurityContext(str(made / "gateway"))
    assert theirs.id_context == ours["id_context"] != b""
    client = json.loads((made / "client.json").read_text())
    server = json.loads((made / "server.json").read_text())
    gateway = {"oscore": {"basedir": f"{made / 'gateway'}/"}}
    assert client == {"coap://192.168.1.7/*": gateway} and server == {":door-1": gateway}


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".", "x" * 33, "a b"])
def test_what_is_no_name(folder, name):
    with pytest.raises(Problem, match="NODE="):
        tool.make(name, keys=folder)
    with pytest.raises(Problem, match="NODE="):
        put_keys.provision(name, "auto", keys=folder)


def test_provision_once(folder, monkeypatch, capsys):
    said = []
    monkeypatch.setattr(put_keys, "run", lambda argv, *_, **__: said.append([*map(str, argv)]))
    with pytest.raises(Problem, match="make keys NODE=door-1"):
        put_keys.provision("door-1", "/dev/ttyACM0", keys=folder)
    made = tool.make("door-1", keys=folder)
    put_keys.provision("door-1", "/dev/ttyACM0", dry_run=True, keys=folder)
    assert len(said) == 1
    put_keys.provision("door-1", "/dev/ttyACM0", keys=folder)
    assert said[-1][-6:] == ["fs", "cp", str(made / "oscore.json"), ":oscore.json", "+", "reset"]
    with pytest.raises(Problem, match="ROTATE=1"):
        put_keys.provision("door-1", "/dev/ttyACM0", keys=folder)
    tool.make("door-1", rotate=True, keys=folder)
    put_keys.provision("door-1", "/dev/ttyACM0", keys=folder)


def test_a_board_that_does_not_answer_costs_no_keys(folder, monkeypatch):
    def run(argv, *_, **__):
        raise Problem("no device found")

    monkeypatch.setattr(put_keys, "run", run)
    made = tool.make("door-1", keys=folder)
    with pytest.raises(Problem, match="no device"):
        put_keys.provision("door-1", "auto", keys=folder)
    assert not (made / "provisioned").exists()
