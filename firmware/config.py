"""What a node is told about itself: settings in config.json, Wi-Fi access in secrets.json.

Every field is checked when it comes in, and a file is replaced as a whole or not at all: a node
that loses power while saving keeps its old settings.
"""

import errno
import json
import os

KINDS = ("door", "window")
APPS = ("door", "wearable", "both")
POWERS = ("mains", "battery")
HEARTBEAT_MIN_S = 10
HEARTBEAT_MAX_S = 86400
NAME_MAX = 32  # characters
GATEWAY_MAX = 64  # characters
DEFAULT_NAME = "mote"

_DEFAULTS = (
    ("name", DEFAULT_NAME),
    ("kind", "door"),
    ("heartbeat_s", 3600),
    ("gateway", ""),
    ("app", "both"),
    ("power", "mains"),
)
# all of them as JSON, but for their values
_JSON = "{%s}" % ",".join(
    ['"%s":%s' % (name, '"%s"' if isinstance(value, str) else "%d") for name, value in _DEFAULTS]
)
_SECRETS = ("ssid", "password", "country")
_SCHEME = "coap://"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_HEX = _DIGITS + "abcdefABCDEF"
_HOST = _CAPITALS + "abcdefghijklmnopqrstuvwxyz.-_" + _DIGITS


class Settings:
    """The settings of a node, as attributes:

    name         what people call it, 1 to 32 characters
    kind         "door" or "window": what the contact watches
    heartbeat_s  seconds between signs of life, 10 to 86400
    gateway      whose resource directory lists the node: "" (nobody's) or "coap://host[:port]", at
                 most 64 characters; boards want the host as a numeric IPv4 address
    app          "door", "wearable" or "both"
    power        "mains": always there; "battery": asleep but for its reports to the gateway

    Gateway, application and power are taken up at the next start.

    `path` is where save() writes; None keeps the settings in memory only.
    """

    def __init__(self, path=None):
        self.path = path
        self.changes = 0  # how often update() brought something new
        for field, value in _DEFAULTS:
            setattr(self, field, value)

    @classmethod
    def load(cls, path):
        """Return the settings in the file; the defaults for what it lacks, or where there is none.

        Raises ValueError naming the file and the field that is wrong.
        """
        settings = cls(path)
        fields = _read(path)
        if fields is not None:
            try:
                settings.update(fields)
            except ValueError as error:
                raise ValueError("{}: {}".format(path, error))
        return settings

    def update(self, fields):
        """Take over the fields of a dict; those that it lacks stay. Was any of them new?

        Raises ValueError("field: what it must be"); then nothing has changed.
        """
        check_settings(fields)
        new = False
        for field in fields:
            if getattr(self, field) != fields[field]:
                setattr(self, field, fields[field])
                new = True
        if new:
            self.changes += 1
        return new

    def save(self):
        """Write the file. Raises OSError when the filesystem is full or broken."""
        if self.path is not None:
            _replace(self.path, self.as_json())

    def as_json(self):
        """Return the settings as a JSON object, always with the same bytes for the same settings.

        MicroPython's dicts have no order, and json.dumps() would follow it: an ETag over that
        would not survive a restart.
        """
        values = []
        for field, _ in _DEFAULTS:
            value = getattr(self, field)
            values.append(_escaped(value) if isinstance(value, str) else value)
        return (_JSON % tuple(values)).encode()


def parse(content):
    """Return the dict that the bytes of a JSON object are. Raises ValueError.

    MicroPython 1.25 takes an object that ends too early for a whole one, so its end is looked
    at.
    """
    try:
        text = content.decode().strip()
        fields = json.loads(text)
    except ValueError:
        raise ValueError("must be JSON")
    if not isinstance(fields, dict) or text[-1] != "}":
        raise ValueError("must be a JSON object")
    return fields


def check_settings(fields):
    """Raise ValueError, naming the field, unless every field is known and good."""
    if isinstance(fields, dict):
        good = True
        for field in fields:
            check = _CHECKS.get(field)
            if check is None or check(fields[field]):
                good = False
        if good:
            return
    _only_known(fields, [field for field, _ in _DEFAULTS])
    for field, _ in _DEFAULTS:  # of several that are wrong, always the same is named
        if field in fields:
            wrong = _CHECKS[field](fields[field])
            if wrong:
                raise ValueError("{}: {}".format(field, wrong))


def load_secrets(path):
    """Return {"ssid": .., "password": .., "country": ..}, or None where there is no such file.

    Raises ValueError naming the file and the field that is wrong, never its value.
    """
    fields = _read(path)
    if fields is None:
        return None
    try:
        check_secrets(fields)
    except ValueError as error:
        raise ValueError("{}: {}".format(path, error))
    return {field: fields.get(field, "") for field in _SECRETS}


def save_secrets(path, fields):
    """Write the Wi-Fi access of a dict. Raises ValueError naming the field, OSError."""
    check_secrets(fields)
    _replace(path, json.dumps({field: fields.get(field, "") for field in _SECRETS}).encode())


def check_secrets(fields):
    """Raise ValueError, naming the field, unless the Wi-Fi access is complete and well-formed."""
    _only_known(fields, _SECRETS)
    for field in _SECRETS:
        if not isinstance(fields.get(field, ""), str):
            raise ValueError("{}: must be a string".format(field))
    if not 1 <= len(fields.get("ssid", "").encode()) <= 32:
        raise ValueError("ssid: must have 1 to 32 bytes")
    password = fields.get("password", "").encode()
    is_key = len(password) == 64 and _consists_of(password.decode(), _HEX)
    if password and not 8 <= len(password) <= 63 and not is_key:
        raise ValueError("password: must be empty (open network) or have 8 to 63 characters")
    country = fields.get("country", "")
    if country and (len(country) != 2 or not _consists_of(country, _CAPITALS)):
        raise ValueError("country: must be two capital letters, like DE")


def _only_known(fields, known):
    if not isinstance(fields, dict):
        raise ValueError("must be a JSON object")
    for field in fields:
        if field not in known:
            raise ValueError("{}: unknown field; known are {}".format(field, ", ".join(known)))


def _check_name(value):
    if not isinstance(value, str) or not 1 <= len(value) <= NAME_MAX:
        return "must be a string of 1 to {} characters".format(NAME_MAX)
    for character in value:
        code = ord(character)
        if code < 0x20 or code == 0x7F or 0xD800 <= code <= 0xDFFF:
            return "must not contain control characters or halves of a surrogate pair"
    return None


def _check_kind(value):
    return None if value in KINDS else "must be one of " + ", ".join(KINDS)


def _check_app(value):
    return None if value in APPS else "must be one of " + ", ".join(APPS)


def _check_power(value):
    return None if value in POWERS else "must be one of " + ", ".join(POWERS)


def _check_heartbeat_s(value):
    good = isinstance(value, int) and not isinstance(value, bool)
    if good and HEARTBEAT_MIN_S <= value <= HEARTBEAT_MAX_S:
        return None
    return "must be an integer from {} to {}".format(HEARTBEAT_MIN_S, HEARTBEAT_MAX_S)


def _check_gateway(value):
    if value == "" or isinstance(value, str) and _is_gateway(value):
        return None
    return 'must be "" or coap://host[:port] of at most {} characters'.format(GATEWAY_MAX)


def _is_gateway(uri):
    if len(uri) > GATEWAY_MAX or not uri.startswith(_SCHEME):
        return False
    authority = uri[len(_SCHEME) :]
    if authority.startswith("["):  # an IPv6 literal has colons of its own
        end = authority.find("]")
        host, port = authority[1:end], authority[end + 1 :]
        good = end > 1 and _consists_of(host, _HEX + ":.") and ":" in host
    else:
        end = authority.find(":")
        host, port = (authority, "") if end < 0 else (authority[:end], authority[end:])
        good = host != "" and _consists_of(host, _HOST)
    return good and (port == "" or _is_port(port))


def _is_port(text):
    digits = text[1:]
    good = text[0] == ":" and 1 <= len(digits) <= 5 and _consists_of(digits, _DIGITS)
    return good and 1 <= int(digits) <= 65535


def _consists_of(text, characters):
    for character in text:
        if character not in characters:
            return False
    return True


_CHECKS = {
    "name": _check_name,
    "kind": _check_kind,
    "heartbeat_s": _check_heartbeat_s,
    "gateway": _check_gateway,
    "app": _check_app,
    "power": _check_power,
}


def _escaped(text):
    # Control characters never get this far, so these two are all that JSON wants escaped.
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return text


def _read(path):
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError("{}: {}".format(path, error))


def _replace(path, content):
    new = path + ".new"
    try:
        with open(new, "wb") as file:
            file.write(content)
        os.rename(new, path)
    except OSError:
        try:
            os.remove(new)
        except OSError:
            pass
        raise
