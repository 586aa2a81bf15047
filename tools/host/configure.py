"""Gives a node its Wi-Fi access and its name: `make config DEV=`.

Answers come from the terminal, the password unseen, or line by line from a pipe. A node that runs
and serves CoAP on the serial line is told by PUT. Any other board gets them through mpremote, in
files that nobody else can read and that are removed afterwards: never on a command line, where
every user of this computer could see them.
"""

import contextlib
import getpass
import importlib
import json
import sys
import tempfile
from pathlib import Path

from coap.numbers import CONTENT, GET, JSON, METHOD_NOT_ALLOWED, PUT
from host import serial_node  # and with it the way to lib/
from host.device import (
    Problem,
    add_device_arguments,
    check_ports,
    mpremote,
    run,
    write_private,
)
from setup.console import Arguments

SETTINGS = "config.json"
SECRETS = "secrets.json"
HAS_SETTINGS = f'import os; print("{SETTINGS}" in os.listdir())'


def work(argv):
    parser = Arguments(prog="configure", description=__doc__.splitlines()[0])
    add_device_arguments(parser)
    options = parser.parse_args(argv)
    check_ports(options.dev, options.port)
    if options.dry_run:
        folder = Path("<private folder>")
        fetch_settings(options.dev, folder, dry_run=True)
        send(options.dev, folder, dry_run=True)
        return
    if node := serial_node.find(options.dev):
        with node:
            configure_running(node)
        return
    with private_folder() as folder:
        settings = fetch_settings(options.dev, folder)
        secrets, settings = ask(settings)
        write_private(folder / SECRETS, json.dumps(secrets).encode())
        write_private(folder / SETTINGS, settings.as_json())
        send(options.dev, folder)
    print(f"{settings.name} is configured and starts anew")


def configure_running(node):
    """Asks and tells a node that runs; it starts anew by itself."""
    config = firmware_config()
    code, content = node.ask(GET, "config")
    if code != CONTENT:
        raise Problem("the node has no /config: stop it with Ctrl-C in a terminal, and try again")
    settings = config.Settings()
    settings.update(config.parse(content))
    has_wifi = node.ask(GET, "wifi")[0] == METHOD_NOT_ALLOWED
    secrets, settings = ask(settings, has_wifi)
    tell(node, "config", settings.as_json())
    if has_wifi:
        tell(node, "wifi", json.dumps(secrets).encode())
        print(f"{settings.name} is configured and starts anew")
    else:
        print(f"{settings.name} is configured; another application begins at its next start")


def tell(node, path, content):
    """PUTs a JSON object. Raises Problem with the node's own words."""
    code, why = node.ask(PUT, path, content, JSON)
    if code >> 5 != 2:
        reason = why.decode(errors="replace") or f"{code >> 5}.{code & 31:02}"
        raise Problem(f"the node refuses /{path}: {reason}")


def firmware_config():
    """firmware/config.py: what the board will accept is decided there."""
    return importlib.import_module("config")


def fetch_settings(dev, folder, dry_run=False):
    """Returns the settings that the board has; the defaults where it has none, or bad ones."""
    config = firmware_config()
    try:
        answer = run([*mpremote(dev), "exec", HAS_SETTINGS], dry_run, capture=True)
        if answer.strip().endswith("True") or dry_run:
            copy = ["fs", "cp", f":{SETTINGS}", folder / SETTINGS]
            run([*mpremote(dev), *copy], dry_run, capture=True)
    except Problem as problem:
        raise Problem(
            f"{problem}: plug the board in, close other programs that use it, or name it with "
            "DEV=/dev/tty..."
        ) from None
    if dry_run:
        return None
    try:
        return config.Settings.load(str(folder / SETTINGS))
    except ValueError as error:
        print(f"The board's {error}; its other settings become the defaults")
        return config.Settings()


def ask(settings, has_wifi=True):
    """Returns (secrets, settings) as answered; raises Problem naming the answer that is wrong."""
    config = firmware_config()
    apps = ", ".join(importlib.import_module("fields").APPS)
    secrets = {}
    if has_wifi:
        secrets = {
            "ssid": question("Wi-Fi network (SSID)"),
            "password": question("Password (empty: open network)", hidden=True),
            "country": question("Country, two letters (empty: world-wide)").upper(),
        }
    name = question(f"Node name [{settings.name}]") or settings.name
    app = question(f"Application: {apps} [{settings.app}]") or settings.app
    try:
        if has_wifi:
            config.check_secrets(secrets)
        settings.update({"name": name, "app": app})
    except ValueError as error:
        raise Problem(f"{error}; nothing was changed") from None
    return secrets, settings


def question(text, hidden=False):
    """Returns the answer; from a pipe, its next line, or "" after the last."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return getpass.getpass(f"{text}: ") if hidden else input(f"{text}: ").strip()
    except EOFError:
        raise Problem("Nothing was changed") from None


@contextlib.contextmanager
def private_folder():
    """A folder for nobody but us, removed with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="mote-") as name:
        yield Path(name)


def send(dev, folder, dry_run=False):
    """Copies both files to the board and restarts it."""
    secrets = ["fs", "cp", folder / SECRETS, f":{SECRETS}"]
    settings = ["fs", "cp", folder / SETTINGS, f":{SETTINGS}"]
    run([*mpremote(dev), *secrets, "+", *settings, "+", "reset"], dry_run)
