"""Resources: what paths name (RFC 7252 section 5.10.1, 6.4).

Options that never change are written once, when the resource is made, so that most answers are a
copy and a payload; resources that are alike share them.
"""

from array import array

from micropython import const

from coap.codec import (
    ANY_FORMAT,
    DATAGRAM_COUNT,
    FIELD_CONTENT_FORMAT,
    FIELD_ETAG,
    FIELD_MAX_AGE,
    FIELDS,
    FLAGS,
    NOT_PLAIN,
    ROUTE_ANY,
    ROUTE_LIMIT,
    SIZE,
    clear_fields,
    parse,
    path_has_prefix,
)
from coap.message import MessageBuilder
from coap.numbers import (
    CONTENT,
    CONTENT_FORMAT,
    DELETE,
    ETAG,
    FETCH,
    GET,
    IPATCH,
    MAX_AGE,
    PATCH,
    POST,
    PUT,
    URI_PATH,
)

_CONSTANTS = const(5)  # of the numbers of an answer: up to Q_MAX_AGE they may be its resource's

SEPARATE = object()  # what a handler returns when node.respond() will answer

_OPTIONS_BYTES = const(24)  # of an ETag, a Content-Format and a Max-Age, and some

_METHODS = ("get", "post", "put", "delete", "fetch", "patch", "ipatch")


class CoapError(Exception):
    """Raised in a handler: the answer is `code`, with `why` as its diagnostic payload.

    `max_age_s` says for how long the answer holds, as 5.03 and 4.29 may.
    """

    def __init__(self, code, why="", max_age_s=None):
        super().__init__(code, why)
        self.code = code
        self.why = why
        self.max_age_s = max_age_s


class Resource:
    """What a path names. Subclass it where there is state, or let node.get() make one.

    Methods get, post, put, delete, fetch, patch, ipatch (self, request, reply) are its handlers.
    """

    content_formats = (0,)  # that it can answer in, the first by default; None: its own affair
    accepts = None  # Content-Formats that it takes in a request (else 4.15); None: any
    rt = ""  # resource types, separated by spaces (RFC 6690)
    interface = ""  # interface descriptions, the attribute "if"
    title = ""
    size = None  # bytes of its representation, the attribute "sz"
    observable = False
    decimals = 0  # of the int that value() returns, where it has one: see coap.conditional_observe
    listed = True  # in /.well-known/core
    confirmable = None  # notifications: True all CON, False only those that must be, None some
    multicast = True  # answers GET and FETCH sent to a group
    echo = False  # what changes it needs a fresh Echo (RFC 9175)
    access = None  # who may use it: see coap.access; None: as the node has it
    streams = False  # takes a request that comes in blocks block by block
    prefix = False  # also serves every path below its own
    conditional = False  # sees to If-Match and If-None-Match itself
    exists = True  # False: GET is 4.04 and If-None-Match passes
    max_age_s = None  # Max-Age of its answers; None leaves the default of 60 s
    etag = b""  # strong ETag of its present state: 2.03 and If-Match then work by themselves
    written = (b"", True, None)  # the state that route and options were written for

    def __init__(self):
        self.node = None
        self.path = ""
        self.route = 0  # where in the table of the node its route lies
        self.options = b"\0"
        self.fields = array("i")
        self.handlers = [None] * 8

    def bind(self, node, path):
        """Called by node.add(): give the resource its path and its handlers."""
        self.node = node
        self.path = path
        for i, name in enumerate(_METHODS):
            handler = getattr(self, name, None)
            if handler is not None:
                self.handlers[i + 1] = handler
        self._write_options()

    def plain_accept(self):
        """The Accept with which a request needs no look at its options: a mark of scan.py, too."""
        formats = self.content_formats
        access = self.node and self.node.access
        if self.echo or not self.exists or (access and not access.shows(self)):
            return NOT_PLAIN
        return formats[0] if formats and len(formats) == 1 else ANY_FORMAT

    def plain_format(self):
        """The Content-Format with which a request needs no look: as plain_accept()."""
        formats = self.accepts
        if formats is None:
            return ANY_FORMAT
        return formats[0] if len(formats) == 1 else NOT_PLAIN

    def refresh(self):
        """Write the constant options anew; changed() does it when it must."""
        self._write_options()
        if self.node:
            self.node.update_route(self)

    def _write_options(self):
        if len(self.etag) > 8:
            raise ValueError("an ETag has at most 8 bytes: /" + self.path)
        written = (self.etag, self.exists, self.max_age_s)
        if self.written != written:
            self.written = written
        fields = array("i", [0] * FIELDS)
        clear_fields(fields, CONTENT)
        scratch = bytearray(_OPTIONS_BYTES)
        writer = MessageBuilder(scratch).resume(0)
        if self.etag:
            fields[FIELD_ETAG] = len(self.etag)
            writer.option(ETAG, self.etag)
        if self.content_formats:
            fields[FIELD_CONTENT_FORMAT] = self.content_formats[0]
            writer.uint(CONTENT_FORMAT, self.content_formats[0])
        if self.max_age_s is not None:
            fields[FIELD_MAX_AGE] = self.max_age_s
            writer.uint(MAX_AGE, self.max_age_s)
        self.fields = fields[:_CONSTANTS]
        self.options = bytes((writer.n,)) + scratch[: writer.n]
        for other in self.node.resources if self.node else ():  # what is alike is kept once
            if other.fields == self.fields:
                self.fields = other.fields
            if other.options == self.options:
                self.options = other.options

    def changed(self):
        """The state changed, and perhaps etag, exists or max_age_s: observers are told.

        May be called often; it allocates only when one of the three is new.
        """
        etag, exists, max_age_s = self.written
        if exists != self.exists:
            self.refresh()
        elif etag != self.etag or max_age_s != self.max_age_s:
            self._write_options()
        if self.node:
            self.node.changed(self)


# Which resource a path names: by a hash, then byte by byte (RFC 7252 sections 5.10.1 and 6.4).

_RESOURCES_MAX = const(255)  # parse() counts them in a byte
_ROUTES_BYTES_MAX = const(0xFFFF)  # the table names places in itself by two bytes
_ROUTE_BYTES = const(9)  # of a route, beside its path


class ResourceTable:
    """The resources of a node, and the table in which parse() finds them; Node inherits from it.

    The table is built when it is needed: at the first request, and at the first one after add() or
    remove(). Until then parse() searches an empty table, which costs a request that is served from
    the finished one nothing.
    """

    challenge = None  # set by the extension Echo

    def __init__(self):
        self.resources = []  # in the order in which they are listed
        self.listing = None  # by coap.link_format; None when it must be written again
        self.route_table = b"\0"
        self.prefixes = ()  # resources that also serve the paths below their own, longest first

    def add(self, path, resource):
        """Serve `resource` at `path`, segments separated by "/" without a leading slash.

        Return the resource. Raise ValueError for a path that is taken or too long, and for a
        resource that this node can not serve.
        """
        if path.startswith("/"):
            raise ValueError("a path begins without a slash: write " + path[1:])
        if resource.echo and self.challenge is None:
            raise ValueError("a resource with echo needs the feature coap.echo.Echo()")
        if self.resource_at(path):
            raise ValueError("/" + path + " is taken")
        if len(self.resources) == _RESOURCES_MAX:
            raise ValueError("a node has at most %d resources" % _RESOURCES_MAX)
        _check_length([one.path for one in self.resources] + [path])
        resource.bind(self, path)
        self._set_resources(self.resources + [resource])
        if resource.prefix:
            found = list(self.prefixes) + [resource]
            self.prefixes = sorted(found, key=lambda one: -len(one.path))
        return resource

    def remove(self, path):
        """Stop serving `path`: its observers get a last 4.04. Handlers may call it.

        Raise ValueError when nothing is served there.
        """
        resource = self.resource_at(path)
        if resource is None:
            raise ValueError("nothing is served at /" + path)
        self._set_resources([other for other in self.resources if other is not resource])
        if resource.prefix:
            self.prefixes = [other for other in self.prefixes if other is not resource]
        resource.node.changed(resource)
        resource.node = None

    def get(self, path, **attributes):
        """Decorator: the function answers GET for `path`; attributes are those of Resource."""
        return self._route(path, GET, attributes)

    def post(self, path, **attributes):
        """Decorator: the function answers POST for `path`."""
        return self._route(path, POST, attributes)

    def put(self, path, **attributes):
        """Decorator: the function answers PUT for `path`."""
        return self._route(path, PUT, attributes)

    def delete(self, path, **attributes):
        """Decorator: the function answers DELETE for `path`."""
        return self._route(path, DELETE, attributes)

    def fetch(self, path, **attributes):
        """Decorator: the function answers FETCH for `path` (RFC 8132)."""
        return self._route(path, FETCH, attributes)

    def patch(self, path, **attributes):
        """Decorator: the function answers PATCH for `path` (RFC 8132)."""
        return self._route(path, PATCH, attributes)

    def ipatch(self, path, **attributes):
        """Decorator: the function answers iPATCH for `path` (RFC 8132)."""
        return self._route(path, IPATCH, attributes)

    def resource_at(self, path):
        """Return the resource at `path`, None when there is none."""
        for resource in self.resources:
            if resource.path == path:
                return resource
        return None

    def match(self, view):  # hot
        """Return the resource that the request names, None when there is none."""
        if not self.route_table[0]:
            self.find_route(view)
        found = view.index[ROUTE_ANY]
        if found < ROUTE_LIMIT:
            return self.resources[found]
        i = 0
        while i < len(self.prefixes):
            if path_has_prefix(view.buf, view.index, self.route_table, self.prefixes[i].route):
                return self.prefixes[i]
            i += 1
        return None

    def find_route(self, view):
        """Build the table, and find in it the route of the request."""
        self.build_routes()
        flags = view.index[FLAGS]
        parse(view.buf, view.index[SIZE], view.index, self.route_table)
        view.index[FLAGS] = flags  # under OSCORE they are not quite those of the message
        view.index[DATAGRAM_COUNT] -= 1

    def build_routes(self):
        """Build the table in which parse() finds the resources."""
        resources = self.resources
        self.route_table = route_table(
            [(one.path, one.plain_accept(), one.plain_format()) for one in resources]
        )
        at = len(resources)
        for one in resources:
            one.route = self.route_table[at + 1] << 8 | self.route_table[at + 2]
            at += 2

    def update_route(self, resource):
        """Write into the table which requests for `resource` are plain."""
        self.listing = None
        if not self.route_table[0]:
            return
        accept = resource.plain_accept()
        at = resource.route
        self.route_table[at + 2] = accept >> 8
        self.route_table[at + 3] = accept & 255
        content_format = resource.plain_format()
        at += 4 + (self.route_table[at] << 8 | self.route_table[at + 1])
        self.route_table[at] = content_format >> 8
        self.route_table[at + 1] = content_format & 255

    def _set_resources(self, resources):
        self.resources = resources
        self.listing = None
        self.route_table = b"\0"

    def _route(self, path, method, attributes):
        resource = self.resource_at(path)
        if resource is None:
            resource = Resource()
            _describe(resource, attributes)
            self.add(path, resource)
        elif attributes:
            _describe(resource, attributes)
            resource.refresh()

        def decorate(function):
            resource.handlers[method] = function
            return function

        return decorate


def route_table(routes):
    """Return the table of [(path, plain Accept, plain Content-Format)] that parse() searches.

    It holds the number of routes, a byte for the hash of each, two bytes for the place of each,
    and the routes. A route is the length of its Uri-Path options, the Accept, the options, and the
    Content-Format; each number has two bytes.
    """
    places = bytearray(1 + 3 * len(routes))
    places[0] = len(routes)
    parts = [b""]
    at = len(places)
    for i, (path, accept, content_format) in enumerate(routes):
        options, value = _path_options(path)
        places[1 + i] = value
        places[1 + len(routes) + 2 * i] = at >> 8
        places[2 + len(routes) + 2 * i] = at & 255
        parts.append(bytes((len(options) >> 8, len(options) & 255, accept >> 8, accept & 255)))
        parts.append(options)
        parts.append(bytes((content_format >> 8, content_format & 255)))
        at += 6 + len(options)
    parts[0] = bytes(places)
    return bytearray(b"".join(parts))


def _path_options(path):
    """Return the Uri-Path options of a path and the hash that parse() computes for them."""
    options = b""
    value = 0
    delta = URI_PATH << 4
    for segment in path.split("/") if path else ():
        segment = segment.encode()
        n = len(segment)
        options += bytes((delta | n,) if n < 13 else (delta | 13, n - 13)) + segment
        delta = 0
        value = (value * 33 ^ n) & 255
        for byte in segment:
            value = (value * 33 ^ byte) & 255
    return options, value


def _check_length(paths):
    """Raise ValueError when the last of the paths, or all together, are too long for the table."""
    for segment in paths[-1].split("/"):
        if len(segment.encode()) > 255:
            raise ValueError("a path segment has at most 255 bytes: shorten " + paths[-1])
    # an upper bound: each segment has at most 2 bytes beside its own
    text = "/".join(paths)
    if len(text.encode()) + text.count("/") + _ROUTE_BYTES * len(paths) + 1 > _ROUTES_BYTES_MAX:
        raise ValueError("the paths of all resources have at most 64 KiB")


def _describe(resource, attributes):
    for name, value in attributes.items():
        if name == "content_format":
            name = "content_formats"
            value = (value,)
        if not hasattr(Resource, name) or callable(getattr(Resource, name)):
            raise ValueError("no such attribute: " + name + "; see coap.resource.Resource")
        setattr(resource, name, value)
