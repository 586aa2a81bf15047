"""The settings of a node in config.json, and its Wi-Fi access in secrets.json.

Each field is checked by config_schema.py, a file of its own since it is unloaded after the start
to save heap. A file is replaced as a whole or not at all: a node that loses power while saving
keeps its old settings.
"""

import errno
import json
import os

DEFAULT_NAME = "mote"
_SECRETS = ("ssid", "password", "country")
_NUMBERS_MAX = 8192  # bytes of a file of sequence numbers
_FILE_MAX = 2048  # bytes; no valid file of ours comes near

_DEFAULTS = (  # of literals only, so that it stays in flash
    ("name", "mote"),
    ("kind", "door"),
    ("heartbeat_s", 3600),
    ("gateway", ""),
    ("app", "both"),
    ("power", "mains"),
    ("alert", ""),
)
# The same order as _DEFAULTS
_JSON = """{"name":"%s","kind":"%s","heartbeat_s":%d,"gateway":"%s",\
"app":"%s","power":"%s","alert":"%s"}"""


class Settings:
    """The settings of a node, as attributes:

    name         display name, 1 to 32 characters
    kind         "door" or "window": what the contact is on
    heartbeat_s  longest time between two reports of a node on a battery, 10 to 86400 s
    gateway      gateway with a resource directory: "" for none, or "coap://host[:port]" of at most
                 64 characters; on a board the host must be a numeric IPv4 address
    app          "door", "wearable" or "both"
    power        "mains": always reachable; "battery": asleep except for reports to the gateway
    alert        limits of a wearer's readings, like "hr>150 temp>38.5", at most 64 characters: see
                 apps/alerts.py. Only a wearable on a battery uses them

    gateway, app, power and alert take effect at the next start.

    path: the file that save() writes; None keeps the settings in memory only.
    changes: how many updates changed something.
    """

    def __init__(self, path=None):
        self.path = path
        self.changes = 0
        for field, value in _DEFAULTS:
            setattr(self, field, value)

    @classmethod
    def load(cls, path):
        """Return the settings in the file, with defaults for missing fields or without a file.

        Raises ValueError that names the file and the invalid field.
        """
        settings = cls(path)
        fields = read_file(path, _FILE_MAX, parse)
        if fields is not None:
            try:
                settings.update(fields)
            except ValueError as error:
                raise ValueError("{}: {}".format(path, error))
        return settings

    def update(self, fields):
        """Set the fields of a dict; return True if any value changed.

        Raises ValueError("field: what it must be"); then nothing was changed.
        """
        _check("settings", fields, [field for field, _ in _DEFAULTS])
        new = False
        for field in fields:
            if getattr(self, field) != fields[field]:
                setattr(self, field, fields[field])
                new = True
        if new:
            self.changes += 1
        return new

    def save(self):
        """Write the file. Raises OSError if the filesystem is full or broken."""
        if self.path is not None:
            replace_file(self.path, self.as_json())

    def as_json(self):
        """Return the settings as a JSON object in bytes, the same bytes for the same settings.

        json.dumps() would not do: MicroPython's dicts have no order, so an ETag would differ after
        a restart.
        """
        values = []
        for field, _ in _DEFAULTS:
            value = getattr(self, field)
            values.append(_escaped(value) if isinstance(value, str) else value)
        return (_JSON % tuple(values)).encode()


def parse(content):
    """Return the dict of a JSON object in bytes. Raises ValueError, also for one beyond the heap.

    MicroPython 1.25 accepts an object that ends too early, so its end is checked here.
    """
    try:
        text = content.decode().strip()
        fields = json.loads(text)
    except (ValueError, MemoryError, RuntimeError):  # of many brackets: CPython's RecursionError
        raise ValueError("must be JSON")
    if not isinstance(fields, dict) or text[-1] != "}":
        raise ValueError("must be a JSON object")
    return fields


def load_secrets(path):
    """Return {"ssid": .., "password": .., "country": ..}, or None if there is no such file.

    Raises ValueError that names the file and the invalid field, never its value.
    """
    fields = read_file(path, _FILE_MAX, parse)
    if fields is None:
        return None
    try:
        _check("secrets", fields, _SECRETS)
    except ValueError as error:
        raise ValueError("{}: {}".format(path, error))
    return {field: fields.get(field, "") for field in _SECRETS}


def save_secrets(path, fields):
    """Write the Wi-Fi access of a dict. Raises ValueError that names the field; OSError."""
    check_secrets(fields)
    replace_file(path, json.dumps({field: fields.get(field, "") for field in _SECRETS}).encode())


def check_secrets(fields):
    """Raise ValueError that names the field if the Wi-Fi access is not complete and valid."""
    _check("secrets", fields, _SECRETS)


def _check(what, fields, known):
    import config_schema

    getattr(config_schema, what)(fields, known)


def _escaped(text):
    # There are no control characters, so JSON requires only these two to be escaped.
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return text


class Numbers:
    """A file for coap.oscore.sequence_numbers, replaced as a whole.

    Here and not in credentials.py, which only the start needs.
    """

    def __init__(self, path):
        self._path = path
        self.complete = True  # else some keys have no numbers: it counts as broken

    def load(self):
        """Return the content; b"", as of a broken file, if there is none or it can not be read."""
        try:
            return self.complete and read_file(self._path, _NUMBERS_MAX, bytes) or b""
        except ValueError:
            return b""

    def save(self, content):
        """Replace the file. Raises OSError."""
        replace_file(self._path, content)


def read_file(path, most, parse):
    """Return parse(the bytes of a file), None if there is no file.

    Raises ValueError that names the file if parse() raises one, if the file has more than `most`
    bytes, or if it cannot be read: what follows is the same.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise ValueError("has at most {} bytes".format(most))
        return parse(content)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise ValueError("{}: {}".format(path, error))
    except ValueError as error:
        raise ValueError("{}: {}".format(path, error))


def replace_file(path, content):
    """Write a file as a whole: a loss of power leaves the old content. Raises OSError."""
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
