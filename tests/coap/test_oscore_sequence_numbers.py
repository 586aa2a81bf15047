"""Sequence numbers and windows over sleep and loss of power (RFC 8613 7.5, Appendix B.1)."""

from coap.access import SECURED, Access
from coap.node import Node
from coap.numbers import CON, CONTENT, GET, UNAUTHORIZED
from coap.oscore import Oscore
from coap.oscore.context import MAX_SEQUENCE_NUMBER, Context
from coap.oscore.sequence_numbers import SequenceStore
from support import cases
from support.engine import ask, decode, encode, request, uint
from support.oscore_peer import SALT, SECRET, End

ECHO = 252


class PowerCut(Exception):
    pass


class Store:
    """Replaces what it holds as a whole. `cuts` counts down to the write at which the power goes:
    before it (torn None), or in its midst, leaving what torn(old, new) says.
    """

    def __init__(self, world, torn=None):
        self.world = world
        self.torn = torn
        self.content = None
        self.writes = 0

    def load(self):
        return self.content

    def save(self, content):
        self.writes += 1
        if self.world.cut():
            if self.torn:
                self.content = self.torn(self.content, content)
            raise PowerCut
        self.content = bytes(content)
        if self.world.cut():
            raise PowerCut


class World:
    """What outlives a node: flash and retained memory; and what the wire has seen.

    how: "own" gives the store the retained memory, "void" and "flash" leave it to a keeper, who
    may say that it is void, or not.
    """

    def __init__(self, torn=None, how="own"):
        self.how = how
        self.left = -1
        self.flash = Store(self)  # a file that is renamed: old or new
        self.retained = Store(self, torn)
        self.used = []

    def cut(self):
        self.left -= self.left > 0
        return self.left == 0

    def boot(self, step=4):
        """A node that starts: its contexts, with what the stores say."""
        contexts = [
            Context(SECRET, b"\x01", b"\x02", SALT),
            Context(SECRET, b"\x03", b"\x04", SALT),
        ]
        if self.how == "own":
            return SequenceStore(contexts, self.flash, self.retained, step)
        store = SequenceStore(contexts, self.flash, None, step)
        if self.retained.content:
            store.restore(self.retained.content)
        if self.how == "void":
            store.invalidate = lambda: self.retained.save(store.snapshot)
        return store

    def sleep(self, store):
        store.retain()
        if self.how != "own":
            self.retained.save(store.snapshot)

    def use(self, store, i, times=1):
        for _ in range(times):
            number = store.contexts[i].next_sequence_number()
            assert (i, number) not in self.used, (i, number)
            self.used.append((i, number))


def life(world):
    """Days of a node: it sends, sleeps exactly, wakes, loses power."""
    store = world.boot()
    world.use(store, 0, 3)
    world.sleep(store)
    store = world.boot()
    world.use(store, 0, 3)
    world.use(store, 1, 1)
    world.sleep(store)
    world.use(store, 1, 1)  # it did not sleep after all
    store = world.boot()  # and loses power
    world.use(store, 0, 6)
    world.use(store, 1, 9)
    world.sleep(store)
    world.sleep(store)
    store = world.boot()
    store = world.boot()  # power goes before anything was sent
    world.use(store, 0, 1)
    world.use(store, 1, 1)


TORN = (
    None,
    lambda old, new: b"",
    lambda old, new: new[: len(new) // 2],
    lambda old, new: new[: len(new) // 2] + (old or b"")[len(new) // 2 :],
)


@cases((0, "own"), (1, "own"), (2, "own"), (3, "own"), (2, "void"), (3, "void"), (2, "flash"))
def test_no_number_twice_wherever_the_power_is_cut(i, how):
    world = World(None, how)
    life(world)
    moments = 2 * (world.flash.writes + world.retained.writes)
    assert moments > 20
    cuts = 0
    for moment in range(1, moments + 1):
        world = World(TORN[i], how)
        world.left = moment
        try:
            life(world)
        except PowerCut:
            cuts += 1
        # again and again, with cuts in the recovery itself
        for again in (1, 2, 3, 5, 0):
            world.left = again or -1
            try:
                life(world)
            except PowerCut:
                cuts += 1
    assert cuts > 3 * moments


def test_a_sleep_is_exact_and_costs_no_number():
    world = World()
    store = world.boot(256)
    world.use(store, 0, 10)
    store.contexts[1].window.words[0] = 0xFFFFF
    store.contexts[1].window.words[2] = 0xABCD
    store.retain()
    flash = world.flash.writes
    store = world.boot(256)
    assert store.contexts[0].sequence_number == 10 and world.flash.writes == flash
    assert list(store.contexts[1].window.words) == [0xFFFFF, 0, 0xABCD, 0]
    assert world.retained.content == b"", "what is retained is good once"


@cases("void", "flash")
def test_a_sleep_is_exact_with_a_stored_snapshot(how):
    world = World(None, how)
    store = world.boot(256)
    world.use(store, 0, 10)
    world.sleep(store)
    store = world.boot(256)
    assert store.contexts[0].sequence_number == 10 and store.contexts[0].window.valid
    flash = world.flash.writes
    world.use(store, 0, 1)
    assert world.flash.writes - flash == (1 if how == "flash" else 0)
    assert world.boot(256).contexts[0].sequence_number >= 256, "it lost power awake"


def test_a_loss_of_power_costs_a_step_at_most():
    world = World()
    store = world.boot(64)
    world.use(store, 0, 65)
    store = world.boot(64)
    assert store.contexts[0].sequence_number == 128 and store.contexts[1].sequence_number == 0
    assert store.contexts[0].window.valid is False, "the window is lost"
    writes = world.flash.writes
    world.use(store, 0, 640)
    assert world.flash.writes - writes == 10


def test_keys_that_only_received_lose_their_window():
    world = World()
    assert world.boot().contexts[0].window.valid
    assert world.boot().contexts[0].window.valid is False


def test_other_keys_begin_at_zero():
    world = World()
    world.use(world.boot(), 0, 3)
    fresh = [Context(bytes(range(50, 66)), b"\x01", b"\x02")]
    store = SequenceStore(fresh, world.flash, world.retained, 4)
    assert fresh[0].sequence_number == 0 and fresh[0].window.valid and not store.broken


@cases(b"", b"F1", b"F1" + bytes(20), b"garbage")
def test_a_broken_flash_is_never_counted_from_zero(content):
    world = World()
    world.use(world.boot(), 0, 3)
    world.flash.content = content
    contexts = [Context(SECRET, b"\x01", b"\x02", SALT)]
    oscore = Oscore(contexts, world.flash, world.retained)
    assert oscore.sequence_store.broken and oscore.contexts == []
    assert oscore.status == "sequence numbers lost: make new keys"
    node = Node(Access(SECURED), oscore)
    node.get("s")(lambda request, reply: b"open")
    end = End(b"\x02", b"\x01")
    assert ask(node, end.request(request(GET, "s"))).payload == b"Security context not found"


def test_flash_that_can_not_be_written_stops_the_numbers():
    world = World()
    store = world.boot()
    world.use(store, 0, 4)

    def full(content):
        raise OSError(28)

    world.flash.save = full
    for _ in range(3):
        assert store.contexts[0].next_sequence_number() == -1
    assert store.contexts[0].sequence_limit == 4


def test_sequence_numbers_end():
    world = World()
    store = world.boot()
    store.contexts[0].sequence_number = store.contexts[0].sequence_limit = MAX_SEQUENCE_NUMBER - 2
    assert store.contexts[0].next_sequence_number() == -1 and "make new keys" in store.error
    alone = Context(SECRET, b"\x01", b"\x02")
    alone.sequence_number = MAX_SEQUENCE_NUMBER
    assert alone.next_sequence_number() == -1


# What the wire sees of it


def node_of(world, entropy=b"12345678"):
    oscore = Oscore([Context(SECRET, b"\x01", b"\x02", SALT)], world.flash, world.retained, 4)
    node = Node(Access(SECURED), oscore)
    node.seed(entropy)
    node.executed = []

    @node.get("s")
    def s(request, reply):
        node.executed.append(1)
        return b"open"

    return node


def test_echo_after_a_loss_of_power():
    world = World()
    end = End(b"\x02", b"\x01")
    node = node_of(world)
    old = end.request(request(GET, "s"))
    assert end.read(ask(node, old)).code == CONTENT
    node = node_of(world)
    # a recorded request is not executed, and its response has its own nonce
    challenge = end.read(ask(node, old), uint(0) or b"\0")
    assert challenge.code == UNAUTHORIZED and challenge.piv is not None and not challenge.payload
    echo = challenge.all(ECHO)[0]
    assert len(challenge.options) == 1 and not node.executed
    # a wrong value does not do
    wrong = end.read(ask(node, end.request(request(GET, "s", options=[(ECHO, bytes(8))]))))
    assert wrong.code == UNAUTHORIZED and not node.executed
    good = end.request(request(GET, "s", options=[(ECHO, echo)]))
    reply = end.read(ask(node, good))
    assert reply.code == CONTENT and node.executed == [1]
    # now the window is there again: nothing up to that number is taken
    for seq in range(end.seq):
        late = end.request(request(GET, "s", options=[(ECHO, echo)]), seq=seq)
        assert ask(node, late).payload == b"Replay detected"
    assert end.read(ask(node, end.request(request(GET, "s")))).code == CONTENT
    assert node.executed == [1, 1]


def test_the_echo_is_another_one_after_each_loss():
    world = World()
    end = End(b"\x02", b"\x01")
    node_of(world)
    values = set()
    for _ in range(4):
        node = node_of(world, b"the same")
        challenge = end.read(ask(node, end.request(request(GET, "s"))))
        values.add(challenge.all(ECHO)[0])
    assert len(values) == 4


def test_the_window_outlives_a_sleep():
    world = World()
    end = End(b"\x02", b"\x01")
    node = node_of(world)
    for _ in range(5):
        assert end.read(ask(node, end.request(request(GET, "s")))).code == CONTENT
    node.oscore.retain()
    node = node_of(world)
    replay = end.request(request(GET, "s"), seq=3)
    assert ask(node, replay).payload == b"Replay detected" and not node.executed
    assert end.read(ask(node, end.request(request(GET, "s")))).code == CONTENT


def test_a_request_invalidates_the_retained_state():
    world = World()
    end = End(b"\x02", b"\x01")
    node = node_of(world)
    node.oscore.retain()
    assert end.read(ask(node, end.request(request(GET, "s")))).code == CONTENT
    assert world.retained.content == b""


def test_the_state_of_a_node_includes_the_snapshot():
    from coap.presets import default_extensions
    from support.engine import due

    def node_with(world):
        oscore = Oscore([Context(SECRET, b"\x01", b"\x02", SALT)], world.flash, None, 4)
        node = Node(*default_extensions(), Access(SECURED), oscore)
        node.pack_peer, node.unpack_peer = str.encode, lambda packed: str(packed, "utf-8")
        node.seed(b"12345678")
        node.get("s", observable=True)(lambda request, reply: b"open")
        return node

    world = World(None, "flash")
    end = End(b"\x02", b"\x01")
    node = node_with(world)
    first = end.read(ask(node, end.request(request(GET, "s", options=[(6, b"")]))))
    piv = end.piv
    assert first.all(6) == [b""]
    node.oscore.retain()
    kept = node.state()
    used = node.oscore.contexts[0].sequence_number
    node = node_with(world)
    assert node.restore(kept)
    assert node.oscore.contexts[0].sequence_number == used
    # the observer is restored, and notified under the same keys
    node.resource_at("s").changed()
    ((peer, message),) = due(node, 1000)
    assert peer == "peer" and end.read(message, piv).payload == b"open"
    # nobody is asked for an Echo, and what came before does not come again
    replay = end.request(request(GET, "s"), seq=0)
    assert ask(node, replay).payload == b"Replay detected"
    assert end.read(ask(node, end.request(request(GET, "s")))).code == CONTENT
    # the same state again, after a loss of power: it is void
    node = node_with(world)
    node.restore(kept)
    assert node.oscore.contexts[0].sequence_number > used
    assert end.read(ask(node, end.request(request(GET, "s")))).code == UNAUTHORIZED


# Echo values have their time, and replays their turn


def restarted(world):
    """A node that lost its window, and a request that was recorded before."""
    end = End(b"\x02", b"\x01")
    tape = end.request(request(GET, "s"))
    assert end.read(ask(node_of(world), tape)).code == CONTENT
    return node_of(world), end, decode(tape)


def echoed(node, end, now_ms, *options):
    return end.read(ask(node, end.request(request(GET, "s", options=options)), now_ms=now_ms))


@cases(0, 2**30 - 20000)
def test_an_echo_expires(start_ms):
    node, end, _ = restarted(World())
    echo = echoed(node, end, start_ms).all(ECHO)[0]
    # for half of its time it is given to others
    assert echoed(node, end, (start_ms + 15000) % 2**30).all(ECHO) == [echo]
    other = echoed(node, end, (start_ms + 15001) % 2**30).all(ECHO)[0]
    assert other != echo
    # the old one is none any more, the other one for 30 s
    assert echoed(node, end, (start_ms + 15002) % 2**30, (ECHO, echo)).code == UNAUTHORIZED
    assert echoed(node, end, (start_ms + 45002) % 2**30, (ECHO, other)).code == UNAUTHORIZED
    assert node.executed == []
    last = echoed(node, end, (start_ms + 45003) % 2**30).all(ECHO)[0]
    assert last not in (echo, other)
    assert echoed(node, end, (start_ms + 75002) % 2**30, (ECHO, last)).code == CONTENT
    assert node.executed == [1]


def test_an_echo_does_not_come_back_when_the_clock_comes_round():
    node, end, _ = restarted(World())
    echo = echoed(node, end, 1000).all(ECHO)[0]
    now_ms = 1000
    while now_ms < 2**30:
        node.due(now_ms)
        assert 0 < node.wait_ms(now_ms) <= 2**27
        now_ms += node.wait_ms(now_ms)
    assert echoed(node, end, 1001, (ECHO, echo)).code == UNAUTHORIZED and node.executed == []


def test_replays_get_a_challenge_a_second():
    world = World()
    node, end, tape = restarted(world)
    world.flash.writes = 0
    context = node.oscore.contexts[0]
    context.sequence_store.step = 256
    first = context.sequence_number
    told = 0
    for i in range(500):
        replay = encode(CON, 2, i, b"new", tape.options, tape.payload)
        told += ask(node, replay, "peer%d" % i, 20 * i) is not None
    assert told == context.sequence_number - first == 10 and world.flash.writes <= 1
    # a peer with the keys is served at once all the same
    echo = echoed(node, end, 9999).all(ECHO)[0]
    assert echoed(node, end, 9999, (ECHO, echo)).code == CONTENT and node.executed == [1]


def test_a_client_overtaken_by_a_replay_is_challenged_on_retransmission():
    node, end, _ = restarted(World())
    datagram = end.request(request(GET, "s"))
    message = decode(datagram)
    copied = encode(CON, 2, 9, b"new", message.options, message.payload)
    assert ask(node, copied, "thief", 5000).all(9)
    assert ask(node, datagram, "peer", 5500) is None
    challenge = end.read(ask(node, datagram, "peer", 7500))
    assert challenge.code == UNAUTHORIZED and challenge.all(ECHO)
    # and the same once more when that is lost
    assert ask(node, datagram, "peer", 7600) is None
    again = end.read(ask(node, datagram, "peer", 8600))
    assert again.all(ECHO) == challenge.all(ECHO) and again.piv != challenge.piv


def test_a_challenge_that_is_too_long_to_be_remembered_comes_again():
    node, end, tape = restarted(World())
    node.messaging.cached_response_bytes = 16
    context = node.oscore.contexts[0]
    datagram = end.request(request(GET, "s"))
    first = end.read(ask(node, datagram, now_ms=1000))
    assert ask(node, datagram, now_ms=1500) is None
    second = end.read(ask(node, datagram, now_ms=3000))
    assert first.all(ECHO) == second.all(ECHO) and first.piv != second.piv
    # a replay does not become fresh by being repeated, nor when the window is there again
    replay = encode(CON, 2, 77, b"new", tape.options, tape.payload)
    assert ask(node, replay, now_ms=4000) and ask(node, replay, now_ms=6000)
    assert echoed(node, end, 7000, (ECHO, first.all(ECHO)[0])).code == CONTENT
    number = context.sequence_number
    ask(node, replay, now_ms=9000)
    assert node.executed == [1] and context.sequence_number - number <= 1


# Contexts that come and go


def context(i):
    return Context(bytes(range(i + 20, i + 36)), b"\x01", b"\x02")


def test_unconfigured_contexts_continue_where_they_were():
    world = World()

    def boot(*numbers):
        store = SequenceStore([context(i) for i in numbers], world.flash, None, 4)
        assert not store.broken
        for one, i in zip(store.contexts, numbers):
            number = one.next_sequence_number()
            assert (i, number) not in world.used, (i, number)
            world.used.append((i, number))
        return [one.sequence_number for one in store.contexts]

    assert boot(0, 1) == [1, 1]
    assert boot(0) == [5] and boot(2) == [1] and boot(2) == [5]
    assert boot(1, 0) == [5, 9] and boot(0, 1, 2) == [13, 9, 9]
    # a file that came with no context in use keeps all
    assert boot() == [] and boot(1) == [13]


def test_many_unconfigured_contexts_do_not_start_from_zero():
    world = World()
    ends = []
    for i in range(40):
        store = SequenceStore([context(i)], world.flash, None, 4)
        assert store.contexts[0].next_sequence_number() >= 0
        ends.append(store.contexts[0].sequence_limit)
        assert len(world.flash.content) <= 2 + 12 * 18 + 8
    assert ends[:17] == [4] * 17
    for i in range(40):
        one = SequenceStore([context(i)], world.flash, None, 4).contexts[0]
        assert one.sequence_number >= ends[i] and one.window.valid is False, i
    assert max(ends) < 4 * 40


def test_a_snapshot_that_can_not_be_invalidated_stops_the_numbers():
    world = World(None, "flash")
    store = world.boot()
    last = store.contexts[0]
    last.sequence_number = last.sequence_limit = MAX_SEQUENCE_NUMBER - 4
    world.use(store, 0, 1)  # and the limit is LAST
    assert last.sequence_limit == MAX_SEQUENCE_NUMBER
    world.sleep(store)
    kept = world.retained.content
    writes = world.flash.writes
    assert last.next_sequence_number() == -1 and "make new keys" in store.error
    assert store.contexts[1].sequence_limit == 0 and world.flash.writes == writes
    # so what was carried is true, however often it comes back
    for _ in range(2):
        again = world.boot()
        again.restore(kept)
        assert (
            again.contexts[0].sequence_number == last.sequence_number
            and again.contexts[0].next_sequence_number() == -1
        )
