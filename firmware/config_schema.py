"""The valid values of the fields of config.json and secrets.json.

A file of its own since it is unloaded after the start, and loaded again when a field is set.
"""

KINDS = ("door", "window")
APPS = ("door", "wearable", "both")
POWERS = ("mains", "battery")
HEARTBEAT_MIN_S = 10
HEARTBEAT_MAX_S = 86400
NAME_MAX = 32  # characters
GATEWAY_MAX = 64  # characters

_SCHEME = "coap://"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_HEX = _DIGITS + "abcdefABCDEF"
_HOST = _CAPITALS + "abcdefghijklmnopqrstuvwxyz.-_" + _DIGITS


def settings(fields, known):
    """Raise ValueError that names the field unless each field of the dict is known and valid."""
    if isinstance(fields, dict):
        good = True
        for field in fields:
            check = _CHECKS.get(field)
            if check is None or check(fields[field]):
                good = False
        if good:
            return
    _only_known(fields, known)
    for field in known:  # of several invalid fields always the same is named
        if field in fields:
            wrong = _CHECKS[field](fields[field])
            if wrong:
                raise ValueError("{}: {}".format(field, wrong))


def sleep_blocked_by(app, gateway, has_radio):
    """Return why a node on a battery cannot sleep with these settings; "" if it can."""
    if not has_radio:
        return "power: this board has no Wi-Fi to report with, it must be mains"
    if app == "both":
        return "power: a node on a battery needs app door or wearable, not both"
    if not is_numeric(gateway):
        return "power: a node on a battery needs a gateway with a numeric IPv4 address"
    return ""


def is_numeric(uri):
    """Return True if the host of "coap://HOST[:PORT]" is a numeric IPv4 address."""
    parts = uri[len(_SCHEME) :].split(":")[0].split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return True


def secrets(fields, known):
    """Raise ValueError that names the field if the Wi-Fi access is not complete and valid."""
    _only_known(fields, known)
    for field in known:
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


def _check_alert(value):
    if value == "":
        return None
    from apps.alerts import WRONG, parse

    try:
        if "\x7f" in value or min(value) < " ":
            return WRONG  # split() accepts line breaks, JSON does not
        parse(value)
    except (ValueError, TypeError, AttributeError):  # not a string
        return WRONG
    return None


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
    if authority.startswith("["):  # an IPv6 literal contains colons
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
    "alert": _check_alert,
}
