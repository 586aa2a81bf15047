"""Registration with a resource directory (RFC 9176), so that others find the node.

    directory = RegistrationClient(node, peer("192.168.1.2"), "door-1")

A RegistrationClient discovers where the directory takes registrations, sends it the node's links,
and refreshes the registration at half of each lifetime. If the directory has lost it, it registers
again. With simple=True it only announces the node, and the directory fetches the links itself
(section 5.1). A directory that takes no payload in blocks (RFC 7959) gets as many links as one
block holds. It needs the extension coap.client.Client and a transport that calls due().
"""

from micropython import const

from coap.client_request import BROKEN, TOO_LONG, options_to_path
from coap.link_format import link_end, listing
from coap.numbers import (
    BAD_OPTION,
    CHANGED,
    CREATED,
    LINK_FORMAT,
    NOT_FOUND,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
)
from coap.resource import CoapError

_DISCOVERY = ".well-known/core?rt=core.rd"
_SIMPLE = ".well-known/rd"
_DISCOVERY_BYTES = const(1024)  # of the response to the discovery
_FIRST_RETRY_S = const(5)
_MAX_RETRY_S = const(3600)
_MAX_LIFETIME_S = const(1000000)  # half of it is still within the clock
_FIRST_ERROR = const(0x60)
# of a directory that does not know Block1, or does not have the room
_NO_BLOCKS = (BAD_OPTION, REQUEST_ENTITY_INCOMPLETE, REQUEST_ENTITY_TOO_LARGE)
_CUT = "the directory takes no blocks: it has the first links only"


class RegistrationClient:
    """Keeps one registration.

    ep: the endpoint name; lifetime_s: how long the registration is valid without a refresh; base:
    the URI of the node, if it is not the sender's address; sector: the attribute d; on_change:
    function(registration_client) to call when `registered` or `error` has changed.

    Raises ValueError for parameters that no directory accepts, or if the node has no Client.
    """

    def __init__(
        self, node, peer, ep, lifetime_s=90000, base="", sector="", simple=False, on_change=None
    ):
        if node.client is None:
            raise ValueError("a directory needs the feature coap.client.Client()")
        if not 0 < len(ep.encode()) < 64:
            raise ValueError("the name of an endpoint has 1 to 63 bytes")
        if not 60 <= lifetime_s <= _MAX_LIFETIME_S:
            raise ValueError("lifetime_s is 60 to 1000000")
        self.node = node
        self.peer = peer
        self.lifetime_s = lifetime_s
        self.simple = simple
        self.on_change = on_change
        self.queries = [b"ep=" + ep.encode(), b"lt=%d" % lifetime_s]
        if base:
            self.queries.append(b"base=" + base.encode())
        if sector:
            self.queries.append(b"d=" + sector.encode())
        self.registered = False
        self.error = ""  # why the last attempt failed, or what the directory does not have
        self.path = ""  # where the directory takes registrations, from the discovery
        self.location = ""  # of the registration
        self.cut = False  # the directory takes no blocks: it gets the links that fit into one
        self.retry_s = _FIRST_RETRY_S
        self.request = None  # the active ClientRequest
        self.on_response = None  # the method that handles its response
        self.links_changed = False  # since the active request was begun
        # It repeats, so that no exception, whatever the directory has sent, ends the registration.
        self.timer = node.every(1, self.step)

    def changed(self):
        """Register again now, since the node's resources or its address have changed."""
        if self.request is not None:
            self.links_changed = True
        else:
            self.location = ""
            self.retry_s = _FIRST_RETRY_S
            self._schedule(1)

    def stop(self):
        """Remove the registration and stop refreshing it."""
        if self.timer is not None:
            self.node.cancel(self.timer)
            self.timer = None
        if self.request is not None:
            self.node.client.cancel(self.request)
            self.request = None
        if self.location:
            self._send("delete", self.location, self._on_removed)

    def step(self, _now_ms):
        """Send the next request: discovery, registration or refresh. A timer calls it."""
        if self.request is not None:
            return
        self._schedule(self.retry_s * 1000)
        try:
            if self.simple:
                path = _SIMPLE + options_to_path([], self.queries)
                self._send("post", path, self._on_registered)
            elif not self.path:
                into = bytearray(_DISCOVERY_BYTES)
                self._send("get", _DISCOVERY, self._on_discovered, into=into)
            elif self.location:
                self._send("post", self.location, self._on_refreshed)
            else:
                self._register()
        except Exception as error:
            self._give_up(error)

    def _register(self):
        path, _, query = self.path.partition("?")
        path += "?" + (query + "&" if query else "") + options_to_path([], self.queries)[1:]
        links = listing(self.node)
        if self.cut:
            links = first_links(links, self._block_bytes())
        self._send("post", path, self._on_registered, links)

    def _send(self, method, path, on_response, payload=b"", into=None):
        client = self.node.client
        self.on_response = on_response
        try:
            if method == "post":
                self.request = client.post(self.peer, path, payload, self._take)
            else:
                self.request = getattr(client, method)(self.peer, path, self._take)
        except CoapError as error:
            self._fail(error.why)
            return
        if payload:
            self.request.content_format = LINK_FORMAT
        self.request.into = into

    def _take(self, response):
        """Handle a response; of one in blocks, which a registration does not have, the first."""
        self.request = None
        if response.more:
            self.node.client.cancel(response.request)
        try:
            self.on_response(response)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error):
        """Begin again with the discovery: what the directory has sent can not be used."""
        if isinstance(error, MemoryError):
            self._fail("out of memory")
        else:
            self.path = self.location = ""
            self._fail("unusable response: " + str(error))

    def _on_discovered(self, response):
        target = None
        if not response.failure and response.code < _FIRST_ERROR:
            target = find_target(str(response.payload_bytes(), "utf-8"), "core.rd")
        if target is None:
            self._fail(str(response))
        elif not target.startswith("/"):
            self._fail("directory is elsewhere: " + target)
        else:
            self.path = target[1:]
            self.cut = False
            self._schedule(1)

    def _on_registered(self, response):
        if response.code == CREATED or (self.simple and response.code == CHANGED):
            self.location = "" if self.simple else response.location()
            self._succeed()
        elif self._takes_no_blocks(response):
            self.cut = True
            self._schedule(1)
        else:
            self.path = ""  # it may have moved
            self._fail(str(response))

    def _takes_no_blocks(self, response):
        """Return True if the links were sent in blocks, and the directory did not join them."""
        if self.simple or self.cut or len(listing(self.node)) <= self._block_bytes():
            return False
        return response.failure == BROKEN or response.code in _NO_BLOCKS

    def _block_bytes(self):
        return 16 << self.node.client.szx

    def _on_refreshed(self, response):
        if response.code == CHANGED:
            self._succeed()
        elif response.failure == TOO_LONG or response.code >> 5 == 4:
            # the directory has lost the registration, or it can not be refreshed
            self.location = ""
            if response.code == NOT_FOUND:
                self._schedule(1)
            else:
                self._fail(str(response))
        else:
            self._fail(str(response))

    def _on_removed(self, _response):
        self.location = ""
        self._set_state(False, "")

    def _succeed(self):
        self.retry_s = _FIRST_RETRY_S
        if self.links_changed:
            self.location = ""
        self._schedule(1 if self.links_changed else self.lifetime_s * 500)
        self.links_changed = False
        self._set_state(True, _CUT if self.cut else "")

    def _fail(self, why):
        self._schedule(self.retry_s * 1000)
        self.retry_s = min(2 * self.retry_s, _MAX_RETRY_S, self.lifetime_s // 4)
        # a registration that could not be refreshed is still valid for a while
        self._set_state(self.registered and bool(self.location), why)

    def _set_state(self, registered, error):
        is_new = registered != self.registered or error != self.error
        self.registered = registered
        self.error = error
        if is_new and self.on_change is not None:
            self.on_change(self)

    def _schedule(self, delay_ms):
        if self.timer is not None:
            self.node.timers.restart(self.timer, delay_ms)


def first_links(links, most):
    """Return the first links of a listing, as many whole ones as fit into `most` bytes."""
    end = 0
    while end < len(links):
        after = link_end(links, end + 1 if end else 0, len(links))
        if after > most:
            break
        end = after
    return links[:end]


def find_target(links, rt):
    """Return the target of the first link with resource type `rt`, or None.

    links: a document in CoRE Link Format (RFC 6690), as str.
    """
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
        if rt in _resource_types(links[end + 1 : at]):
            return links[start + 1 : end]
        at += 1
    return None


def _resource_types(attributes):
    at = attributes.find(";rt=")
    if at < 0:
        return ()
    value = attributes[at + 4 :]
    if value.startswith('"'):
        return value[1:].split('"')[0].split(" ")
    return (value.split(";")[0],)
