"""Keys of `make keys` move into the store; the node reports under them; rotation; replacement."""

import json
import logging
import os
import subprocess
import sys

import aiocoap
import pytest
from aiocoap.numbers.codes import Code
from parts import EUI, ask, client, report, run, running
from tools.gateway.contexts import KeyContext
from tools.gateway.hub import Hub
from tools.gateway.import_keys import Importer
from tools.gateway.store import Store

from keys import make as make_keys
from setup.console import ROOT

OPENED = (("contact", True, 5), ("contact_n", 7), ("epoch", "0a0b0c0d"))


def node_end(made):
    """Return the node's keys for its gateway, as a client of aiocoap uses them."""
    entry, _ = json.loads((made / "oscore.json").read_text())
    named = {name: bytes.fromhex(entry.get(name, "")) for name in entry if name != "gateway"}
    context = KeyContext(
        (0, named["secret"], named["salt"], named["sender_id"], 0, 0, 0,
         named["recipient_id"], named.get("id_context", b"")),
        lambda context: None,
    )  # fmt: skip
    context.reserved = 1 << 20
    return context


def secrets_in(folder):
    return sorted(path.parent.name[:8] for path in folder.rglob("secret.json"))


@pytest.fixture
def keys(tmp_path):
    return tmp_path / "keys"


def test_a_node_reports_under_keys_that_were_just_made(tmp_path, keys):
    async def main():
        made = make_keys.make("door-1", keys=keys)
        async with running(tmp_path) as gateway, client() as context:
            assert secrets_in(keys) == ["operator"]
            context.client_credentials[gateway.uri + "/*"] = node_end(made)
            assert (await report(context, gateway, *OPENED)).code == Code.CHANGED
            row = gateway.store.read("SELECT ep, eui, state, needs_key FROM node")
            assert row == [("door-1", EUI, "adopted", 1)]

    run(main())


def test_keys_made_while_it_runs_are_taken(tmp_path, keys):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await report(context, gateway, *OPENED)
            make_keys.make("door-1", keys=keys)
            assert await gateway.importer.look() == ["door-1"]
            assert await gateway.importer.look() == []
            assert (await report(context, gateway, *OPENED)).code == Code.UNAUTHORIZED
            (row,) = gateway.store.read("SELECT id, state FROM node")
            assert row[1] == "adopted", "what it told before it had keys stays"
            assert len(gateway.store.read("SELECT 1 FROM event WHERE node = ?", row[:1])) == 1

    run(main())


def test_old_keys_are_good_until_the_board_has_the_new_ones(tmp_path, keys):
    async def main():
        made = make_keys.make("door-1", keys=keys)
        first = node_end(made)
        make_keys.note_provisioned(made, [first.sender_id.hex()])
        async with running(tmp_path) as gateway, client() as context:
            uri = gateway.uri + "/*"
            context.client_credentials[uri] = first
            assert (await report(context, gateway, *OPENED)).code == Code.CHANGED
            make_keys.make("door-1", rotate=True, keys=keys)
            await gateway.importer.look()
            assert (await report(context, gateway, *OPENED)).code == Code.CHANGED
            context.client_credentials[uri] = node_end(made)
            assert (await report(context, gateway, *OPENED)).code == Code.CHANGED
            states = gateway.store.read("SELECT state FROM key WHERE node != 0 ORDER BY made")
            assert states == [("old",), ("good",)]
            context.client_credentials[uri] = first
            with pytest.raises(aiocoap.error.Error):
                await report(context, gateway, *OPENED)
            assert len(gateway.store.read("SELECT 1 FROM event")) == 2, "epochs by kid"

    run(main())


def test_another_board_with_new_keys_keeps_name_and_history(tmp_path, keys):
    async def main():
        made = make_keys.make("door-1", keys=keys)
        async with running(tmp_path) as gateway, client() as context:
            for eui, rotate in ((EUI, False), ("ffffffffffffffff", True)):
                if rotate:
                    make_keys.make("door-1", rotate=True, keys=keys)
                    await gateway.importer.look()
                context.client_credentials[gateway.uri + "/*"] = node_end(made)
                assert (await report(context, gateway, *OPENED, eui=eui)).code == Code.CHANGED
            assert gateway.store.read("SELECT ep, eui FROM node") == [
                ("door-1", "ffffffffffffffff")
            ]
            assert len(gateway.store.read("SELECT 1 FROM event")) == 2

    run(main())


def test_a_secret_that_a_crash_left_behind_is_removed_and_its_numbers_stay(tmp_path, keys):
    async def main():
        made = make_keys.make("door-1", keys=keys)
        (place,) = made.glob("gateway-*")
        secret = (place / "secret.json").read_bytes()
        async with running(tmp_path) as gateway, client() as context:
            context.client_credentials[gateway.uri + "/*"] = node_end(made)
            await report(context, gateway, *OPENED)
            before = gateway.store.read("SELECT * FROM key WHERE node != 0")
        (place / "secret.json").write_bytes(secret)
        async with running(tmp_path) as gateway:
            assert not (place / "secret.json").exists()
            assert gateway.store.read("SELECT * FROM key WHERE node != 0") == before

    run(main())


def test_a_failed_write_leaves_the_secret_where_it_is(tmp_path, keys):
    async def main():
        make_keys.make("door-1", keys=keys)
        store = Store(tmp_path / "data")
        store._reader.execute("PRAGMA query_only = 0")
        importer = Importer(store, Hub(), keys)
        store._reader.execute("ALTER TABLE key RENAME TO gone")
        with pytest.raises(Exception, match="no such table"):
            await importer.look()
        assert secrets_in(keys) == ["gateway-", "operator"]
        store.close()

    run(main())


def spoil_link(place):
    target = place.rename(place.parent / "elsewhere")
    place.symlink_to(target)


def spoil_mode(place):
    place.chmod(0o777)


def spoil_json(place):
    (place / "settings.json").write_text("[" * 9999)


def spoil_field(place):
    (place / "settings.json").write_text('{"salt_hex": "00"}')


def spoil_secret_link(place):
    (place / "secret.json").rename(place / "else.json")
    (place / "secret.json").symlink_to(place / "else.json")


@pytest.mark.parametrize(
    "spoil", [spoil_link, spoil_mode, spoil_json, spoil_field, spoil_secret_link]
)
def test_keys_that_are_not_to_be_trusted_are_named_once_without_a_secret(
    tmp_path, keys, spoil, caplog
):
    async def main():
        made = make_keys.make("door-1", keys=keys)
        secret = json.loads((made / "oscore.json").read_text())[0]["secret"]
        (place,) = made.glob("gateway-*")
        spoil(place)
        store = Store(tmp_path / "data")
        importer = Importer(store, Hub(), keys)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert await importer.look() == []
        assert len(caplog.records) == 1 and secret not in caplog.text
        assert store.read("SELECT 1 FROM key") == []
        store.close()

    run(main())


def test_a_folder_that_others_write_to_is_refused(tmp_path, keys, caplog):
    async def main():
        make_keys.make("door-1", keys=keys)
        keys.chmod(0o777)
        store = Store(tmp_path / "data")
        assert await Importer(store, Hub(), keys).look() == []
        assert "chmod go-w" in caplog.text
        store.close()

    run(main())


def test_the_operator_has_keys_of_its_own(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            place = gateway.settings.data / "operator"
            told = json.loads((place / "client.json").read_text())
            modes = {os.stat(path).st_mode & 0o777 for path in place.rglob("*") if path.is_file()}
            assert modes == {0o600}
            context.client_credentials.load_from_dict(told)
            response = await ask(context, gateway.uri + "/n")
            assert response.code == Code.CONTENT
            assert (await ask(context, gateway.uri + "/q/door-1/1")).code == Code.NOT_FOUND
            for keys in context.client_credentials.values():
                keys._destroy()
        async with running(tmp_path) as gateway:
            assert json.loads((place / "client.json").read_text()) == told, "made once"

    run(main())


def test_keys_are_imported_by_a_command(tmp_path, keys):
    make_keys.make("door-1", keys=keys)
    argv = [sys.executable, "-m", "tools.gateway", "--import-keys"]
    argv += ["--data", str(tmp_path / "data"), "--keys", str(keys)]
    said = [subprocess.run(argv, cwd=ROOT, capture_output=True, text=True) for _ in range(2)]
    assert [one.returncode for one in said] == [0, 0]
    assert said[0].stdout == "keys of door-1\n" and "no new keys" in said[1].stdout
