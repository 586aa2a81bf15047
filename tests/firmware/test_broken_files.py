"""Broken or unwritable files lead to safe mode, not to endless restarts."""

import os

import recovery
from config import Settings, load_secrets
from support import cases

HEAP = "300k"
FILE = "broken-test.json"
ENOSPC = 28


def remove():
    for path in (FILE, FILE + ".good", FILE + ".new"):
        try:
            os.remove(path)
        except OSError:
            pass


@cases(Settings.load, load_secrets)
def test_settings_that_exhaust_the_memory_are_a_fault_with_a_name(load):
    remove()
    with open(FILE, "wb") as file:
        for _ in range(60):
            file.write(b"[" * 512)
    try:
        load(FILE)
        raise AssertionError("taken")
    except ValueError as error:
        assert FILE in str(error)
    except (MemoryError, RuntimeError) as error:
        raise AssertionError(repr(error))
    finally:
        remove()


def full(path, mode="r"):
    """open() on a flash that is full."""
    if "w" in mode:
        raise OSError(ENOSPC)
    return open(path, mode)


def test_good_settings_that_can_not_be_put_back_do_not_restart_the_node():
    remove()
    for path, content in ((FILE, b"{broken"), (FILE + ".good", b"{}")):
        with open(path, "wb") as file:
            file.write(content)
    trial = recovery.Trial((FILE,), lambda line: None)
    recovery.open = full
    try:
        assert trial.failed() is False
    finally:
        del recovery.open
        remove()
