"""Which resource a path names, by a hash and then byte by byte (RFC 7252 5.10.1, 6.4)."""

from coap.numbers import DELETE, FETCH, GET, IPATCH, PATCH, POST, PUT
from coap.resource import Resource, route_hash
from coap.scan import HASH, same, under


class Routes:
    """The resources of a node; a Node is one."""

    challenge = None  # set by the feature Echo

    def __init__(self):
        self.routes = {}  # by hash
        self.resources = []  # in the order in which they are listed
        self.prefixes = []  # those that serve what lies below them, the longest path first

    def add(self, path, resource):
        """Serve `resource` at `path`, segments separated by "/" and none in front."""
        if path.startswith("/"):
            raise ValueError("a path begins without a slash: write " + path[1:])
        if resource.echo and self.challenge is None:
            raise ValueError("a resource with echo needs the feature coap.echo.Echo()")
        resource.bind(self, path)
        key = route_hash(resource.route)
        if key in self.routes:
            raise ValueError("/" + path + " is taken, or its hash is: choose another path")
        self.routes[key] = resource
        if not path:
            # the root is also one empty segment (RFC 7252 section 6.4)
            self.routes[route_hash(b"\0\0\0\0\xb0")] = resource
        if resource.prefix:
            self.prefixes.append(resource)
            self.prefixes.sort(key=lambda one: -len(one.path))
        self.resources.append(resource)
        return resource

    def remove(self, path):
        """Serve `path` no more: its observers are told by a last 4.04. Handlers may call it.

        Raises ValueError when nothing is there.
        """
        resource = self.at(path)
        if resource is None:
            raise ValueError("nothing is served at /" + path)
        for key in [key for key, other in self.routes.items() if other is resource]:
            del self.routes[key]
        self.resources.remove(resource)
        if resource.prefix:
            self.prefixes.remove(resource)
        resource.changed()

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

    def at(self, path):
        """The resource at `path`, None when there is none."""
        for resource in self.resources:
            if resource.path == path:
                return resource
        return None

    def find(self, view):
        """The resource that the request at hand names, None when there is none."""
        resource = self.routes.get(view.r[HASH])
        if resource and same(view.buf, view.r, resource.route):
            return resource
        for resource in self.prefixes:
            if under(view.buf, view.r, resource.route):
                return resource
        return None

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


def _describe(resource, attributes):
    for name, value in attributes.items():
        if name == "content_format":
            name = "content_formats"
            value = (value,)
        if not hasattr(Resource, name) or callable(getattr(Resource, name)):
            raise ValueError("no such attribute: " + name + "; see coap.resource.Resource")
        setattr(resource, name, value)
