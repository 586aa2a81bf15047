"""A lossy wire: 30 % lost, 10 % doubled, reordered; and everything ends as it should.

Time is virtual. 1,000 exchanges of every kind, several clients at once.
"""

from coap import Resource
from coap.blockwise import Blockwise
from coap.link_format import WellKnownCore
from coap.no_response import NoResponse
from coap.node import Node
from coap.numbers import CON, DELETE, FETCH, GET, IPATCH, NON, POST, PUT
from coap.observe import Observe
from coap.resource import SEPARATE
from support import cases
from support.features import BLOCK1, BLOCK2, ETAG, NO_RESPONSE, OBSERVE, block, option, text
from support.lossy_link import LossyLink
from support.reliable_client import Reliable

HEAP = "32m"
TIMEOUT_S = 240
CLIENTS = 5
EXCHANGES = 1000  # for each seed
LARGE = text(900)
PATH = 11


class Counter(Resource):
    """Counts what is executed, by the number that each exchange carries as its payload's start."""

    def __init__(self):
        super().__init__()
        self.done = {}

    def _count(self, request):
        name = request.payload_bytes()[:8]
        self.done[name] = self.done.get(name, 0) + 1
        return name

    def put(self, request, reply):
        self._count(request)

    def ipatch(self, request, reply):
        self._count(request)

    def post(self, request, reply):
        name = self._count(request)
        if request.query("long") is not None:
            reply.write(name)
            reply.write(LARGE)
            return 0x44
        return name

    def fetch(self, request, reply):
        return request.payload_bytes()


class Slow(Counter):
    """A resource with delayed separate responses."""

    def __init__(self, node):
        super().__init__()
        self.separate = node

    def post(self, request, reply):
        name = self._count(request)
        ticket = request.defer()
        self.separate.after(700, lambda now_ms: self.separate.respond(ticket, b"slow " + name))
        return SEPARATE


class State(Resource):
    observable = True
    value = b"state 0"

    def get(self, request, reply):
        return self.value

    def delete(self, request, reply):
        pass


def serving(**settings):
    node = Node(
        WellKnownCore(),
        Observe(16),
        Blockwise(slots=2 * CLIENTS, bytes=2048),
        NoResponse(),
        dedup_entries=200,
        cached_response_bytes=700,
        exchanges=8,
        separate_responses=8,
        timers=16,
        **settings,
    )
    node.seed(b"lossy")
    node.add("count", Counter())
    node.add("slow", Slow(node))
    node.add("state", State())
    node.get("large")(lambda request, reply: LARGE)
    return node


def way(path):
    return [(PATH, part.encode()) for part in path.split("/")]


# Scripts: functions of the responses so far that return the next request


def single(kind, code, path, payload, token, options=()):
    def script(answers):
        return None if answers else (kind, code, way(path) + list(options), payload, token)

    return script


def download(path, szx, token, code=GET, options=()):
    def script(answers):
        body = joined(answers)
        if not answers:
            return CON, code, way(path) + list(options) + [block(BLOCK2, 0, 0, szx)], b"", token
        value = answers[-1].uint(BLOCK2)
        if value is None or not value & 8:
            return None
        szx_now = value & 7
        num = len(body) >> (szx_now + 4)
        more = [block(BLOCK2, num, 0, szx_now)]
        return CON, code, way(path) + list(options) + more, b"", token

    return script


def upload(code, path, body, szx, token, options=()):
    size = 16 << szx

    def script(answers):
        num = len(answers)
        if answers and answers[-1].code != 0x5F:
            value = answers[-1].uint(BLOCK2)
            if value is None or not value & 8:
                return None
            got = joined([answer for answer in answers if answer.code != 0x5F])
            more = [block(BLOCK2, len(got) >> (value & 7) + 4, 0, value & 7)]
            return CON, code, way(path) + list(options) + more, b"", token
        more = [block(BLOCK1, num, (num + 1) * size < len(body), szx)]
        if options:
            more.append(block(BLOCK2, 0, 0, 2))
        piece = body[num * size : num * size + size]
        return CON, code, way(path) + list(options) + more, piece, token

    return script


def joined(answers):
    return b"".join([answer.payload for answer in answers])


def checked(random, i, name, node):
    """Return a random exchange and the check of its responses, as (script, check(responses))."""
    token = b"%04d" % i
    kind = random(10)
    body = name + text(100 + random(400), i)
    executed = node.resource_at("count").done

    def once(code, payload):
        def check(answers):
            assert (answers[-1].code, answers[-1].payload) == (code, payload), answers
            assert executed[name] == 1

        return check

    if kind == 0:
        return single(CON, POST, "count", name, token), once(0x44, name)
    if kind == 1:
        return single(CON, (PUT, IPATCH)[random(2)], "count", name, token), once(0x44, b"")
    if kind == 2:

        def later(answers):
            assert answers[0].payload == b"slow " + name
            assert node.resource_at("slow").done[name] == 1

        return single(CON, POST, "slow", name, token), later
    if kind == 3:
        szx = random(5)

        def whole(answers):
            assert joined(answers) == LARGE and len({one.all(ETAG)[0] for one in answers}) == 1

        return download("large", szx, token), whole
    if kind == 4:
        return upload(PUT, "count", body, random(4), token), once(0x44, b"")
    if kind == 5:

        def both(answers):
            got = [answer for answer in answers if answer.code != 0x5F]
            assert joined(got) == name + LARGE and executed[name] == 1

        return upload(POST, "count", body, 2, token, [(15, b"long")]), both
    if kind == 6:

        def asked(answers):
            assert joined([one for one in answers if one.code != 0x5F]) == body

        return upload(FETCH, "count", body, 1 + random(3), token), asked
    if kind == 7:
        return single(CON, GET, "none", b"", token), code_is(0x84)
    if kind == 8:
        return single(CON, DELETE, "count", b"", token), code_is(0x85)

    def found(answers):
        assert joined(answers).startswith(b"</count>") and b"</state>" in joined(answers)

    return download(".well-known/core", random(3), token), found


def code_is(code):
    def check(answers):
        assert answers[0].code == code

    return check


@cases(1, 2)
def test_exchanges_of_every_kind_end_correctly(seed):
    node = serving()
    wire = LossyLink(30, 10, (5, 400), seed, 0x3FFFFFFF - 100000)
    wire.join("node", node)
    clients = [wire.join("client %d" % i, Reliable(wire, "client %d" % i)) for i in range(CLIENTS)]
    checks = []
    made = 0
    while made < EXCHANGES or not all(client.idle() for client in clients):
        for client in clients:
            if client.idle() and made < EXCHANGES:
                script, check = checked(wire.random, made, b"n%07d" % made, node)
                checks.append((script, check))
                client.ask(script)
                made += 1
        wire.run(1000)
        assert wire.elapsed_ms < 10**8
        del wire.log[:]
    answers = {}
    for client in clients:
        assert client.failed == []
        for script, found in client.results:
            answers[id(script)] = found
    ended = 0
    for script, check in checks:
        if id(script) in answers:
            check(answers[id(script)])
            ended += 1
    assert ended == EXCHANGES
    for path in ("count", "slow"):
        done = node.resource_at(path).done
        assert done and max(done.values()) == 1, path
    assert node.separate.open_count == 0 and node.messaging.open_count == 0
    wire.run(300000)
    assert node.extensions[2].transfers.used == 0


def test_non_requests_are_executed_at_most_once():
    node = serving()
    wire = LossyLink(30, 50, (5, 400), 3)
    wire.join("node", node)
    client = wire.join("client", Reliable(wire, "client", attempts=1, timeout_ms=1000))
    for i in range(200):
        name = b"n%07d" % i
        options = [option(NO_RESPONSE, 0 if i & 1 else 26)]
        client.ask(single(NON, POST, "count", name, b"%03d" % i, options))
    while not client.idle():
        wire.run(1000)
    done = node.resource_at("count").done
    assert 120 < len(done) < 200 and max(done.values()) == 1
    assert all(found[0].payload in done for _, found in client.results)
    assert all(found[0].token[-1] & 1 for _, found in client.results)


@cases(None, True)
def test_observers_converge_to_the_last_state(confirmable):
    node = serving(max_retransmit=7)
    state = node.resource_at("state")
    state.confirmable = confirmable
    wire = LossyLink(30, 10, (5, 400), 5)
    wire.join("node", node)
    clients = [wire.join("client %d" % i, Reliable(wire, "client %d" % i)) for i in range(8)]
    for client in clients:
        client.watched[b"watch"] = True
        client.ask(single(CON, GET, "state", b"", b"watch", [option(OBSERVE, 0)]))
    wire.run(300000)
    assert all(client.results for client in clients) and node.extensions[1].count() == 8
    for i in range(1, 80):
        state.value = b"state %d" % i
        state.changed()
        wire.run(1 + wire.random(4000))
        del wire.log[:]
    # the last state, in a confirmable notification, as con_every demands
    state.confirmable = True
    for i in range(80, 83):
        state.value = b"state %d" % i
        state.changed()
        wire.run(300)
    wire.run(200000)
    left = [peer for peer in node.extensions[1].peers if peer is not None]
    assert len(left) >= 6  # who acknowledged none of the attempts was given up
    for client in clients:
        numbers = [message.uint(OBSERVE) for message in client.told]
        assert len(numbers) == len(set(numbers))
        newest = max(client.told, key=lambda message: message.uint(OBSERVE))
        if client.name in left:
            assert newest.payload == b"state 82" and len(numbers) > 3, client.name
        for message in client.told:
            older = [one for one in client.told if one.uint(OBSERVE) < message.uint(OBSERVE)]
            assert all(_state(one) <= _state(message) for one in older)


def _state(message):
    return int(message.payload.split(b" ")[1])
