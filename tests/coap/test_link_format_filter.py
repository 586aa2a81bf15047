"""The filters of /.well-known/core (RFC 6690 section 4.1), by example and against a slow twin."""

from coap import Resource
from coap.codec import LENGTH, VALUE, new_index
from coap.link_format import WellKnownCore, link, link_end, matches
from support import cases
from support.features import QUERY, plain, seeded

DOOR = (
    b'</s/door>;rt="oic.r.sensor contact";if="core.s core.rd";'
    b'title="The \\"front\\" door";ct=0;obs'
)


def passes(link, query):
    text = b'</x>;x="y",' + link + b",</z>;z"
    end = link_end(text, 11, len(text))
    assert text[11:end] == link
    r = new_index()
    r[VALUE], r[LENGTH] = 2, len(query)
    return matches(text, 11, end, b"??" + query + b"**", r) == 1


@cases(
    # one of several words, the whole, a prefix, and what only looks like it
    (b"rt=contact", True),
    (b"rt=oic.r.sensor", True),
    (b"rt=oic.r.sensor contact", True),
    (b"rt=oic.r", False),
    (b"rt=oic.r*", True),
    (b"rt=con*", True),
    (b"rt=ontact", False),
    (b"rt=contactor", False),
    (b"rt=*", True),
    (b"rt=", False),
    (b"rt", True),
    (b"r=contact", False),
    (b"rtt=contact", False),
    (b"rt=core.s", False),
    (b"if=core.s", True),
    (b"if=core.rd", True),
    (b"if=core.*", True),
    (b"if=core", False),
    (b"i=core.s", False),
    # titles are no lists
    (b'title=The "front" door', True),
    (b'title=The "fr*', True),
    (b"title=The*", True),
    (b"title=The", False),
    (b"title=door", False),
    (b'title="front"', False),
    (b"title=The \\*", False),
    # targets
    (b"href=/s/door", True),
    (b"href=/s/doo", False),
    (b"href=/s/door2", False),
    (b"href=/s/*", True),
    (b"href=/*", True),
    (b"href=/s/door*", True),
    (b"href=/s/door>*", False),
    (b"href=/t*", False),
    (b"href=*", True),
    (b"href=", False),
    (b"href", True),
    (b"hrex=/s/door", False),
    # numbers, and attributes without a value
    (b"ct=0", True),
    (b"ct=00", False),
    (b"ct=4", False),
    (b"ct=*", True),
    (b"obs", True),
    (b"obs=", True),
    (b"obs=*", True),
    (b"obs=1", False),
    (b"ob", False),
    (b"obsx", False),
    (b"sz", False),
    (b"sz=*", False),
    (b"anchor=*", False),
    (b"", True),
    (b"=", False),
    (b"*", False),
)
def test_one_link(query, expected):
    assert passes(DOOR, query) == expected


@cases(
    (b'</a>;ct="0 50 60"', b"ct=50", True),
    (b'</a>;ct="0 50 60"', b"ct=5", False),
    (b'</a>;ct="0 50 60"', b"ct=6*", True),
    (b"</a>;ct=40", b"ct=4", False),
    (b"</a>;ct=40;sz=1", b"ct=40", True),
    (b"</a>;ct=40;sz=1", b"sz=1", True),
    (b"</a>;sz=15", b"sz=1*", True),
    (b'</a>;rt="a a b"', b"rt=a b", True),
    (b'</a>;title="a\\\\b"', b"title=a\\b", True),
    (b'</a>;title="a;ct=7"', b"ct=7", False),
    (b'</a>;title="a\\";ct=7"', b"ct=7", False),
    (b'</a>;title="a\\";ct=7";ct=8', b"ct=8", True),
    (b"</>", b"href=/", True),
    (b"</>", b"href=/a", False),
    (b"</a>;obs;ct=0", b"obs", True),
    (b"</a>;obs;ct=0", b"ct=0", True),
    (b"</a>", b"obs", False),
)
def test_other_links(link, query, expected):
    assert passes(link, query) == expected


def test_several_queries_narrow():
    node = seeded(WellKnownCore())
    for path, rt, observable in (("a", "x y", True), ("b", "y", False), ("c", "x", False)):
        node.get(path, rt=rt, observable=observable)(lambda request, reply: b"")

    def paths(*queries):
        answer = plain(node, ".well-known/core", options=[(QUERY, query) for query in queries])
        assert (answer.code, answer.uint(12)) == (0x45, 40)
        return [part[2:3] for part in answer.payload.split(b",") if part]

    assert paths() == [b"a", b"b", b"c"]
    assert paths(b"rt=y") == [b"a", b"b"]
    assert paths(b"rt=y", b"obs") == [b"a"]
    assert paths(b"rt=x", b"rt=y") == [b"a"]
    assert paths(b"rt=x", b"href=/c") == [b"c"]
    assert paths(b"obs", b"href=/c") == []
    assert paths(b"rt=" + b"z" * 250) == []


def test_a_resource_that_changes_its_existence_comes_and_goes():
    node = seeded(WellKnownCore())
    resource = node.add("a", Resource())
    assert plain(node, ".well-known/core").payload == b"</a>;ct=0"
    resource.exists = False
    resource.changed()
    assert plain(node, ".well-known/core").payload == b""


def test_paths_are_written_as_references():
    node = seeded(WellKnownCore())
    node.add('a b/\xe9>;"', Resource()).content_formats = None
    assert plain(node, ".well-known/core").payload == b"</a%20b/%C3%A9%3E;%22>"


# Against a slow twin, which knows the resources and not their matches


class Random:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x3FFFFFFF
        return (self.state >> 12) * n >> 18

    def choice(self, values):
        return values[self.below(len(values))]

    def words(self, most, alphabet):
        return " ".join([self.word(alphabet) for _ in range(self.below(most + 1))])

    def word(self, alphabet):
        return "".join([self.choice(alphabet) for _ in range(1 + self.below(3))])


def twin(resource, query):
    """Does the resource pass, by the words of the RFC?"""
    name, equals, pattern = query.partition("=")
    values = {"href": "/" + resource.path}
    for key, value in (
        ("rt", resource.rt),
        ("if", resource.interface),
        ("title", resource.title),
        ("sz", "" if resource.size is None else str(resource.size)),
        ("ct", " ".join([str(form) for form in resource.content_formats or ()])),
    ):
        if value:
            values[key] = value
    if resource.observable:
        values["obs"] = ""
    if not query:
        return True
    if name not in values:
        return False
    if not equals:
        return True
    found = [values[name]]
    if name in ("rt", "if", "ct"):
        words = values[name].split(" ")
        found = [
            " ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)
        ]
    if pattern.endswith("*"):
        return any(value.startswith(pattern[:-1]) for value in found)
    return pattern in found


def test_random_links_and_filters_as_the_twin():
    random = Random(7)
    node = seeded(WellKnownCore(), max_payload=8000, amplification_bytes=None)
    for i in range(30):
        resource = Resource()
        resource.rt = random.words(3, "ab.")
        resource.interface = random.words(2, "ab")
        resource.title = random.words(3, 'ab"\\;=>')
        resource.size = random.choice((None, 0, 1, 15, 150))
        resource.content_formats = random.choice((None, (0,), (1, 11), (0, 50, 60), (110,)))
        resource.observable = random.below(2) == 1
        node.add("%d" % i if random.below(2) else "a/%d" % i, resource)
    listed = node.resources[1:]
    hits = 0
    for _ in range(600):
        queries = [_query(random, random.choice(listed)) for _ in range(1 + random.below(2))]
        options = [(QUERY, query.encode()) for query in queries]
        payload = plain(node, ".well-known/core", options=options).payload
        expected = [one for one in listed if all(twin(one, query) for query in queries)]
        assert payload == b",".join([link(one) for one in expected]), queries
        hits += 0 < len(expected) < len(listed)
    assert hits > 100


def _query(random, resource):
    name = random.choice(("rt", "if", "title", "sz", "ct", "obs", "href", "rel", "r"))
    if random.below(10) == 0:
        return random.choice(("", name, name + "x"))
    value = random.word('ab."\\')
    if random.below(4):
        # something that is there, or nearly
        value = {
            "rt": resource.rt,
            "if": resource.interface,
            "title": resource.title,
            "sz": str(resource.size),
            "ct": " ".join([str(form) for form in resource.content_formats or ()]),
            "href": "/" + resource.path,
        }.get(name, "")
        words = value.split(" ")
        if random.below(2):
            value = random.choice(words)
        value = value[: random.below(len(value) + 1)] if random.below(3) == 0 else value
    return name + "=" + value + ("*" if random.below(3) == 0 else "")
