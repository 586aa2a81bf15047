"""Resources, and the table by which a path finds one (RFC 7252 sections 5.10.1 and 6.4).

Options that do not change are written once, when the resource is added, so that most responses are
a copy of them and a payload; resources with equal options share the bytes.
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

_CONSTANTS = const(5)  # fields that a response may inherit, up to FIELD_MAX_AGE

SEPARATE = object()  # returned by a handler: node.respond() will give the response

_OPTIONS_BYTES = const(24)  # an ETag, a Content-Format and a Max-Age, rounded up

_METHODS = ("get", "post", "put", "delete", "fetch", "patch", "ipatch")


class CoapError(Exception):
    """Raised in a handler: the response is `code`, with `why` as its diagnostic payload.

    `max_age_s` becomes its Max-Age, as for 5.03 and 4.29.
    """

    def __init__(self, code, why="", max_age_s=None):
        super().__init__(code, why)
        self.code = code
        self.why = why
        self.max_age_s = max_age_s


class Resource:
    """What a path names. Subclass it for a resource with state, or let node.get() make one.

    The methods get, post, put, delete, fetch, patch, ipatch (self, request, response) are its
    handlers. Set attributes before node.add(); etag, exists and max_age_s may change later, before
    a call of changed().
    """

    content_formats = (0,)  # of responses, the first by default; None: the handler negotiates
    accepts = None  # Content-Formats of requests (others get 4.15); None: any
    rt = ""  # resource types, separated by spaces (RFC 6690)
    interface = ""  # interface descriptions, the attribute "if" (RFC 6690)
    title = ""
    size = None  # bytes of its representation, the attribute "sz" (RFC 6690)
    observable = False
    decimals = 0  # of the int that value() returns, for a resource with value()
    listed = True  # in /.well-known/core
    confirmable = None  # notifications: True all CON, False only those that must be, None some
    multicast = True  # responds to GET and FETCH sent to a group
    echo = False  # requests with side effects need a fresh Echo (RFC 9175)
    access = None  # a value of coap.access; None: the default of the node
    streams = False  # its handler gets a request in blocks block by block
    prefix = False  # also serves every path below its own
    conditional = False  # its handler checks If-Match and If-None-Match
    exists = True  # False: GET is 4.04, and If-None-Match is met
    max_age_s = None  # Max-Age of its responses; None: no option, which means 60 s
    etag = b""  # strong ETag of its present state: enables 2.03 and If-Match
    written = (b"", True, None)  # etag, exists and max_age_s when the options were written

    def __init__(self):
        self.node = None
        self.path = ""
        self.route = 0  # place of its route in the node's table
        self.options = b"\0"
        self.fields = array("i")
        self.handlers = [None] * 8

    def bind(self, node, path):
        """Take the path and collect the handlers; node.add() calls it."""
        self.node = node
        self.path = path
        for i, name in enumerate(_METHODS):
            handler = getattr(self, name, None)
            if handler is not None:
                self.handlers[i + 1] = handler
        self._write_options()

    def plain_accept(self):
        """Return the Accept of a plain request: a Content-Format, ANY_FORMAT or NOT_PLAIN."""
        formats = self.content_formats
        access = self.node and self.node.access
        if self.echo or not self.exists or (access and not access.is_plain(self)):
            return NOT_PLAIN
        return formats[0] if formats and len(formats) == 1 else ANY_FORMAT

    def plain_format(self):
        """Return the Content-Format of a plain request, as plain_accept() does."""
        formats = self.accepts
        if formats is None:
            return ANY_FORMAT
        return formats[0] if len(formats) == 1 else NOT_PLAIN

    def refresh(self):
        """Write the constant options again, after a change that changed() does not cover."""
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
        for other in self.node.resources if self.node else ():  # share equal ones
            if other.fields == self.fields:
                self.fields = other.fields
            if other.options == self.options:
                self.options = other.options

    def changed(self):
        """Notify observers that the state changed; note a new etag, exists or max_age_s.

        Allocates nothing unless one of the three is new.
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

    # set by Node
    builder = None  # type: Any

    def __init__(self):
        self.resources = []  # in the order in which they are listed
        self.listing = None  # by coap.link_format; None when it must be written again, or False
        self.route_table = b"\0"  # type: Any
        self.prefixes = ()  # resources that also serve the paths below their own, longest first

    def add(self, path, resource):
        """Serve `resource` at `path`, segments separated by "/" without a leading slash.

        Return the resource. Raise ValueError for a path that is taken or too long, and for a
        resource that this node cannot serve.
        """
        if path.startswith("/"):
            raise ValueError("a path begins without a slash: write " + path[1:])
        if resource.echo and self.builder.challenge is None:
            raise ValueError("a resource with echo needs the feature coap.echo.Echo()")
        if self.resource_at(path):
            raise ValueError("/" + path + " is taken")
        if len(self.resources) == _RESOURCES_MAX:
            raise ValueError("a node has at most %d resources" % _RESOURCES_MAX)
        paths = [path]
        for one in self.resources:
            paths.append(one.path)
        _check_length(paths)
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
        """Decorate the handler of GET for `path`; attributes are those of Resource."""
        return self._route(path, GET, attributes)

    def post(self, path, **attributes):
        """Decorate the handler of POST for `path`."""
        return self._route(path, POST, attributes)

    def put(self, path, **attributes):
        """Decorate the handler of PUT for `path`."""
        return self._route(path, PUT, attributes)

    def delete(self, path, **attributes):
        """Decorate the handler of DELETE for `path`."""
        return self._route(path, DELETE, attributes)

    def fetch(self, path, **attributes):
        """Decorate the handler of FETCH for `path` (RFC 8132)."""
        return self._route(path, FETCH, attributes)

    def patch(self, path, **attributes):
        """Decorate the handler of PATCH for `path` (RFC 8132)."""
        return self._route(path, PATCH, attributes)

    def ipatch(self, path, **attributes):
        """Decorate the handler of iPATCH for `path` (RFC 8132)."""
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
    """Raise ValueError when the first path, or all together, are too long for the table."""
    for segment in paths[0].split("/"):
        if len(segment.encode()) > 255:
            raise ValueError("a path segment has at most 255 bytes: shorten " + paths[0])
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
