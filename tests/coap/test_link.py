"""/.well-known/core (RFC 6690)."""

from coap import Node, Resource
from coap.link import link
from coap.node import Node as Bare
from coap.numbers import PUT
from engine import ask, get, request
from support import cases


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


def test_discovery_takes_accept():
    node = Node()
    assert get(node, ".well-known/core", (17, b"\x28")).code == 0x45
    assert get(node, ".well-known/core", (17, b"")).code == 0x86


def test_discovery_is_read_only():
    assert ask(Node(), request(PUT, ".well-known/core")).code == 0x85


def test_a_node_without_the_feature():
    assert get(Bare(), ".well-known/core").code == 0x84
