"""Fetches Debian packages into a folder, without root and without installing anything.

An apt with its own state asks the mirror that this machine uses already, and checks signatures.
"""

import os
import shutil
import subprocess
from pathlib import Path

from setup.console import CACHE, Problem, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NEEDED = ("apt-get", "dpkg-source", "dpkg-deb")


def fetch_sources(names, suite, folder, cache=CACHE):
    """Unpacks the source packages of a Debian suite into subfolders of `folder`.

    Raises:
        Problem: a tool, the keyring or the mirror is missing, or the mirror lacks the package.
    """
    packages = [f"{name}/{suite}" for name in names]
    _fetch("deb-src", suite, ["source", "--only-source", *packages], folder, cache)


def fetch_packages(names, folder, cache=CACHE, suite=None):
    """Unpacks binary packages of a Debian suite into `folder`.

    Args:
        suite: for packages that run anywhere; by default it is this machine's own release.

    Raises:
        Problem: as fetch_sources(), or this machine does not run Debian.
    """
    if suite is None:
        release = os_release()
        if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
            raise Problem("this machine does not run a release of Debian")
        suite = release["VERSION_CODENAME"]
    _fetch("deb", suite, ["download", *names], folder, cache)
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", package, folder], "unpacking", cache)
        package.unlink()


def _fetch(kind, suite, order, folder, cache):
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise Problem(f"fetching from Debian needs {', '.join(missing)}")
    if not KEYRING.exists():
        raise Problem("fetching from Debian needs the package debian-archive-keyring")
    mirror = os.environ.get("DEBIAN_MIRROR") or configured_mirror()
    shutil.rmtree(folder, ignore_errors=True)
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    listing = state / "sources.list"
    listing.write_text(f"{kind} [signed-by={KEYRING}] {mirror} {suite} main\n")
    apt = ["apt-get", "-q", f"-oDir::State::Lists={state}/lists", f"-oDir::Cache={state}/cache"]
    apt += [f"-oDir::Etc::SourceList={listing}", "-oDir::Etc::SourceParts=/dev/null"]
    apt += ["-oAcquire::Languages=none", "-oAPT::Update::Error-Mode=any"]
    if os.geteuid() == 0:
        apt += ["-oAPT::Sandbox::User=root"]  # apt's own user may not read this folder
    run([*apt, "update"], "apt-get update", cache, cwd=folder)
    run([*apt, *order], f"apt-get {order[0]}", cache, cwd=folder)
    shutil.rmtree(state)


def configured_mirror():
    """The address of the Debian mirror in this machine's own apt configuration."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    listed = subprocess.run(argv, capture_output=True, text=True).stdout.split()
    # The security archive holds no whole suite.
    mirrors = [uri for uri in listed if "security" not in uri]
    if not mirrors:
        raise Problem(
            "no Debian mirror is known: run `apt-get update`, or set DEBIAN_MIRROR=address"
        )
    return mirrors[0]


def os_release(path=Path("/etc/os-release")):
    """The fields of /etc/os-release; empty where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = [line.partition("=") for line in lines if "=" in line]
    return {name: value.strip("\"'") for name, _, value in pairs}
