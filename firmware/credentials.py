"""The keys of a node: OSCORE security contexts in oscore.json, and the access without them.

The file is a JSON object, or a list of objects, each a security context (RFC 8613 section 3). All
values but `gateway` are strings in hexadecimal:

    secret        Master Secret, 16 to 32 bytes
    salt          Master Salt, optional
    sender_id     Sender ID of this node, at most 7 bytes
    recipient_id  of the other endpoint
    id_context    ID Context, at most 32 bytes, optional
    gateway       true, the default: the first such context protects requests to the gateway

The file oscore.json.numbers keeps the sender sequence numbers (see coap.oscore.sequence_numbers).
`make keys` writes both files and `make provision` puts them on a board; `tools/keys numbers`
writes the second one for keys made by hand. Keys whose numbers are not there may have been used:
the node then neither accepts nor sends anything under them, and /diag and the console say so.
"""

import json
from binascii import hexlify, unhexlify

from coap.access import READ_ONLY, Access
from config import Numbers, read_file

FILE = "oscore.json"
NUMBERS = ".numbers"  # suffix of the file of sender sequence numbers
STEP = 256  # sender sequence numbers per write to flash
_NEW_KEYS = "`make keys ROTATE=1` and `make provision`"
_FILE_MAX = 8192  # bytes of the file of keys: some thirty contexts
_HEX = ("secret", "salt", "sender_id", "recipient_id", "id_context")
_NEEDED = ("secret", "sender_id", "recipient_id")
_KNOWN = ("secret", "salt", "sender_id", "recipient_id", "id_context", "gateway")
_EXAMPLE = b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"  # RFC 8613


def features(path=FILE, say=print, default=READ_ONLY):
    """Return a node's extensions for access control and OSCORE.

    Without valid keys there is only access control, by default read-only.
    """
    access = Access(default)
    try:
        entries = read_file(path, _FILE_MAX, _parse)
    except ValueError as error:
        access.status = str(error)
        say("OSCORE: {}".format(error))
        return [access]
    if not entries:
        access.status = "no keys"
        say("OSCORE: no {}: requests that change anything are refused".format(path))
        return [access]
    from coap.oscore import Oscore
    from coap.oscore.sequence_numbers import UNKNOWN

    numbers = Numbers(path + NUMBERS)
    stored = numbers.load()
    contexts = make_contexts(entries)
    for context in contexts:
        # each entry begins with a fingerprint
        if context.fingerprint not in stored and UNKNOWN not in stored:
            numbers.complete = False
    try:
        oscore = Oscore(contexts, numbers, None, STEP)
    except OSError as error:  # it can not be noted that they are used from now on
        say("OSCORE: {}{}: {}".format(path, NUMBERS, error))
        numbers.complete = False
        oscore = Oscore(contexts, numbers, None, STEP)
    if oscore.sequence_store.broken:
        say("OSCORE: {}{}: {}, {}".format(path, NUMBERS, oscore.status, _NEW_KEYS))
    return [access, oscore]


def make_contexts(entries):
    """Return the security contexts for what load() returned."""
    from coap.oscore.context import Context

    contexts = []
    for entry in entries:
        ids = entry["sender_id"], entry["recipient_id"]
        contexts.append(Context(entry["secret"], *ids, entry["salt"], entry["id_context"]))
        contexts[-1].gateway = entry["gateway"]
    return contexts


def protect(node, peer):
    """Protect requests to `peer`, the gateway, with the first context for it, if there is one.

    With lost sequence numbers these requests fail: they are not sent without protection.
    """
    if node.oscore is not None:
        for context in node.oscore.sequence_store.contexts:
            if context.gateway:
                node.oscore.bind(peer, context)
                return


def load(path):
    """Return the contexts in the file as dicts of bytes, [] if there is no file.

    Raises ValueError that names the file and the invalid field, never its value.
    """
    return read_file(path, _FILE_MAX, _parse) or []


def check(entry):
    """Return a context of the file as a dict of bytes. Raises ValueError that names the field."""
    if not isinstance(entry, dict):
        raise ValueError("must be a JSON object, or a list of them")
    for field in entry:
        if field not in _KNOWN:
            raise ValueError("{}: unknown field; known are {}".format(field, ", ".join(_KNOWN)))
    found = {"salt": b"", "id_context": None, "gateway": entry.get("gateway", True)}
    for field in _HEX:
        if field in entry:
            found[field] = _bytes(field, entry[field])
    for field in _NEEDED:
        if field not in found:
            raise ValueError(field + ": is missing; `make keys` writes a whole file")
    secret = found["secret"]
    if not 16 <= len(secret) <= 32:
        raise ValueError("secret: must have 16 to 32 bytes")
    if secret[:16] == _EXAMPLE or secret == secret[:1] * len(secret):
        raise ValueError("secret: this one is public; `make keys` makes one")
    for field in ("sender_id", "recipient_id"):
        if len(found[field]) > 7:
            raise ValueError(field + ": has at most 7 bytes")
    if found["sender_id"] == found["recipient_id"]:
        raise ValueError("recipient_id: must not be the sender_id")
    if found["id_context"] is not None and len(found["id_context"]) > 32:
        raise ValueError("id_context: has at most 32 bytes")
    if not isinstance(found["gateway"], bool):
        raise ValueError("gateway: must be true or false")
    return found


def _distinct(entries):
    senders = []
    for entry in entries:
        # trailing zeros of the salt do not change the keys
        salt = entry["salt"].rstrip(b"\0")
        sender = (entry["secret"], salt, entry["id_context"], entry["sender_id"])
        if sender in senders:
            raise ValueError("sender_id: two contexts have it with one secret, salt, id_context")
        senders.append(sender)
    return entries


def _parse(content):
    """Return the contexts in the content of the file. Raises ValueError."""
    try:
        text = content.decode().strip()
        entries = json.loads(text)
    except (ValueError, MemoryError, RuntimeError):  # of many brackets: CPython's RecursionError
        raise ValueError("must be JSON")
    # MicroPython 1.25 accepts a text that ends too early
    if not text.endswith(("}", "]")):
        raise ValueError("must be JSON")
    entries = entries if isinstance(entries, list) else [entries]
    return _distinct([check(entry) for entry in entries])


def _bytes(field, text):
    try:
        value = unhexlify(text)
        if hexlify(value).decode() == text.lower():
            return value
    except (ValueError, TypeError, AttributeError):
        pass
    raise ValueError(field + ": must be a text of hexadecimal digits, two for each byte")
