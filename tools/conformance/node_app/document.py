"""A JSON document that is read and changed in parts (RFC 8132)."""

import json
from hashlib import sha256

from coap import CoapError, Resource
from coap.numbers import (
    BAD_REQUEST,
    JSON,
    MERGE_PATCH_JSON,
    REQUEST_ENTITY_TOO_LARGE,
    TEXT,
    UNPROCESSABLE_ENTITY,
    UNSUPPORTED_CONTENT_FORMAT,
)

_BYTES = 512


class Document(Resource):
    """FETCH with a member's name as text returns its value; PATCH and iPATCH take a merge patch.

    A patch is applied as a whole or not at all.
    """

    content_formats = (JSON,)

    def __init__(self, members):
        super().__init__()
        self.keep(members)

    def get(self, request, response):
        """Return the whole document."""
        return self.text

    def fetch(self, request, response):
        """Return the value of the member that the payload names."""
        if request.content_format not in (None, TEXT):
            raise CoapError(UNSUPPORTED_CONTENT_FORMAT)
        name = decoded(request.payload_bytes())
        if name not in self.members:
            raise CoapError(UNPROCESSABLE_ENTITY, "no such member")
        response.etag = b""  # of the whole, not of this part
        return json.dumps(self.members[name])

    def ipatch(self, request, response):
        """Apply a merge patch (RFC 7396)."""
        if request.content_format != MERGE_PATCH_JSON:
            raise CoapError(UNSUPPORTED_CONTENT_FORMAT)
        patch = parsed(decoded(request.payload_bytes()))
        if not isinstance(patch, dict):
            raise CoapError(UNPROCESSABLE_ENTITY, "the document stays an object")
        self.keep(merged(self.members, patch))

    def patch(self, request, response):
        """Apply a merge patch; the engine deduplicates PATCH, which need not be idempotent."""
        self.ipatch(request, response)

    def keep(self, members):
        """Replace the members; the text lists them in the order of their names."""
        parts = [json.dumps(name) + ":" + json.dumps(members[name]) for name in sorted(members)]
        text = ("{" + ",".join(parts) + "}").encode()
        if len(text) > _BYTES:
            raise CoapError(REQUEST_ENTITY_TOO_LARGE, "the document has at most 512 bytes")
        self.members = members
        self.text = text
        self.etag = sha256(text).digest()[:4]
        self.changed()


def merged(target, patch):
    """Return `target` with `patch` applied (RFC 7396); `target` itself does not change."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def decoded(payload):
    """Return the text of a payload. Raises CoapError 4.00 when it is not UTF-8."""
    try:
        return payload.decode()
    except UnicodeError:
        raise CoapError(BAD_REQUEST, "the payload is UTF-8")


def parsed(text):
    """Return the value of JSON text. Raises CoapError 4.00 for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RuntimeError):  # CPython: RecursionError for [[[[...
        raise CoapError(BAD_REQUEST, "the payload is JSON")
    if isinstance(value, dict) and not text.rstrip().endswith("}"):
        raise CoapError(BAD_REQUEST, "the payload is JSON")  # MicroPython 1.25 closes it by itself
    return value


def setup(node):
    """Add the document to the node."""
    node.add("fetch", Document({"a": 1, "b": 2}))
