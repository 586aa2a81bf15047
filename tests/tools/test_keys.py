"""`make keys` and `make provision`: what they write, to whom, and what they refuse."""

import errno
import json
import os
import stat
import subprocess
import sys

import pytest
from aiocoap.oscore import FilesystemSecurityContext

from coap.oscore.first_numbers import limit_of
from coap.oscore.sequence_numbers import NEVER_USED
from host.device import Problem
from keys import make as tool
from keys import provision as put_keys
from setup.console import ROOT
from support.ports import free_port

DEVICE = "/dev/ttyACM0"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


class Board:
    """What `make provision` runs ends here: a board with a file system, that may be unplugged.

    `lost`: the part of a command at which the cable goes; `after`: it is done nevertheless.
    """

    def __init__(self):
        self.files = {}
        self.said = []
        self.lost = None
        self.after = False

    def run(self, argv, dry_run=False, capture=False):
        argv = [str(word) for word in argv]
        self.said.append(argv[1:])
        if dry_run:
            return ""
        lost = self.lost is not None and any(self.lost in word for word in argv)
        if not lost or self.after:
            printed = self.do(argv[3:])
        if lost:
            raise Problem("no device found")
        return printed

    def do(self, words):
        if words[:2] == ["fs", "cp"]:
            with open(words[2], "rb") as file:
                self.files[words[3][1:]] = file.read()
        elif words[0] == "exec" and "rename" in words[1]:
            for name in put_keys.FILES:
                self.files[name] = self.files.pop(name + put_keys.NEW)
        elif words[0] == "exec":
            has_keys = "oscore.json" in self.files
            return (self.id if has_keys else "False") + "\n"
        return ""

    @property
    def id(self):
        found = json.loads(self.files["oscore.json"])
        return (found[-1] if isinstance(found, list) else found)["sender_id"]


@pytest.fixture
def board(monkeypatch):
    board = Board()
    monkeypatch.setattr(put_keys, "run", board.run)
    return board


def node_keys(path):
    """What the node makes of its file, by the code that runs on it."""
    import credentials

    return credentials.load(str(path))


def id_of(made):
    """The id of the newest keys."""
    (found,) = {one["sender_id"] for one in json.loads((made / "oscore.json").read_text())}
    return found


def context_of(made):
    """The security context of the newest keys for the gateway."""
    import credentials

    context, _ = credentials.make_contexts(node_keys(made / "oscore.json"))
    return context


def use(made):
    """Write the numbers that a simulated node with these keys leaves; return their limit."""
    import credentials

    oscore = credentials.features(str(made / "oscore.json"))[1]
    for _ in range(3):
        oscore.contexts[0].next_sequence_number()
    return limit_of((made / "oscore.json.numbers").read_bytes(), oscore.contexts[0])


def gateways(made):
    """The ids of the gateway's ends."""
    return sorted(path.name.removeprefix("gateway-") for path in made.glob("gateway-*"))


def credentials(made):
    """(ids that the client uses, by URL; ids that the server takes, by claim)"""

    def ids(file, prefix):
        entries = json.loads((made / file).read_text()).items()
        return {
            key: entry["oscore"]["basedir"].rpartition(prefix)[2][:-1] for key, entry in entries
        }

    return ids("client.json", "/operator-"), ids("server.json", "/gateway-")


def refused(command):
    """The one line with which it ends."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def simulate(file):
    """The command line of a simulated node with these keys."""
    return [sys.executable, "tools/simulator", "--port", str(free_port()), "--oscore", file]


def modes(folder):
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


def folder_modes(folder):
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    return {stat.S_IMODE(path.stat().st_mode) for path in folders}


def test_both_ends_have_the_same_keys(folder):
    made = tool.make("door-1", keys=folder)
    from coap.oscore.context import hkdf_expand, hkdf_info, hmac_sha256

    ends = ("gateway", "operator")
    for ours, end in zip(node_keys(made / "oscore.json"), ends, strict=True):
        theirs = FilesystemSecurityContext(str(made / f"{end}-{id_of(made)}"))
        assert (theirs.sender_id, theirs.recipient_id) == (
            ours["recipient_id"],
            ours["sender_id"],
        )
        assert theirs.id_context is None and ours["id_context"] is None
        prk = hmac_sha256(ours["salt"], ours["secret"])
        assert theirs.recipient_key == hkdf_expand(
            prk, hkdf_info(ours["sender_id"], None, "Key", 16), 16
        )
        assert theirs.common_iv == hkdf_expand(prk, hkdf_info(b"", None, "IV", 13), 13)
        assert ours["gateway"] == (end == "gateway"), "the node reports under the first"
    assert credentials(made) == ({"coap://*": id_of(made)}, {":door-1": id_of(made)})


@pytest.mark.parametrize("umask", [0, 0o002, 0o077])
def test_nobody_else_reads_what_is_written(folder, board, umask):
    before = os.umask(umask)
    try:
        for i in range(2):
            tool.make("door-1", rotate=bool(i), keys=folder)
            put_keys.provision("door-1", DEVICE, keys=folder)
    finally:
        os.umask(before)
    assert modes(folder) == {0o600} and folder_modes(folder) == {0o700}
    assert len(list(folder.rglob("*"))) == 12, "nine files, and their folders"


def test_nothing_secret_is_printed(folder):
    """The real commands, with another folder; what they print on a board is in tests/emulated."""
    printed = ""
    for more in ([], [], ["ROTATE=1"], ["NODE=door-2", "HOST=10.0.0.7"]):
        done = subprocess.run(
            ["make", "keys", "NODE=door-1", f"KEYS={folder}", *more],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        printed += done.stdout + done.stderr
    done = subprocess.run(
        ["make", "provision", "NODE=door-1", f"KEYS={folder}", "DRY_RUN=1", f"DEV={DEVICE}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "fs cp" in done.stdout
    printed += done.stdout + done.stderr
    assert "door-1 has keys: `make keys NODE=door-1 ROTATE=1`" in printed
    found = 0
    for file in folder.rglob("oscore.json"):
        for field in ("secret", "salt", "id_context"):
            for one in json.loads(file.read_text()):
                value = one.get(field, "none")
                assert value not in printed, field
                found += value != "none"
    assert found == 10, "two contexts of two nodes, one of which was rotated"


def test_what_can_not_be_written_is_one_line(tmp_path):
    (tmp_path / "keys").write_text("a file")
    command = [
        sys.executable,
        "tools/keys",
        "make",
        "--node",
        "a",
        "--keys",
        tmp_path / "keys",
    ]
    said = refused(command)
    assert f"{tmp_path / 'keys'}: File exists: put that right and try again" in said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_goes_wrong_is_named(folder, board, monkeypatch, number):
    def write(path, content):
        raise OSError(number, os.strerror(number), str(path))

    ours = "make it yours to write" if number == errno.EACCES else "put that right and try again"
    with monkeypatch.context() as patched:
        patched.setattr(tool, "write_private", write)
        with pytest.raises(Problem, match=f"secret.json.new: {os.strerror(number)}: {ours}"):
            tool.make("door-1", keys=folder)
    tool.make("door-1", keys=folder)
    monkeypatch.setattr(tool, "write_private", write)
    with pytest.raises(Problem, match=f"provisioned.new: {os.strerror(number)}: {ours}"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    assert "oscore.json" not in board.files


@pytest.mark.parametrize("name", ["oscore.json", "provisioned"])
def test_what_can_not_be_read_is_one_line(folder, board, name):
    made = tool.make("door-1", keys=folder)
    (made / name).unlink(missing_ok=True)
    (made / name).mkdir()
    wrong = "Is a directory: put that right and try again"
    with pytest.raises(Problem, match=f"{name}: {wrong}"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    with pytest.raises(Problem, match=f"{name}.*: {wrong}"):
        tool.make("door-1", rotate=True, keys=folder)
    if name == "provisioned":
        assert wrong in refused(simulate(made / "oscore.json"))


def test_no_two_are_alike(folder):
    made = []
    for i in range(20):
        made += node_keys(tool.make(f"n{i}", keys=folder) / "oscore.json")
    for field, count in (("secret", 40), ("salt", 40), ("sender_id", 20)):
        assert len({one[field] for one in made}) == count


def test_keys_that_there_are_stay(folder):
    with pytest.raises(Problem, match="no keys yet"):
        tool.make("door-1", rotate=True, keys=folder)
    made = tool.make("door-1", keys=folder)
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    with pytest.raises(Problem, match="ROTATE=1"):
        tool.make("door-1", keys=folder)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_what_was_cut_off_is_made_anew(folder, monkeypatch):
    """Wherever writing ends, the same command goes on from there."""
    real = tool.write
    for writes in range(7):
        left = [writes]

        def write(path, content, left=left):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            real(path, content)

        monkeypatch.setattr(tool, "write", write)
        with pytest.raises(KeyboardInterrupt):
            tool.make(f"n{writes}", keys=folder)
        monkeypatch.setattr(tool, "write", real)
        made = tool.make(f"n{writes}", keys=folder)
        assert gateways(made) == [id_of(made)] == list(credentials(made)[0].values())


# Rotation


def test_keys_that_were_nowhere_are_replaced_at_once(folder):
    first = id_of(tool.make("door-1", keys=folder))
    made = tool.make("door-1", "192.168.1.7", rotate=True, keys=folder)
    assert id_of(made) != first and gateways(made) == [id_of(made)]
    ours, _ = node_keys(made / "oscore.json")
    theirs = FilesystemSecurityContext(str(made / f"gateway-{id_of(made)}"))
    assert theirs.id_context == ours["id_context"] != b""
    theirs._destroy()  # it notes its numbers
    assert credentials(made) == ({"coap://192.168.1.7/*": id_of(made)}, {":door-1": id_of(made)})
    made = tool.make("door-1", rotate=True, keys=folder)
    assert list(credentials(made)[0]) == ["coap://192.168.1.7/*"], "the address stays"


def test_keys_of_a_board_stay_good_until_it_has_newer_ones(folder, board):
    made = tool.make("door-1", keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    first = board.id
    secret = (made / f"gateway-{first}" / "secret.json").read_text()
    (made / f"gateway-{first}" / "sequence.json").write_text("as aiocoap left it")
    tool.make("door-1", rotate=True, keys=folder)
    second = id_of(made)
    assert board.id == first != second
    assert credentials(made) == (
        {"coap://*": first},
        {":door-1": first, f":door-1/{second}": second},
    )
    assert (made / f"gateway-{first}" / "secret.json").read_text() == secret
    assert (made / f"gateway-{first}" / "sequence.json").read_text() == "as aiocoap left it"
    assert not (made / f"gateway-{second}" / "sequence.json").exists()
    # another try, for whatever reason: the ones that nobody has seen are gone
    tool.make("door-1", rotate=True, keys=folder)
    third = id_of(made)
    assert gateways(made) == sorted([first, third]) and credentials(made)[0] == {"coap://*": first}
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.id == third and gateways(made) == [third]
    assert credentials(made) == ({"coap://*": third}, {":door-1": third})
    # and once more: of the first ones nothing is left
    tool.make("door-1", rotate=True, keys=folder)
    assert gateways(made) == sorted([third, id_of(made)])
    assert sorted(credentials(made)[1].values()) == gateways(made)


@pytest.mark.parametrize("writes", range(7))
def test_a_rotation_that_is_cut_off_loses_nothing(folder, board, monkeypatch, writes):
    """The old keys stay with their numbers and the gateway's end until the new ones are there."""
    for name in ("simulated", "door-1"):
        tool.make(name, keys=folder)
    numbers = folder / "simulated" / "oscore.json.numbers"
    used, context = use(folder / "simulated"), context_of(folder / "simulated")
    put_keys.provision("door-1", DEVICE, keys=folder)
    real = tool.write
    left = 0

    def write(path, content):
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        left -= 1
        real(path, content)

    monkeypatch.setattr(tool, "write", write)
    for made in (folder / "simulated", folder / "door-1"):
        before = id_of(made)
        left = writes
        with pytest.raises(Problem, match="No space"):
            tool.make(made.name, rotate=True, keys=folder)
        assert id_of(made) == before and before in gateways(made)
    assert limit_of(numbers.read_bytes(), context) == used
    left = 100
    for made in (folder / "simulated", folder / "door-1"):
        tool.make(made.name, rotate=True, keys=folder)
    stored = numbers.read_bytes()
    assert limit_of(stored, context) == used, "in case that the old keys come back"
    assert limit_of(stored, context_of(folder / "simulated")) == NEVER_USED
    assert len(gateways(folder / "simulated")) == 1
    assert gateways(folder / "door-1") == sorted([board.id, id_of(folder / "door-1")])
    assert credentials(folder / "door-1")[0] == {"coap://*": board.id}


def test_the_first_numbers_are_there_before_the_keys(folder, monkeypatch):
    made = tool.make("door-1", keys=folder)
    before, used = context_of(made), use(made)
    real = tool.write
    seen = []

    def write(path, content):
        real(path, content)
        seen.append((path.name, len(gateways(made)), (made / "oscore.json.numbers").read_bytes()))

    monkeypatch.setattr(tool, "write", write)
    tool.make("door-1", rotate=True, keys=folder)
    name, ends, stored = seen[-1]
    assert (name, ends) == ("oscore.json", 2)
    assert limit_of(stored, before) == used
    assert limit_of(stored, context_of(made)) == NEVER_USED


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("lost", ["listdir", "cp", "rename"])
def test_a_cable_that_is_pulled(folder, board, lost, after):
    """Whatever the board has then, the server takes it, and the next try puts all right."""
    made = tool.make("door-1", keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    first = board.id
    tool.make("door-1", rotate=True, keys=folder)
    second = id_of(made)
    board.lost, board.after = lost, after
    with pytest.raises(Problem, match="no device"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.id == (second if lost == "rename" and after else first)
    client, server = credentials(made)
    assert client == {"coap://*": first} and board.id in server.values()
    board.lost = None
    if lost == "rename":
        # the board may have used them
        with pytest.raises(Problem, match="have been on a board.*ROTATE=1"):
            put_keys.provision("door-1", DEVICE, keys=folder)
        tool.make("door-1", rotate=True, keys=folder)
        assert board.id in credentials(made)[1].values()
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.id == id_of(made) not in (first,)
    assert credentials(made) == ({"coap://*": board.id}, {":door-1": board.id})


# Provisioning


BROKEN = ["", "{}", "[]", "[" * 9999, '{"sender_id": 7}', '{"sender_id": "zz"}', '{"a": {"b": 1}}']


@pytest.mark.parametrize("content", BROKEN)
def test_broken_files_of_credentials_are_written_anew(folder, board, content):
    made = tool.make("door-1", keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    for file in ("client.json", "server.json"):
        (made / file).write_text(content)
    tool.make("door-1", rotate=True, keys=folder)
    client, server = credentials(made)
    assert list(client.values()) == [board.id] and sorted(server.values()) == gateways(made)
    (made / "client.json").write_text(content)
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert list(credentials(made)[0].values()) == [board.id] == [id_of(made)]


@pytest.mark.parametrize("content", BROKEN)
def test_broken_keys_go_nowhere(folder, board, content):
    made = tool.make("door-1", keys=folder)
    (made / "oscore.json").write_text(content)
    wrong = "oscore.json is not what `make keys` wrote: `make keys NODE=door-1 ROTATE=1` makes new"
    with pytest.raises(Problem, match=wrong):
        put_keys.provision("door-1", DEVICE, keys=folder)
    assert not board.said
    (made / "provisioned").write_text("1234\n")
    assert wrong in refused(simulate(made / "oscore.json"))
    tool.make("door-1", rotate=True, keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.id == id_of(made)


@pytest.mark.parametrize(
    "field, value, why",
    [
        ("secret", None, "secret: is missing"),
        ("secret", "00" * 16, "secret: this one is public"),
        ("salt", 7, "salt: must be a text"),
        ("recipient_id", "00" * 9, "recipient_id: has at most"),
    ],
)
def test_keys_that_the_node_would_refuse_go_nowhere(folder, board, field, value, why):
    made = tool.make("door-1", keys=folder)
    contents = json.loads((made / "oscore.json").read_text())
    contents[1][field] = value
    if value is None:
        del contents[1][field]
    (made / "oscore.json").write_text(json.dumps(contents))
    with pytest.raises(Problem, match=f"oscore.json: {why}.* ROTATE=1` makes new keys"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    contents[1] = {**contents[0], "sender_id": "0102"}
    (made / "oscore.json").write_text(json.dumps(contents))
    with pytest.raises(Problem, match="more than one.* ROTATE=1` makes new keys"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    assert not board.said


def test_keys_without_the_gateways_end_go_nowhere(folder, board):
    made = tool.make("door-1", keys=folder)
    (made / f"gateway-{id_of(made)}").rename(made / "elsewhere")
    with pytest.raises(Problem, match="gateway's end of door-1's keys is gone: .*ROTATE=1"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    assert not board.said
    tool.make("door-1", rotate=True, keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.id == id_of(made)


def test_keys_whose_secret_the_gateway_has_moved_are_rotated_and_provisioned(folder, board):
    made = tool.make("door-1", keys=folder)
    (made / f"gateway-{id_of(made)}" / "secret.json").unlink()
    put_keys.provision("door-1", DEVICE, keys=folder)
    first = board.id
    tool.make("door-1", rotate=True, keys=folder)
    (made / f"gateway-{id_of(made)}" / "secret.json").unlink()
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.id == id_of(made) != first and gateways(made) == [board.id]


def test_keys_of_an_earlier_version_are_rotated_and_provisioned(folder, board):
    """They had one context, and one end for gateway and people."""
    made = tool.make("door-1", keys=folder)
    first = id_of(made)
    one, _ = json.loads((made / "oscore.json").read_text())
    del one["gateway"]
    (made / "oscore.json").write_text(json.dumps(one))
    for path in (made / f"operator-{first}").iterdir():
        path.unlink()
    (made / f"operator-{first}").rmdir()
    for file in ("client.json", "server.json"):
        text = (made / file).read_text().replace("/operator-", "/gateway-")
        (made / file).write_text(text)
    put_keys.provision("door-1", DEVICE, keys=folder)
    entry = json.loads((made / "client.json").read_text())["coap://*"]
    assert entry["oscore"]["basedir"].endswith(f"/gateway-{first}/")
    tool.make("door-1", rotate=True, keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert gateways(made) == [board.id] == [id_of(made)] != [first]
    assert list(credentials(made)[0].values()) == [board.id]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".", "x" * 33, "a b"])
def test_what_is_no_name(folder, name):
    with pytest.raises(Problem, match="NODE="):
        tool.make(name, keys=folder)
    with pytest.raises(Problem, match="NODE="):
        put_keys.provision(name, "auto", keys=folder)


def test_provision_once(folder, board):
    with pytest.raises(Problem, match="make keys NODE=door-1"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    made = tool.make("door-1", keys=folder)
    put_keys.provision("door-1", DEVICE, dry_run=True, keys=folder)
    assert not board.files and not (made / "provisioned").exists()
    dry, board.said = board.said, []
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.said == dry
    assert board.files == {
        name: (made / name).read_bytes() for name in ("oscore.json", "oscore.json.numbers")
    }
    assert limit_of(board.files["oscore.json.numbers"], context_of(made)) == NEVER_USED
    assert board.said[-1][-2:] == ["+", "reset"]
    with pytest.raises(Problem, match="have been on a board.*ROTATE=1"):
        put_keys.provision("door-1", DEVICE, keys=folder)


def test_another_nodes_board_is_left_alone(folder, board):
    for name in ("door-1", "door-2"):
        tool.make(name, keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    before = dict(board.files)
    with pytest.raises(Problem, match="not door-2's.*REPLACE=1"):
        put_keys.provision("door-2", DEVICE, keys=folder)
    assert board.files == before and not (folder / "door-2" / "provisioned").exists()
    put_keys.provision("door-2", DEVICE, keys=folder, replace=True)
    assert board.id == id_of(folder / "door-2")


def test_what_the_board_is_asked_tells_no_more_than_an_id(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def ask():
        command = [sys.executable, "-c", put_keys.PRINT_ID]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert ask() == "False"
    made = tool.make("door-1", keys=folder)
    text = (made / "oscore.json").read_text()
    for content, told in ((text, id_of(made)), (text[:60], "[\n  {"), ("", "")):
        (tmp_path / "oscore.json").write_text(content)
        assert ask() == told


def test_simulated_or_provisioned_but_not_both(folder, board):
    made = tool.make("door-1", keys=folder)
    use(made)
    with pytest.raises(Problem, match="have been in a simulated node.*ROTATE=1"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    tool.make("door-1", rotate=True, keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    said = refused(simulate(made / "oscore.json"))
    assert "have been on a board" in said and "ROTATE=1" in said


@pytest.mark.parametrize("left", [None, b"", b"F1", "others"])
def test_keys_without_their_numbers_go_nowhere(folder, board, left):
    """They may have been used: by a simulated node, or on a board."""
    made = tool.make("door-1", keys=folder)
    numbers = made / "oscore.json.numbers"
    if left is None:
        numbers.unlink()
    elif left == "others":
        other = tool.make("door-2", keys=folder)
        numbers.write_bytes((other / "oscore.json.numbers").read_bytes())
    else:
        numbers.write_bytes(left)
    with pytest.raises(Problem, match="numbers does not have the first numbers: .*ROTATE=1"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    assert not board.said
    assert "sequence numbers lost: make new keys" in refused(simulate(made / "oscore.json"))
    tool.make("door-1", rotate=True, keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert board.id == id_of(made)


def test_keys_made_by_hand_get_their_first_numbers_once(tmp_path):
    contexts = [
        {"secret": "a1" * 15 + "%02x" % i, "sender_id": "01", "recipient_id": "02"}
        for i in range(2)
    ]
    file = tmp_path / "by-hand.json"
    command = [sys.executable, "tools/keys", "numbers", file]
    assert "no such file, or no keys in it" in refused(command)
    file.write_text("[{}]")
    assert "by-hand.json: secret: is missing" in refused(command)
    file.write_text(json.dumps(contexts))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "by-hand.json.numbers: belongs beside" in done.stdout
    assert stat.S_IMODE((tmp_path / "by-hand.json.numbers").stat().st_mode) == 0o600
    import credentials

    said = []
    _, oscore = credentials.features(str(file), said.append)
    assert said == [] and len(oscore.contexts) == 2
    assert "by-hand.json.numbers exists" in refused(command)


def test_keys_that_the_board_has_are_not_put_there_again(folder, board):
    """The note that they have been there may be lost, as with a backup."""
    made = tool.make("door-1", keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)
    (made / "provisioned").unlink()
    board.said = []
    with pytest.raises(Problem, match="have been on a board.*ROTATE=1"):
        put_keys.provision("door-1", DEVICE, keys=folder)
    assert len(board.said) == 1, "the question"
    assert "have been on a board" in refused(simulate(made / "oscore.json"))
    tool.make("door-1", rotate=True, keys=folder)
    assert gateways(made) == sorted([board.id, id_of(made)])


def test_the_note_is_on_the_disk_before_the_board_takes_the_keys(folder, board, monkeypatch):
    tool.make("door-1", keys=folder)
    done = []
    sync, run = tool.sync, board.run
    monkeypatch.setattr(tool, "sync", lambda path: (sync(path), done.append(path.name)))
    monkeypatch.setattr(
        put_keys,
        "run",
        lambda argv, *more, **named: (done.append(argv[-1]), run(argv, **named))[1],
    )
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert done[3:6] == ["provisioned.new", "door-1", "reset"]


# One at a time


def test_a_simulated_node_has_its_keys_alone(folder, board):
    """Two that count for themselves would use the same numbers, also through a link."""
    made = tool.make("door-1", keys=folder)
    link = folder / "link.json"
    link.symlink_to(made / "oscore.json")
    node = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "simulator", *simulate("link.json")[2:]],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with node:
        assert node.stdout.readline().startswith("ready ")
        assert (made / "oscore.json.numbers").exists()
        for file in (made / "oscore.json", link):
            assert "is using these keys: end it first" in refused(simulate(file))
        with pytest.raises(Problem, match="is using these keys: end it first"):
            put_keys.provision("door-1", DEVICE, keys=folder)
        with pytest.raises(Problem, match="is using these keys: end it first"):
            tool.make("door-1", rotate=True, keys=folder)
        node.terminate()
    tool.make("door-1", rotate=True, keys=folder)
    put_keys.provision("door-1", DEVICE, keys=folder)


def test_two_boards_at_once_do_not_get_the_same_keys(folder, board, monkeypatch):
    tool.make("door-1", keys=folder)

    def run(argv, **named):
        with pytest.raises(Problem, match="is using these keys: end it first"):
            put_keys.provision("door-1", "/dev/ttyACM1", keys=folder)
        with pytest.raises(Problem, match="is using these keys: end it first"):
            tool.make("door-1", rotate=True, keys=folder)
        return board.run(argv, **named)

    monkeypatch.setattr(put_keys, "run", run)
    put_keys.provision("door-1", DEVICE, keys=folder)
    assert len(board.said) == 4
