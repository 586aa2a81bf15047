"""The gateway's names by mDNS, on loopback, and its response to a group."""

import asyncio
import contextlib
import os
import socket

import pytest
from parts import free_port, run, running
from tools.gateway.announce import Announcement, places
from tools.gateway.settings import Settings
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

HERE = ["127.0.0.1"]
CORE = b"\xbb.well-known\x04core"


async def found(kind, name):
    """Return (port, server) of a service, None if nobody announces it."""
    zeroconf = AsyncZeroconf(interfaces=HERE)
    try:
        info = AsyncServiceInfo(f"{kind}.local.", f"{name}.{kind}.local.")
        if await info.async_request(zeroconf.zeroconf, 1500):
            return info.port, info.server
        return None
    finally:
        await zeroconf.async_close()


@pytest.mark.parametrize("lan", [False, True])
def test_what_others_may_use_is_announced(tmp_path, lan):
    async def main():
        name = f"mote-{os.getpid()}-{int(lan)}"
        settings = Settings(coap="0.0.0.0:15683", http="0.0.0.0:18080", name=name, lan=lan)
        announcement = Announcement(settings, HERE)
        await announcement.start()
        try:
            assert await found("_coap._udp", name) == (15683, f"{name}.local.")
            assert await found("_http._tcp", name) == ((18080, f"{name}.local.") if lan else None)
        finally:
            await announcement.stop()

    run(main())


@pytest.mark.parametrize(
    ("host", "wanted"),
    [("127.0.0.1", []), ("::1", []), ("192.0.2.5", ["192.0.2.5"]), ("localhost", [])],
)
def test_loopback_is_not_announced(host, wanted):
    assert places(host) == wanted


def test_a_network_that_refuses_is_logged(caplog):
    async def main():
        announcement = Announcement(Settings(name="x"), ["192.0.2.77"])
        await announcement.start()
        await announcement.stop()
        assert "not announced" in caplog.text

    run(main())


def responses(port, path, code=1, wait_s=1.6):
    """Return the responses to a NON request to the group on loopback."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sock.sendto(bytes((0x51, code)) + os.urandom(2) + b"t" + path, ("224.0.1.187", port))
        sock.settimeout(wait_s)
        got = []
        with contextlib.suppress(TimeoutError):
            while True:
                got.append(sock.recv(2048))
        return got


def test_a_group_is_answered_with_the_resources_and_with_no_error(tmp_path):
    async def main():
        port = free_port()
        async with running(tmp_path, coap=f"0.0.0.0:{port}"):
            (got,) = await asyncio.to_thread(responses, port, CORE)
            assert got[1] == 0x45 and b"core.rd" in got
            for path, code in ((b"\xb1n", 1), (b"\xb3abc", 1), (CORE, 3)):
                assert await asyncio.to_thread(responses, port, path, code) == []

    run(main())
