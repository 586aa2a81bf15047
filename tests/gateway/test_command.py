"""The gateway's command line: what it does besides serving."""

import asyncio
import subprocess
import sys

from tools.gateway.store import Store

from setup.console import ROOT

SECRET = b"Xq7-a-master-secret"


def run(folder, *words):
    argv = [sys.executable, "-m", "tools.gateway", "--data", str(folder), *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)


def insert(connection):
    connection.execute("INSERT INTO node (id, ep) VALUES (1, 'door-1')")
    connection.execute(
        "INSERT INTO key (kid, id_context, node, secret, salt, sender)"
        " VALUES (x'01', x'', 1, ?, x'', x'67')",
        (SECRET,),
    )


def fill(folder):
    async def main():
        store = Store(folder)
        await store.write(insert)
        store.close()

    asyncio.run(main())


def read(folder, sql):
    store = Store(folder)
    found = store.read(sql)
    store.close()
    return found


def test_check_tells_the_settings_and_makes_nothing(tmp_path):
    done = run(tmp_path / "data", "--check", "--http", "127.0.0.1:8123")
    assert done.returncode == 0 and "http 127.0.0.1:8123" in done.stdout
    assert not (tmp_path / "data").exists()


def test_settings_come_from_the_file_and_a_wrong_one_is_named(tmp_path):
    (tmp_path / "gateway.json").write_text('{"coap": "127.0.0.1:5699"}')
    assert "coap 127.0.0.1:5699" in run(tmp_path, "--check").stdout
    for text, fault in (
        ('{"colour": 1}', "colour is no setting"),
        ('{"lan": "yes"}', "lan has the wrong type"),
        ("[", "write a JSON object"),
        ('{"read": "all"}', "open, keys"),
        ('{"rate_hz": 0}', "more than 0"),
    ):
        (tmp_path / "gateway.json").write_text(text)
        done = run(tmp_path, "--check")
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and fault in done.stderr


def test_forget_removes_a_node_with_its_keys(tmp_path):
    fill(tmp_path)
    assert run(tmp_path, "--forget", "door-1").returncode == 0
    assert read(tmp_path, "SELECT 1 FROM node UNION SELECT 1 FROM key") == []
    done = run(tmp_path, "--forget", "door-1")
    assert done.returncode == 2 and "has no node door-1" in done.stderr


def test_a_backup_has_no_keys_and_overwrites_nothing(tmp_path):
    fill(tmp_path)
    copy = tmp_path / "copy.sqlite"
    assert run(tmp_path, "--backup", str(copy)).returncode == 0
    assert SECRET not in copy.read_bytes()
    assert b"door-1" in copy.read_bytes()
    done = run(tmp_path, "--backup", str(copy))
    assert done.returncode == 2 and "exists: name a new file" in done.stderr
