"""Conditions of notifications (draft-ietf-core-conditional-attributes)."""

from coap import Resource
from coap.codec import IX_OBSERVE, IX_URI_QUERY, SLOW_PATH
from coap.conditional_observe import ConditionalObserve
from coap.numbers import CBOR, CON, NON
from coap.observe import Observe
from support import allocated, cases, only
from support.engine import ask, due, request
from support.features import OBSERVE, QUERY, Value, acknowledge, register, seeded, verify


class Scaled(Resource):
    """A number with one decimal."""

    content_formats = (0, CBOR)
    observable = True
    decimals = 1
    number = 200

    def get(self, request, reply):
        return reply.number(self.number, 1)

    def value(self):
        return self.number

    def become(self, number):
        self.number = number
        self.changed()


def observed(*queries, resource=None, value=200, now_ms=0, **settings):
    """A node with v, and an observer of it with these queries: (node, resource)."""
    node = seeded(ConditionalObserve(**settings), Observe())
    resource = node.add("v", resource or Scaled())
    resource.number = value
    verify(node)
    options = [(QUERY, query.encode()) for query in queries]
    answer = register(node, options=options, now_ms=now_ms)
    assert answer.code == 0x45 and answer.uint(OBSERVE) is not None, answer
    return node, resource


def told(node, now_ms=0):
    """The payloads of the notifications that are due."""
    return [message.payload for _, message in due(node, now_ms)]


def after(node, resource, values, step_ms=1000):
    """Return which of the values, one a second, were notified, as numbers."""
    found = []
    now_ms = 0
    for value in values:
        now_ms += step_ms
        resource.become(value)
        found += [round(10 * float(payload)) for payload in told(node, now_ms)]
    return found


@cases(
    ((), [201, 202, 202, 203], [201, 202, 202, 203]),
    # crossing a limit, either way, once
    (("c.gt=25",), [210, 250, 251, 260, 250, 240, 252], [251, 250, 252]),
    (("gt=25.0",), [250, 251], [251]),
    (("c.lt=15",), [160, 150, 149, 130, 150, 160, 140], [149, 150, 140]),
    (("c.gt=25", "c.lt=15"), [149, 200, 251, 200], [149, 200, 251, 200]),
    # between two values that there are
    (("c.gt=20.05",), [200, 201, 200], [201, 200]),
    (("c.lt=19.95",), [200, 199, 200], [199, 200]),
    (("c.gt=20.0500000000000000",), [200, 201], [201]),
    # steps from the last notification
    (("c.st=0.5",), [204, 205, 208, 210, 206, 205], [205, 210, 205]),
    (("c.st=0.41",), [204, 205], [205]),
    (("st=1", "c.gt=20.3"), [202, 204, 206, 214], [204, 214]),
    # bands
    (("c.band", "c.lt=25"), [249, 250, 260, 249], [250, 260]),
    (("c.band", "c.gt=25"), [251, 250, 240, 251], [250, 240]),
    (("c.band", "c.gt=25", "c.lt=26"), [249, 250, 255, 260, 261], [250, 255, 260]),
    (("c.band", "c.gt=26", "c.lt=25"), [249, 250, 255, 260, 261], [249, 261]),
    (("band", "lt=25", "gt=25"), [249, 250, 251], [250]),
    # edges
    (("c.edge=1",), [0, 0, 1, 1, 0, 1], [1, 1]),
    (("c.edge=0",), [0, 0, 1, 1, 0, 1, 0], [0, 0, 0]),
    (("edge=true",), [0, 7], [7]),
    (("edge=false",), [5, 0], [0]),
    # what is nobody's parameter
    (("c.gtx=25", "x=1", "c.epmin=3", "c."), [201], [201]),
)
def test_which_values_are_told(queries, values, expected):
    node, resource = observed(*queries)
    assert after(node, resource, values) == expected


def test_negative_numbers():
    node, resource = observed("c.lt=-10.55", value=-100)
    assert after(node, resource, [-105, -106, -107, -105]) == [-106, -105]
    node, resource = observed("c.gt=-0.05", value=-10)
    assert after(node, resource, [-1, 0, 1, -1]) == [0, -1]


def test_without_conditions_nothing_is_different():
    node, resource = observed()
    resource.become(201)
    resource.become(202)
    assert told(node) == [b"20.2"]


def test_pmin_delays_to_the_newest_value():
    node, resource = observed("c.pmin=10")
    resource.become(201)
    assert told(node, 5000) == []
    resource.become(202)
    assert told(node, 9999) == [] and node.wait_ms(9999) == 1
    assert told(node, 10000) == [b"20.2"]
    assert told(node, 60000) == []
    resource.become(203)
    assert told(node, 60001) == [b"20.3"]
    resource.become(204)
    assert told(node, 70000) == [] and told(node, 70001) == [b"20.4"]


@cases(("c.pmin=0.5", 500), ("pmin=2.0004", 2001), ("c.pmin=1.", 1000), ("c.pmin=+.25", 250))
def test_fractions_of_a_second(query, span_ms):
    node, resource = observed(query)
    resource.become(201)
    assert told(node, span_ms - 1) == [] and told(node, span_ms) == [b"20.1"]


def test_what_crossed_back_within_pmin_is_not_told():
    node, resource = observed("c.gt=25", "c.pmin=10")
    resource.become(260)
    assert told(node, 1000) == []
    resource.become(240)
    assert told(node, 20000) == []
    resource.become(260)
    assert told(node, 20001) == [b"26.0"]


def test_an_edge_waits_for_pmin():
    node, resource = observed("c.edge=1", "c.pmin=10", value=0)
    resource.become(1)
    resource.become(1)
    assert told(node, 5000) == []
    assert told(node, 10000) == [b"0.1"]


def test_pmax_tells_what_has_not_changed():
    node, resource = observed("c.pmax=10", "c.gt=25")
    assert told(node, 9999) == [] and node.wait_ms(9999) == 1
    assert told(node, 10000) == [b"20.0"]
    resource.become(201)
    assert told(node, 19999) == [] and told(node, 20000) == [b"20.1"]
    resource.become(251)
    assert told(node, 21000) == [b"25.1"]
    assert told(node, 30999) == [] and told(node, 31000) == [b"25.1"]


def test_pmin_equal_to_pmax():
    node, resource = observed("c.pmin=5", "c.pmax=5")
    found = []
    for second in range(1, 21):
        resource.become(200 + second)
        found += told(node, 1000 * second)
    assert found == [b"20.5", b"21.0", b"21.5", b"22.0"]


def test_a_tiny_pmax_does_not_make_a_stream():
    node, resource = observed("c.pmax=0.001", least_ms=3000)
    assert told(node, 2999) == [] and told(node, 3000) == [b"20.0"]


def test_pmax_across_the_clocks_turn():
    start = 0x3FFFFFFF - 4000
    node, resource = observed("c.pmax=10", now_ms=start)
    assert told(node, (start + 9999) & 0x3FFFFFFF) == []
    assert told(node, (start + 10000) & 0x3FFFFFFF) == [b"20.0"]


@cases((("c.con=1",), CON), (("c.con=0",), NON), (("con=true",), CON), ((), NON))
def test_confirmable(queries, kind):
    node, resource = observed(*queries)
    for value in (201, 202):
        resource.become(value)
        ((_, message),) = due(node, 0)
        assert message.kind == kind
        if kind == CON:
            acknowledge(node, message)


def test_each_observer_has_its_own():
    node, resource = observed("c.gt=25")
    register(node, token=b"\2", options=[(QUERY, b"c.gt=21")])
    register(node, token=b"\3")
    resource.become(215)
    assert sorted([message.token for _, message in due(node, 0)]) == [b"\2", b"\3"]
    resource.become(255)
    assert sorted([message.token for _, message in due(node, 0)]) == [b"\1", b"\3"]


def test_a_refresh_brings_new_conditions():
    node, resource = observed("c.gt=25")
    register(node, options=[(QUERY, b"c.gt=21")])
    resource.become(215)
    assert told(node) == [b"21.5"]
    register(node)
    resource.become(216)
    assert told(node) == [b"21.6"]


def test_a_slot_does_not_keep_the_conditions_of_its_last_observer():
    node, resource = observed("c.gt=25", "c.con=1", "c.pmax=1")
    register(node, value=1, options=[(QUERY, b"c.gt=25")])
    assert node.extensions[1].count() == 0
    register(node, token=b"\7")
    resource.become(201)
    ((_, message),) = due(node, 0)
    assert message.token == b"\7" and message.kind == NON
    assert due(node, 100000) == []


@cases(
    ("c.pmin=0", b"c.pmin: is more than 0"),
    ("c.pmin=-1", b"c.pmin: is more than 0"),
    ("pmin=x", b"c.pmin: is a decimal number, and not too large"),
    ("c.pmin", b"c.pmin: is a decimal number, and not too large"),
    ("c.pmin=", b"c.pmin: is a decimal number, and not too large"),
    ("c.pmin=1.2.3", b"c.pmin: is a decimal number, and not too large"),
    ("c.pmin=.", b"c.pmin: is a decimal number, and not too large"),
    ("c.pmin=1e3", b"c.pmin: is a decimal number, and not too large"),
    ("c.pmin=600000", b"c.pmin: is a decimal number, and not too large"),
    ("c.pmin=200001", b"c.pmin: is at most 200000"),
    ("c.pmax=0.0", b"c.pmax: is more than 0"),
    ("c.pmin=10&c.pmax=9", b"c.pmax: is at least c.pmin"),
    ("c.gt=warm", b"c.gt: is a decimal number, and not too large"),
    ("c.gt=99999999999", b"c.gt: is a decimal number, and not too large"),
    ("c.lt=--1", b"c.lt: is a decimal number, and not too large"),
    ("c.st=0", b"c.st: is more than 0"),
    ("c.st=-0.5", b"c.st: is more than 0"),
    ("c.band", b"c.band: needs c.gt or c.lt"),
    ("c.band=1&c.gt=1", b"c.band: takes no value"),
    ("c.edge=10", b"c.edge: is 0 or 1"),
    ("c.edge", b"c.edge: is 0 or 1"),
    ("c.con=yes", b"c.con: is 0 or 1"),
)
def test_wrong_values_are_named(query, why):
    node = seeded(ConditionalObserve(), Observe())
    node.add("v", Scaled())
    answer = register(node, options=[(QUERY, part.encode()) for part in query.split("&")])
    assert (answer.code, answer.payload) == (0x80, why)
    assert node.extensions[1].count() == 0
    plain = ask(node, request(1, "v", options=[(QUERY, query.encode())]))
    assert plain.code == 0x45  # without Observe it is nobody's business


@cases("c.gt=1", "c.lt=1", "c.st=1", "c.edge=1", "c.band&c.gt=1")
def test_a_resource_that_is_no_number(query):
    node = seeded(ConditionalObserve(), Observe())
    value = node.add("v", Value(b"text"))
    options = [(QUERY, part.encode()) for part in query.split("&")]
    answer = register(node, options=options)
    assert answer.code == 0x80 and b"needs a resource that is a number" in answer.payload
    verify(node)
    assert register(node, options=[(QUERY, b"c.pmin=5")]).uint(OBSERVE) is not None
    value.become(b"more")
    assert told(node, 4999) == [] and told(node, 5000) == [b"more"]


def test_a_value_that_is_missing_is_told():
    node, resource = observed("c.gt=25")
    resource.value = lambda: None
    resource.become(201)
    assert told(node) == [b"20.1"]


def test_a_value_that_raises_does_not_stop_the_node():
    class Failing(Scaled):
        def value(self):
            raise ValueError("mine")

    node, resource = observed("c.gt=25", resource=Failing())
    resource.become(201)
    assert told(node) == [b"20.1"]


def test_a_query_alone_makes_no_request_special():
    node, _ = observed("c.gt=1")
    assert not node.view.index[SLOW_PATH] & 1 << IX_URI_QUERY
    assert node.view.index[SLOW_PATH] & 1 << IX_OBSERVE


@only("micropython")
def test_notifications_allocate_nothing():
    node, resource = observed("c.gt=1", "c.st=0.1", "c.pmin=0.001", "c.pmax=100")
    state = [0]

    def once():
        state[0] += 1000
        resource.become(200 + state[0] // 1000 % 2)
        sent = node.due(state[0])
        assert sent
        if node.tx[0] >> 4 & 3 == CON:
            node.messaging.close_exchange(len(node.messaging.owners) - 1)
            node.extensions[1].words[4] = -1

    for _ in range(40):
        once()
    assert allocated(once, 10) == 0
