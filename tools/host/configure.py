"""Set a node's Wi-Fi network, name and application: `make config DEV=`.

The values come from the terminal, the password without echo, or line by line from a pipe. A node
that serves CoAP on the serial line gets them by PUT. Any other board gets them through mpremote,
in files that only the owner can read and that are removed afterwards: never on a command line,
which every user of this computer can see.
"""

import getpass
import json
import sys
import tempfile
from pathlib import Path

import config  # the firmware's own module: it decides what a board accepts
from coap.numbers import CONTENT, GET, JSON, METHOD_NOT_ALLOWED, PUT
from config_schema import APPS
from host.device import (
    NO_BOARD,
    Problem,
    add_device_arguments,
    check_ports,
    mpremote,
    run,
    write_private,
)
from host.serial_port import find_node
from setup.console import Arguments

SETTINGS = "config.json"
SECRETS = "secrets.json"
HAS_SETTINGS = f'import os; print("{SETTINGS}" in os.listdir())'


def work(argv):
    """Run the tool. Raise Problem if a value is wrong or no board is found."""
    parser = Arguments(prog="configure", description=__doc__.splitlines()[0])
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    if options.dry_run:
        folder = Path("<private folder>")
        fetch_settings(options.dev, folder, dry_run=True)
        send(options.dev, folder, dry_run=True)
    elif node := find_node(options.dev):
        with node:
            configure_running(node)
    else:
        with tempfile.TemporaryDirectory(prefix="mote-") as name:  # only its owner can read it
            configure_board(options.dev, Path(name))


def configure_running(node):
    """Ask for the values and PUT them to a node that runs; it restarts by itself."""
    code, content = node.request(GET, "config")
    if code != CONTENT:
        raise Problem("the node has no /config: stop it with Ctrl-C in a terminal, and try again")
    settings = config.Settings()
    settings.update(config.parse(content))
    has_wifi = node.request(GET, "wifi")[0] == METHOD_NOT_ALLOWED
    secrets = ask(settings, has_wifi)
    put(node, "config", settings.as_json())
    if has_wifi:
        put(node, "wifi", json.dumps(secrets).encode())
        print(f"{settings.name} is configured and restarts")
    else:
        print(f"{settings.name} is configured; another application begins at its next start")


def put(node, path, content):
    """PUT a JSON object. Raise Problem with the node's diagnostic payload if it refuses."""
    code, diagnostic = node.request(PUT, path, content, JSON)
    if code >> 5 != 2:
        reason = diagnostic.decode(errors="replace") or f"{code >> 5}.{code & 31:02}"
        raise Problem(f"the node refuses /{path}: {reason}")


def configure_board(dev, folder):
    """Ask for the values and copy them to a board by way of files in `folder`."""
    settings = fetch_settings(dev, folder)
    secrets = ask(settings)
    write_private(folder / SECRETS, json.dumps(secrets).encode())
    write_private(folder / SETTINGS, settings.as_json())
    send(dev, folder)
    print(f"{settings.name} is configured and restarts")


def fetch_settings(dev, folder, dry_run=False):
    """Return the board's settings, or the defaults if it has none or invalid ones."""
    try:
        found = run([*mpremote(dev), "exec", HAS_SETTINGS], dry_run, capture=True)
        if found.strip().endswith("True") or dry_run:
            copy = ["fs", "cp", f":{SETTINGS}", folder / SETTINGS]
            run([*mpremote(dev), *copy], dry_run, capture=True)
    except Problem as problem:
        raise Problem(f"{problem}: {NO_BOARD}") from None
    if dry_run:
        return None
    try:
        return config.Settings.load(str(folder / SETTINGS))
    except ValueError as error:
        print(f"The board's {error}; its other settings become the defaults")
        return config.Settings()


def ask(settings, has_wifi=True):
    """Ask for the values; update `settings` and return the secrets.

    Raises:
        Problem: a value is wrong; the message names it.
    """
    secrets = {}
    if has_wifi:
        secrets = {
            "ssid": question("Wi-Fi network (SSID)"),
            "password": question("Password (empty: open network)", hidden=True),
            "country": question("Country, two letters (empty: world-wide)").upper(),
        }
    name = question(f"Node name [{settings.name}]") or settings.name
    app = question(f"Application: {', '.join(APPS)} [{settings.app}]") or settings.app
    try:
        if has_wifi:
            config.check_secrets(secrets)
        settings.update({"name": name, "app": app})
    except ValueError as error:
        raise Problem(f"{error}; nothing was changed") from None
    return secrets


def question(text, hidden=False):
    """Return what is typed; from a pipe, the next line, or "" after the last."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return getpass.getpass(f"{text}: ") if hidden else input(f"{text}: ").strip()
    except EOFError:
        raise Problem("Nothing was changed") from None


def send(dev, folder, dry_run=False):
    """Copy both files to the board and restart it."""
    secrets = ["fs", "cp", folder / SECRETS, f":{SECRETS}"]
    settings = ["fs", "cp", folder / SETTINGS, f":{SETTINGS}"]
    run([*mpremote(dev), *secrets, "+", *settings, "+", "reset"], dry_run)
