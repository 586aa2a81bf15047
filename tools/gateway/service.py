"""`make gateway-service`: the gateway as a service of systemd, started with the computer.

As root it writes the unit and starts it; else it prints the unit, and how to install it.
"""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from setup.console import ROOT, Problem

from .settings import Settings

NAME = "mote-gateway"
PLACE = Path("/etc/systemd/system") / f"{NAME}.service"
UNIT = """\
[Unit]
Description=Mote gateway: takes the reports of sleeping nodes
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User={user}
WorkingDirectory={root}
ExecStart={python} -m tools.gateway --coap {coap} --http {http} --data {data} --keys {keys}{more}
Restart=always
RestartSec=2
# A write that is cut off is undone at the next start; the end of one takes seconds at most.
TimeoutStopSec=20
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
CapabilityBoundingSet=
UMask=0077
ReadWritePaths={data} {keys}

[Install]
WantedBy=multi-user.target
"""


def unit(settings: Settings) -> str:
    """Return the text of the unit. Raises Problem for a path that a unit cannot name."""
    user = pwd.getpwuid(ROOT.stat().st_uid).pw_name
    more = " --lan" * settings.lan + " --strict" * settings.strict
    paths = {"data": settings.data, "keys": settings.keys, "root": ROOT}
    for name, path in paths.items():
        if any(one.isspace() or one in "%\"'\\" for one in str(path)):
            raise Problem(f"{name}={path}: a service needs a path without spaces and quotes")
    return UNIT.format(
        user=user,
        python=ROOT / ".venv" / "bin" / "python",
        coap=settings.coap,
        http=settings.http,
        more=more,
        **paths,
    )


def install(settings: Settings, place: Path = PLACE) -> None:
    """Install the unit as root, else print it. Raises Problem when systemd refuses it."""
    text = unit(settings)
    if os.geteuid() != 0 or shutil.which("systemctl") is None:
        print(text)
        print(f"# As root, with systemd: `sudo make gateway-service` writes this to {place}.")
        print(
            f"# `sudo systemctl disable --now {NAME}` ends it, and removing the file removes it."
        )
        return
    for folder in (settings.data, settings.keys):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(folder, ROOT.stat().st_uid, ROOT.stat().st_gid)
    place.write_text(text)
    for words in (("daemon-reload",), ("enable", NAME), ("restart", NAME)):
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["systemctl failed"])[-1]
            raise Problem(f"{place} is written, but not started: {why}")
    print(f"{NAME} runs, and starts with this computer: `systemctl status {NAME}`", flush=True)
    print(f"`systemctl disable --now {NAME}` ends it; then remove {place}.", file=sys.stdout)
