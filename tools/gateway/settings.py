"""The gateway's settings: flags, else the file gateway.json in its folder, else defaults."""

import json
import socket
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from setup.console import ROOT, Arguments, Problem

FILE = "gateway.json"
COAP_PORT, HTTP_PORT = 5683, 8080
READ = ("open", "keys")


@dataclass(frozen=True)
class Settings:
    """What a user may set.

    Attributes:
        coap, http: where it listens, HOST:PORT, an IPv6 host in brackets.
        data, keys: the folder of the store, and that of `make keys`.
        name: of this gateway.
        lan: also serve the page to other computers, with a token.
        strict: refuse nodes without keys.
        read: who may read values by CoAP, everybody ("open") or who has keys ("keys").
        rate_hz: requests a second that a host or a key may send.
        wake_s: seconds of a wake in which waiting requests are delivered.
    """

    coap: str = f"[::]:{COAP_PORT}"
    http: str = f"127.0.0.1:{HTTP_PORT}"
    data: Path = ROOT / "gateway-data"
    keys: Path = ROOT / "keys"
    name: str = socket.gethostname()
    lan: bool = False
    strict: bool = False
    read: str = "open"
    rate_hz: float = 20.0
    wake_s: float = 20.0

    @property
    def coap_address(self) -> tuple[str, int]:
        """Return host and port of the CoAP server."""
        return address(self.coap, "COAP", COAP_PORT)

    @property
    def http_address(self) -> tuple[str, int]:
        """Return host and port of the web server: all addresses with `lan`, unless set."""
        host, port = address(self.http, "HTTP", HTTP_PORT)
        return ("::" if self.lan and self.http == Settings.http else host), port


def load(argv: list[str]) -> tuple[Settings, Any]:
    """Return the settings, and the command line as a namespace.

    Raises:
        Problem: a setting is wrong; the line names it and where it stands.
    """
    parser = Arguments(prog="gateway", description=str(__doc__).splitlines()[0])
    for one in ("coap", "http", "data", "keys", "name", "read"):
        parser.add_argument(f"--{one}", default=None)
    parser.add_argument("--lan", action="store_true", default=None)
    parser.add_argument("--strict", action="store_true", default=None)
    parser.add_argument("--demo", action="store_true", help="run with three simulated nodes")
    parser.add_argument("--service", action="store_true", help="print or install its unit")
    parser.add_argument("--check", action="store_true", help="check the settings and end")
    parser.add_argument("--backup", type=Path, metavar="FILE", help="write a copy and end")
    parser.add_argument("--import-keys", action="store_true", help="take new keys and end")
    parser.add_argument("--forget", metavar="NODE", help="remove a node and end")
    options = parser.parse_args(argv)
    given = {key: value for key, value in vars(options).items() if value not in (None, "")}
    data = Path(given.get("data", Settings.data)).resolve()
    found = {**of_file(data / FILE), **given, "data": data}
    names = {one.name for one in fields(Settings)}
    settings = Settings(**{key: value for key, value in found.items() if key in names})
    settings = Settings(**{**vars(settings), "keys": Path(settings.keys).resolve()})
    if settings.read not in READ:
        raise Problem(f"read={settings.read}: use one of {', '.join(READ)}")
    if not settings.rate_hz > 0 or not settings.wake_s > 0:
        raise Problem("rate_hz and wake_s are more than 0")
    _ = settings.coap_address, settings.http_address
    return settings, options


def of_file(path: Path) -> dict[str, Any]:
    """Return the settings in a file, {} if there is none. Raises Problem that names the fault."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Problem(f"{path}: {error}: write a JSON object, or remove the file") from None
    if not isinstance(found, dict):
        raise Problem(f"{path}: write a JSON object, or remove the file")
    kinds = {one.name: type(one.default) for one in fields(Settings)}
    for key, value in found.items():
        if key not in kinds or key == "data":
            raise Problem(f"{path}: {key} is no setting; they are {', '.join(sorted(kinds))}")
        wanted = kinds[key]
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            continue
        if not isinstance(value, str if issubclass(wanted, Path) else wanted):
            raise Problem(f"{path}: {key} has the wrong type: {json.dumps(value)}")
    return found


def address(text: str, name: str, port: int) -> tuple[str, int]:
    """Return (host, port) of HOST, HOST:PORT or [IPV6]:PORT. Raises Problem."""
    host, given = text, ""
    if text.startswith("["):
        host, bracket, given = text[1:].partition("]")
        if not bracket or given[:1] not in ("", ":"):
            raise Problem(f"{name}={text}: write it as [::]:{port}")
        given = given[1:]
    elif text.count(":") == 1:
        host, _, given = text.partition(":")
    elif ":" in text:
        raise Problem(f"{name}={text}: write an IPv6 address in brackets, [::]:{port}")
    if given and not (given.isdecimal() and 0 <= int(given) < 65536):
        raise Problem(f"{name}={text}: the port is a number below 65536")
    if not host:
        raise Problem(f"{name}={text}: name a host, for example 127.0.0.1:{port}")
    return host, int(given) if given else port
