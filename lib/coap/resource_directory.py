"""Registration with a resource directory (RFC 9176), so that others find the node.

    directory = Directory(node, peer("192.168.1.2"), "door-1")

The directory is asked where it takes registrations, gets the node's links, and hears from it at
half of each lifetime. A registration that it has lost is made anew. With simple=True the node only
says that it is there, and the directory fetches the links itself (section 5.1).
"""

from micropython import const

from coap.client_request import options_to_path
from coap.link_format import listing
from coap.numbers import CHANGED, CREATED, LINK_FORMAT, NOT_FOUND
from coap.resource import CoapError

_DISCOVERY = ".well-known/core?rt=core.rd"
_ANSWER_BYTES = const(1024)  # of the answer to the discovery
_FIRST_RETRY_S = const(5)
_LAST_RETRY_S = const(3600)
_LONGEST_S = const(1000000)  # half of it is still within the clock


class RegistrationClient:
    """One registration: ep is the node's name; lifetime_s: how long it holds without a refresh;
    base: the URI under which the node is found, where the sender's address is not it; sector: the
    attribute d; told: called with the Directory when `registered` or `error` has changed.

    The node needs coap.client.Client. Raises ValueError for what no directory takes.
    """

    def __init__(
        self, node, peer, ep, lifetime_s=90000, base="", sector="", simple=False, told=None
    ):
        if node.client is None:
            raise ValueError("a directory needs the feature coap.client.Client()")
        if not 0 < len(ep.encode()) < 64:
            raise ValueError("the name of an endpoint has 1 to 63 bytes")
        if not 60 <= lifetime_s <= _LONGEST_S:
            raise ValueError("lifetime_s is 60 to 1000000")
        self.node = node
        self.peer = peer
        self.lifetime_s = lifetime_s
        self.simple = simple
        self.told = told
        self.queries = [b"ep=" + ep.encode(), b"lt=%d" % lifetime_s]
        if base:
            self.queries.append(b"base=" + base.encode())
        if sector:
            self.queries.append(b"d=" + sector.encode())
        self.registered = False
        self.error = ""  # why the last attempt failed
        self.path = ""  # where it takes registrations
        self.location = ""  # ours
        self.retry_s = _FIRST_RETRY_S
        self.call = None
        self.timer = None
        self.again = False  # the links changed while a request was under way
        self.stopped = False
        self._after(1)

    def changed(self):
        """The node's resources are others, or its address is: tell the directory, now."""
        if self.call is not None:
            self.again = True
        else:
            self.location = ""
            self.retry_s = _FIRST_RETRY_S
            self._after(1)

    def stop(self):
        """Remove the registration, and refresh no more."""
        self.stopped = True
        self._cancel()
        if self.call is not None:
            self.node.client.cancel(self.call)
            self.call = None
        if self.location:
            self._ask("delete", self.location, self._removed)

    def step(self, _now_ms):
        """Do what comes next: a timer calls it."""
        self.timer = None
        try:
            self._go_on()
        except MemoryError:
            self._failed("out of memory")

    def _go_on(self):
        if self.simple:
            self._ask(
                "post", options_to_path([b".well-known", b"rd"], self.queries), self._answered
            )
        elif not self.path:
            self._ask("get", _DISCOVERY, self._discovered, into=bytearray(_ANSWER_BYTES))
        elif self.location:
            self._ask("post", self.location, self._refreshed)
        else:
            self._register()

    def _register(self):
        path, _, query = self.path.partition("?")
        path += "?" + (query + "&" if query else "") + options_to_path([], self.queries)[1:]
        self._ask("post", path, self._answered, listing(self.node))

    def _ask(self, method, path, on_response, payload=b"", into=None):
        try:
            if method == "post":
                self.call = self.node.client.post(self.peer, path, payload, on_response)
            else:
                self.call = getattr(self.node.client, method)(self.peer, path, on_response)
        except CoapError as error:
            self._failed(error.why)
            return
        if payload:
            self.call.content_format = LINK_FORMAT
        self.call.into = into

    def _discovered(self, response):
        self.call = None
        target = None
        if not response.failure and response.code < 0x60:
            target = find(str(response.payload_bytes(), "utf-8"), "core.rd")
        if target is None or not target.startswith("/"):
            self._failed(str(response) if target is None else "directory is elsewhere: " + target)
        else:
            self.path = target[1:]
            self._after(1)

    def _answered(self, response):
        self.call = None
        if response.code == CREATED or (self.simple and response.code == CHANGED):
            self.location = "" if self.simple else response.location()
            self._done()
        else:
            self.path = ""  # it may have moved
            self._failed(str(response))

    def _refreshed(self, response):
        self.call = None
        if response.code == CHANGED:
            self._done()
        elif response.code == NOT_FOUND:
            self.location = ""  # the directory has lost it
            self._after(1)
        else:
            self._failed(str(response))

    def _removed(self, _response):
        self.call = None
        self.location = ""
        self._tell(False, "")

    def _done(self):
        self.retry_s = _FIRST_RETRY_S
        if self.again:
            self.location = ""
        self._after(1 if self.again else self.lifetime_s * 500)
        self.again = False
        self._tell(True, "")

    def _failed(self, why):
        self._after(self.retry_s * 1000)
        self.retry_s = min(2 * self.retry_s, _LAST_RETRY_S, self.lifetime_s // 4)
        if not self.location:
            self._tell(False, why)
        else:
            self._tell(self.registered, why)

    def _tell(self, registered, error):
        new = registered != self.registered or error != self.error
        self.registered = registered
        self.error = error
        if new and self.told is not None:
            self.told(self)

    def _after(self, delay_ms):
        self._cancel()
        if not self.stopped:
            self.timer = self.node.after(delay_ms, self.step)

    def _cancel(self):
        if self.timer is not None:
            self.node.cancel(self.timer)
            self.timer = None


def find(links, rt):
    """The target of the first link with this resource type; None when there is none."""
    at = 0
    while at < len(links):
        start = links.find("<", at)
        end = links.find(">", start)
        if start < 0 or end < 0:
            return None
        at = end + 1
        quoted = False
        while at < len(links) and (quoted or links[at] != ","):
            if links[at] == "\\":
                at += 1
            elif links[at] == '"':
                quoted = not quoted
            at += 1
        if rt in _types(links[end + 1 : at]):
            return links[start + 1 : end]
        at += 1
    return None


def _types(attributes):
    at = attributes.find(";rt=")
    if at < 0:
        return ()
    value = attributes[at + 4 :]
    if value.startswith('"'):
        return value[1:].split('"')[0].split(" ")
    return (value.split(";")[0],)
