"""Servers for foreign clients to talk to; one process of each serves all tests."""

import pytest
from processes import aiocoap_server, libcoap_server, simulated

INTERPRETERS = ("micropython", "cpython")
SERVERS = ("node", "libcoap_process", "aiocoap_process")


@pytest.fixture(scope="session", params=INTERPRETERS)
def node(request):
    """A simulated door and wearable node, on each interpreter."""
    with simulated(request.param, "both") as process:
        yield process


@pytest.fixture(scope="session")
def libcoap_process():
    """libcoap's server, against which the wrappers of the other clients prove themselves."""
    with libcoap_server() as process:
        yield process


@pytest.fixture(scope="session")
def aiocoap_process():
    """aiocoap's server, for the same purpose."""
    with aiocoap_server() as process:
        yield process


@pytest.fixture(autouse=True)
def show_output(request):
    """Print what the servers printed meanwhile: pytest shows it when the test fails."""
    names = [name for name in SERVERS if name in request.fixturenames]
    processes = [request.getfixturevalue(name) for name in names]
    before = [len(process.printed) for process in processes]
    yield
    for process, length in zip(processes, before, strict=True):
        print(f"{process.name}:\n{process.printed[length:]}")
