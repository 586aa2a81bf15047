"""Which resource a path names, by a hash and then byte by byte (RFC 7252 5.10.1, 6.4)."""

from micropython import const

from coap.message import Writer
from coap.resource import Resource
from coap.scan import under

# Numbers of other files: the compiler folds only the constants of the file at hand
_GET = const(1)  # numbers.GET
_POST = const(2)  # numbers.POST
_PUT = const(3)  # numbers.PUT
_DELETE = const(4)  # numbers.DELETE
_FETCH = const(5)  # numbers.FETCH
_PATCH = const(6)  # numbers.PATCH
_IPATCH = const(7)  # numbers.IPATCH
_URI_PATH = const(11)  # numbers.URI_PATH
_FOUND = const(128)  # scan.FOUND
_ROUTES = const(256)  # scan.ROUTES

_MOST = const(255)  # routes of a node


class Routes:
    """The resources of a node; a Node is one."""

    challenge = None  # set by the feature Echo

    def __init__(self):
        self.resources = []  # in the order in which they are listed
        self.listing = None  # by coap.link; None when it must be written anew
        self.table = table(())  # of their routes
        self.prefixes = ()  # those that serve what lies below them, the longest path first

    def add(self, path, resource):
        """Serve `resource` at `path`, segments separated by "/" and none in front."""
        if path.startswith("/"):
            raise ValueError("a path begins without a slash: write " + path[1:])
        if resource.echo and self.challenge is None:
            raise ValueError("a resource with echo needs the feature coap.echo.Echo()")
        if self.at(path):
            raise ValueError("/" + path + " is taken")
        if len(self.resources) == _MOST:
            raise ValueError("a node has at most %d resources" % _MOST)
        resource.bind(self, path)
        self._list(self.resources + [resource])
        if resource.prefix:
            found = list(self.prefixes) + [resource]
            self.prefixes = sorted(found, key=lambda one: -len(one.path))
        return resource

    def remove(self, path):
        """Serve `path` no more: its observers are told by a last 4.04. Handlers may call it.

        Raises ValueError when nothing is there.
        """
        resource = self.at(path)
        if resource is None:
            raise ValueError("nothing is served at /" + path)
        self._list([other for other in self.resources if other is not resource])
        if resource.prefix:
            self.prefixes = [other for other in self.prefixes if other is not resource]
        resource.node.changed(resource)
        resource.node = None  # its place in the table is another's

    def get(self, path, **attributes):
        """Decorator: the function answers GET for `path`; attributes are those of Resource."""
        return self._route(path, _GET, attributes)

    def post(self, path, **attributes):
        """Decorator: the function answers POST for `path`."""
        return self._route(path, _POST, attributes)

    def put(self, path, **attributes):
        """Decorator: the function answers PUT for `path`."""
        return self._route(path, _PUT, attributes)

    def delete(self, path, **attributes):
        """Decorator: the function answers DELETE for `path`."""
        return self._route(path, _DELETE, attributes)

    def fetch(self, path, **attributes):
        """Decorator: the function answers FETCH for `path` (RFC 8132)."""
        return self._route(path, _FETCH, attributes)

    def patch(self, path, **attributes):
        """Decorator: the function answers PATCH for `path` (RFC 8132)."""
        return self._route(path, _PATCH, attributes)

    def ipatch(self, path, **attributes):
        """Decorator: the function answers iPATCH for `path` (RFC 8132)."""
        return self._route(path, _IPATCH, attributes)

    def at(self, path):
        """The resource at `path`, None when there is none."""
        for resource in self.resources:
            if resource.path == path:
                return resource
        return None

    def find(self, view):  # hot
        """The resource that the request at hand names, None when there is none."""
        found = view.r[_FOUND]
        return self.resources[found] if found < _ROUTES else self._above(view)

    def _above(self, view):  # hot
        i = 0
        while i < len(self.prefixes):
            if under(view.buf, view.r, self.table, self.prefixes[i].route):
                return self.prefixes[i]
            i += 1
        return None

    def reroute(self, resource):
        """What makes a request for `resource` plain is another, and so may be its link."""
        accept = resource.plain_accept()
        self.listing = None
        at = resource.route
        self.table[at + 2] = accept >> 8
        self.table[at + 3] = accept & 255
        takes = resource.plain_format()
        at += 4 + (self.table[at] << 8 | self.table[at + 1])
        self.table[at] = takes >> 8
        self.table[at + 1] = takes & 255

    def _list(self, resources):
        self.table = table(
            [(one.path, one.plain_accept(), one.plain_format()) for one in resources]
        )
        self.resources = resources
        self.listing = None
        at = len(resources)
        for i, one in enumerate(resources):
            one.route = self.table[at + 2 * i + 1] << 8 | self.table[at + 2 * i + 2]

    def _route(self, path, method, attributes):
        resource = self.at(path)
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


def table(routes):
    """What scan() finds routes in, for [(path, plain Accept, plain Content-Format)].

    How many there are; a byte of each one's hash; two bytes each: where it lies. A route is the
    length of its path as it is sent, the Accept, the path, and the Content-Format: two bytes each.
    """
    places = bytearray(1 + 3 * len(routes))
    places[0] = len(routes)
    parts = []
    at = len(places)
    for i, (path, accept, takes) in enumerate(routes):
        options, value = _options(path)
        places[1 + i] = value
        places[1 + len(routes) + 2 * i] = at >> 8
        places[2 + len(routes) + 2 * i] = at & 255
        parts.append(bytes((len(options) >> 8, len(options) & 255, accept >> 8, accept & 255)))
        parts.append(options)
        parts.append(bytes((takes >> 8, takes & 255)))
        at += 6 + len(options)
    if at > 0xFFFF:
        raise ValueError("the paths of all resources have at most 64 KiB")
    return bytearray(bytes(places) + b"".join(parts))


def _options(path):
    """The Uri-Path options of a path, and the hash that scan() gives to them."""
    room = bytearray(3 * len(path.encode()) + 8)
    writer = Writer(room).resume(0)
    value = 0
    for segment in path.split("/") if path else ():
        segment = segment.encode()
        if len(segment) > 255:
            raise ValueError("a path segment has at most 255 bytes: shorten " + path)
        writer.option(_URI_PATH, segment)
        value = (value * 33 ^ len(segment)) & 255
        for byte in segment:
            value = (value * 33 ^ byte) & 255
    return bytes(room[: writer.n]), value


def _describe(resource, attributes):
    for name, value in attributes.items():
        if name == "content_format":
            name = "content_formats"
            value = (value,)
        if not hasattr(Resource, name) or callable(getattr(Resource, name)):
            raise ValueError("no such attribute: " + name + "; see coap.resource.Resource")
        setattr(resource, name, value)
