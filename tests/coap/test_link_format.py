"""/.well-known/core (RFC 6690)."""

from coap import Node, Resource
from coap.link_format import link, listing
from coap.node import Node as Bare
from coap.numbers import PUT
from support import cases
from support.engine import ask, get, request


def described(path="a", **attributes):
    resource = Resource()
    for name, value in attributes.items():
        setattr(resource, name, value)
    resource.bind(None, path)
    return link(resource)


@cases(
    ("a", {}, b"</a>;ct=0"),
    ("s/door", {}, b"</s/door>;ct=0"),
    ("", {}, b"</>;ct=0"),
    ("a", {"content_formats": (0, 50, 60)}, b'</a>;ct="0 50 60"'),
    ("a", {"content_formats": None}, b"</a>"),
    ("a", {"content_formats": None, "rt": "one"}, b'</a>;rt="one"'),
    ("a", {"content_formats": None, "rt": "one two"}, b'</a>;rt="one two"'),
    ("a", {"content_formats": None, "interface": "core.s"}, b'</a>;if="core.s"'),
    ("a", {"content_formats": None, "title": 'a "b" \\'}, b'</a>;title="a \\"b\\" \\\\"'),
    ("a", {"content_formats": None, "size": 0}, b"</a>;sz=0"),
    ("a", {"content_formats": None, "size": 1500}, b"</a>;sz=1500"),
    ("a", {"content_formats": None, "observable": True}, b"</a>;obs"),
    (
        "a",
        {"rt": "r", "interface": "i", "title": "t", "size": 5, "observable": True},
        b'</a>;rt="r";if="i";title="t";sz=5;ct=0;obs',
    ),
)
def test_a_link(path, attributes, expected):
    assert described(path, **attributes) == expected


def test_discovery():
    node = Node()
    node.get("s/door", rt="door", observable=True)(lambda request, reply: b"")
    node.put("s/door")(lambda request, reply: None)
    node.get("hidden", listed=False)(lambda request, reply: b"")
    node.get("b")(lambda request, reply: b"")
    message = get(node, ".well-known/core")
    assert (message.code, message.uint(12)) == (0x45, 40)
    assert message.payload == b'</s/door>;rt="door";ct=0;obs,</b>;ct=0'


def test_the_listing_is_written_once_and_anew_when_a_resource_is_another():
    node = Node()
    resource = node.add("a", Resource())
    first = listing(node)
    assert first == b"</a>;ct=0" and listing(node) is first
    resource.etag = b"1"
    resource.changed()
    assert listing(node) is first  # what it says of itself is as it was
    resource.title = "t"
    resource.refresh()
    assert get(node, ".well-known/core").payload == b'</a>;title="t";ct=0'
    resource.exists = False
    resource.changed()
    assert get(node, ".well-known/core").payload == b""
    node.get("b")(lambda request, reply: b"")
    assert get(node, ".well-known/core").payload == b"</b>;ct=0"
    node.remove("b")
    assert get(node, ".well-known/core").payload == b""


@cases(0, 1, 95, 96, 97, 98, 200, 900)
def test_a_listing_of_any_length_arrives_whole(length):
    node = Node()
    node.get("a", content_formats=None, title="t" * length)(lambda request, reply: b"")
    expected = b",".join([link(one) for one in node.resources if one.listed])
    message = get(node, ".well-known/core")
    assert (message.code, message.uint(12), message.payload) == (0x45, 40, expected)


def test_a_listing_in_blocks():
    node = Node()
    node.get("a", title="t" * 90)(lambda request, reply: b"")
    whole, tags = b"", set()
    for number in range(2):
        message = get(node, ".well-known/core", (23, bytes((number << 4 | 2,))))
        assert message.code == 0x45
        whole += message.payload
        tags.update([value for number, value in message.options if number == 4])
    assert whole == listing(node) and len(tags) == 1


def test_discovery_takes_accept():
    node = Node()
    assert get(node, ".well-known/core", (17, b"\x28")).code == 0x45
    assert get(node, ".well-known/core", (17, b"")).code == 0x86


def test_discovery_is_read_only():
    assert ask(Node(), request(PUT, ".well-known/core")).code == 0x85


def test_a_node_without_the_feature():
    assert get(Bare(), ".well-known/core").code == 0x84


@cases(None, b"rt=*", b"rt=nothing", b"href=/b*")
def test_in_a_short_heap_it_is_written_link_by_link(query):
    node = Node()
    for path in ("a", "b/c", "b/d"):
        resource = node.add(path, Resource())
        resource.rt = "x" if path == "a" else ""
        resource.title = '"b", ;<>'
    options = [] if query is None else [(15, query)]
    whole = get(node, ".well-known/core", *options)
    assert whole.code == 0x45
    node.listing = False
    for _ in range(2):
        again = get(node, ".well-known/core", *options)
        assert (again.code, again.payload) == (0x45, whole.payload)
        assert node.listing is False and listing(node).count(b"</") == 3
    node.resource_at("a").refresh()
    get(node, ".well-known/core")
    assert node.listing, "it is tried again after a change"
