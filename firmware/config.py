"""What a node is told about itself: settings in config.json, Wi-Fi access in secrets.json.

Every field is checked when it comes in (see fields.py), and a file is replaced as a whole or not
at all: a node that loses power while saving keeps its old settings.
"""

import errno
import json
import os

DEFAULT_NAME = "mote"
_SECRETS = ("ssid", "password", "country")

_DEFAULTS = (
    ("name", DEFAULT_NAME),
    ("kind", "door"),
    ("heartbeat_s", 3600),
    ("gateway", ""),
    ("app", "both"),
    ("power", "mains"),
    ("alert", ""),
)
# all of them as JSON, but for their values
_JSON = "{%s}" % ",".join(
    ['"%s":%s' % (name, '"%s"' if isinstance(value, str) else "%d") for name, value in _DEFAULTS]
)


class Settings:
    """The settings of a node, as attributes:

    name         what people call it, 1 to 32 characters
    kind         "door" or "window": what the contact watches
    heartbeat_s  seconds between signs of life, 10 to 86400
    gateway      whose resource directory lists the node: "" (nobody's) or "coap://host[:port]", at
                 most 64 characters; boards want the host as a numeric IPv4 address
    app          "door", "wearable" or "both"
    power        "mains": always there; "battery": asleep but for its reports to the gateway
    alert        bounds of a wearer's readings, like "hr>150 temp>38.5", at most 64 characters: see
                 apps/bounds.py. Only a wearable on a battery looks at them: on mains observers
                 have conditions of their own, and a door has no such readings

    Gateway, application, power and alert are taken up at the next start.

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
    _check("secrets", fields, _SECRETS)


def _check(what, fields, known):
    import config_schema as rules  # who starts a node unloads it: mostly nothing is set for months

    getattr(rules, what)(fields, known)


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
