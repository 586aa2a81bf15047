"""A resource that holds what was put into it: the base of most others here."""

from hashlib import sha256

from coap import Resource
from coap.numbers import CHANGED, CREATED, TEXT


class Held(Resource):
    """GET gives what the last PUT brought, in its Content-Format; a PUT without one brings text.

    The engine does the rest by the attributes: `exists` gives 4.04 and If-None-Match, `etag` gives
    2.03 and If-Match, `content_formats` gives 4.06.
    """

    def __init__(self, payload=None):
        """payload: what it holds at first; None: it does not exist until a PUT creates it."""
        super().__init__()
        self.payload = b""
        self.exists = False
        if payload is not None:
            self.hold(payload)

    def get(self, request, reply):
        return self.payload

    def put(self, request, reply):
        code = CHANGED if self.exists else CREATED
        self.hold(request.payload_bytes(), request.content_format)
        return code

    def hold(self, payload, content_format=None):
        """Take a new state, and tell the observers."""
        if content_format is None:
            content_format = TEXT
        self.payload = payload
        self.content_formats = (content_format,)
        # made from the content, not counted: it holds across a restart too
        self.etag = sha256(str(content_format).encode() + b":" + payload).digest()[:4]
        self.exists = True
        self.refresh()
        self.changed()

    def drop(self):
        """Exist no more: observers are told by a last 4.04."""
        self.payload = b""
        self.etag = b""
        self.exists = False
        self.changed()
