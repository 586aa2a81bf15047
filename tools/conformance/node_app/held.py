"""A resource that holds its last PUT: the base of most others here."""

from hashlib import sha256

from coap import Resource
from coap.numbers import CHANGED, CREATED, TEXT


class Held(Resource):
    """GET returns the payload of the last PUT in its Content-Format; without one it is text.

    The engine does the rest by the attributes: 4.04 and If-None-Match by `exists`, 2.03 and
    If-Match by `etag`, 4.06 by `content_formats`.
    """

    def __init__(self, payload=None):
        """payload: the first state; None: the resource does not exist until a PUT creates it."""
        super().__init__()
        self.payload = b""
        self.exists = False
        if payload is not None:
            self.hold(payload)

    def get(self, request, response):
        """Return the state."""
        return self.payload

    def put(self, request, response):
        """Replace or create the state."""
        code = CHANGED if self.exists else CREATED
        self.hold(request.payload_bytes(), request.content_format)
        return code

    def hold(self, payload, content_format=None):
        """Replace the state and notify the observers."""
        if content_format is None:
            content_format = TEXT
        self.payload = payload
        self.content_formats = (content_format,)
        # a hash of the content, not a counter: it is still valid after a restart
        self.etag = sha256(str(content_format).encode() + b":" + payload).digest()[:4]
        self.exists = True
        self.refresh()
        self.changed()

    def drop(self):
        """Remove the state; observers get a last notification, 4.04."""
        self.payload = b""
        self.etag = b""
        self.exists = False
        self.changed()
