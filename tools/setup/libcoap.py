"""libcoap's client and server with OSCORE, for the tests: from Debian trixie, through its loader.

Those of Debian 12 have no OSCORE. Nothing is installed: the packages are unpacked into the cache,
and the programs run with the C library that lies beside them. coap-oscore-conf(5) tells how they
get their keys.
"""

import platform
import shutil

from setup.console import CACHE, Problem, lock, say
from setup.debian import fetch_packages

SUITE = "trixie"
PACKAGES = ("libcoap3-bin", "libcoap3t64", "libssl3t64", "libc6", "zlib1g", "libzstd1")
CLIENT = "coap-client-openssl"
SERVER = "coap-server-openssl"
LIBRARIES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


def command(program, cache=CACHE):
    """The beginning of a command that runs CLIENT or SERVER.

    Raises:
        Problem: there are no such programs for this machine, or they can not be fetched.
    """
    machine = platform.machine()
    if machine not in LOADERS or platform.system() != "Linux":
        raise Problem(f"libcoap with OSCORE comes from Debian, which is not for {machine}")
    folder = fetched(cache)
    libraries = folder / "usr" / "lib" / LIBRARIES[machine]
    loader = libraries / LOADERS[machine]
    return [loader, "--library-path", libraries, folder / "usr" / "bin" / program]


def fetched(cache=CACHE):
    """The folder with the unpacked packages; fetched on first use."""
    folder = cache / f"libcoap-{SUITE}"
    done = folder / "unpacked"
    with lock("libcoap", cache):
        if not done.exists():
            say("Fetching libcoap with OSCORE (once, a few seconds)")
            try:
                fetch_packages(PACKAGES, folder, cache, SUITE)
            except Problem:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            done.touch()
    return folder
