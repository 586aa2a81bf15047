"""The report session of a wake: the report, the observers, and which are dropped."""

from battery import STRIKES, ReportSession
from coap.client import Client
from coap.codec import SLOW_PATH
from coap.numbers import ACK, CON
from coap.observe import Observe
from coap.oscore.context import Context
from coap.peers import permute
from power.report import Report
from support import cases
from support.engine import decode, encode
from support.features import OBSERVE, Value, register, seeded
from support.oscore_peer import volatile


class Transport:
    """Sends into a list; `answer(message)` gives bytes to come back, or None."""

    def __init__(self, bench):
        self.bench = bench
        self.bench.node.seed(b"\x99\x88\x77\x66")

    def step(self, max_ms):
        bench = self.bench
        bench.now_ms += max_ms
        node = bench.node
        n = node.due(bench.now_ms)
        while n:
            message = decode(node.tx_view(n))
            bench.sent.append((node.peer, message))
            back = bench.answer(node.peer, message)
            if back is not None:
                node.datagram(back, len(back), bench.sent[-1][0], bench.now_ms)
            n = node.due(bench.now_ms)

    def close(self):
        self.bench.closed += 1


class Meter:
    """A BatteryMeter without a battery."""

    pct = None


class Bench:
    """One life of a node with an observer and a gateway."""

    def __init__(self):
        self.report = Report("gateway", "door-1")
        self.node = seeded(Observe(2), Client(1), self.report, ack_timeout_ms=1000)
        self.value = self.node.add("v", Value())
        self.talk = ReportSession(
            self.node,
            self.report,
            lambda node: Transport(self),
            lambda batch, battery_pct: b"pack",
            Meter,
            (self.value,),
        )
        self.sent = []
        self.closed = 0
        self.now_ms = 0
        self.mute = ()
        self.queued = b""  # what the gateway says of requests
        self.done = []

    def answer(self, peer, message):
        if peer in self.mute or message.kind != CON:
            return None
        if peer == "gateway":
            return encode(ACK, 0x44, message.mid, message.token, payload=self.queued)
        return encode(ACK, 0, message.mid)

    def wake(self, span_ms=3000):
        """Report, and stay until nothing is waiting: what was sent, by peer."""
        self.sent.clear()
        self.talk.open()
        self.talk.send((1, 1, 0, 0), self.done.append)
        end_ms = self.now_ms + span_ms
        self.talk.step(20)
        while self.talk.is_waiting() and self.now_ms < end_ms:
            self.talk.step(20)
        self.talk.close()
        return [peer for peer, _ in self.sent]

    def sleep(self):
        """The node after a deep sleep."""
        again = Bench()
        again.mute = self.mute
        assert again.talk.restore(self.talk.state())
        return again


def test_without_observers_a_report_is_one_datagram():
    bench = Bench()
    assert bench.wake() == ["gateway"] and bench.done == [True] and bench.closed == 1
    assert bench.now_ms <= 60


def test_observers_are_notified_after_the_report_is_sent():
    bench = Bench()
    register(bench.node, peer="phone")
    for _ in range(3):
        bench = bench.sleep()
        assert bench.wake() == ["gateway", "phone"]
        peer, message = bench.sent[1]
        assert message.kind == CON and message.uint(OBSERVE) is not None


def test_message_ids_continue_over_sleep():
    bench = Bench()
    bench.wake()
    mid, before = bench.node.messaging.mid, list(bench.node.messaging.mid_keys)
    bench = bench.sleep()
    bench.wake()
    keys = bench.node.messaging.mid_keys
    assert list(keys) == before, "another order might repeat a MID"
    assert bench.sent[0][1].mid == permute((mid + 256 + 1) & 0xFFFF, keys)


def test_silent_observer_is_dropped_after_three_wakes():
    bench = Bench()
    register(bench.node, peer="phone")
    bench.mute = ("phone",)
    for _ in range(STRIKES):
        bench = bench.sleep()
        assert "phone" in bench.wake() and bench.done == [True]
    bench = bench.sleep()
    assert bench.wake() == ["gateway"]


def test_a_newcomer_takes_the_place_of_an_observer_that_is_gone():
    bench = Bench()
    for peer in ("phone", "gone"):
        register(bench.node, peer=peer)
    bench.mute = ("gone",)
    bench = bench.sleep()
    register(bench.node, peer="tablet")
    bench.wake(8000)
    assert bench.node.extensions[0].used == 2
    bench = bench.sleep()
    assert sorted(bench.wake()) == ["gateway", "phone", "tablet"]


def test_where_all_observers_listen_a_newcomer_is_told_to_leave():
    bench = Bench()
    for peer in ("phone", "other"):
        register(bench.node, peer=peer)
    bench = bench.sleep()
    register(bench.node, peer="tablet")
    bench.wake(8000)
    assert [peer for peer, message in bench.sent if message.code == 0xA3] == ["tablet"]
    bench = bench.sleep()
    assert sorted(bench.wake()) == ["gateway", "other", "phone"]


def test_a_newcomer_that_comes_last_is_decided_on_before_sleep():
    bench = Bench()
    for peer in ("phone", "other"):
        register(bench.node, peer=peer)
    bench = bench.sleep()
    bench.talk.open()
    bench.talk.send((1, 1, 0, 0), bench.done.append)
    bench.talk.step(20)
    bench.talk.step(20)
    assert register(bench.node, peer="tablet").uint(OBSERVE) is not None
    bench.talk.close()
    assert bench.node.extensions[0].used == 2
    assert [peer for peer, message in bench.sent if message.code == 0xA3] == ["tablet"]


def test_observer_that_acknowledges_sometimes_is_kept():
    bench = Bench()
    register(bench.node, peer="phone")
    for i in range(6):
        bench.mute = ("phone",) if i % 3 else ()
        bench = bench.sleep()
        assert "phone" in bench.wake()


def test_silent_gateway_does_not_delay_notifications():
    bench = Bench()
    register(bench.node, peer="phone")
    bench.mute = ("gateway",)
    sent = bench.wake()
    assert sent[:2] == ["gateway", "phone"] and bench.done == []
    # and the next report is a new one
    bench.mute = ()
    assert bench.wake()[0] == "gateway" and bench.done == [True]
    assert bench.report.call is None


def test_late_requests_do_not_wake_the_radio():
    bench = Bench()
    bench.queued = b"\2"
    bench.wake(1000)
    assert bench.done == [True] and bench.now_ms >= 1000, "it waits for them while it is up"
    assert not bench.talk.is_waiting()
    # what apps.wearable asks while the radio is off: has a part of the node something to send?
    parts = [part for part in bench.node.scheduled if part is not bench.node.timers]
    assert bench.report in parts
    for later_ms in (0, bench.report.linger_ms, 60_000):
        assert min([part.wait_ms(bench.now_ms + later_ms) for part in parts]) > 0


def test_request_inspection_stops_when_the_link_goes_down():
    bench = Bench()
    node = bench.node
    before = node.option_mask, node.view.index[SLOW_PATH]
    bench.queued = b"\2"
    for _ in range(2):
        bench.wake(1000)
        assert (node.option_mask, node.view.index[SLOW_PATH]) == before


class Flash:
    """Counts how often it is written."""

    content = None
    writes = 0

    def load(self):
        return self.content

    def save(self, content):
        self.content = content
        self.writes += 1


class Secured(Bench):
    """The same under keys, which nobody answers: what is sent is what counts."""

    def __init__(self, flash):
        super().__init__()
        self.flash = flash
        self.context = Context(bytes(range(16)), b"\x01", b"\x02")
        oscore = volatile([self.context], flash)
        self.node = seeded(Observe(2), Client(1), self.report, oscore, ack_timeout_ms=1000)
        oscore.bind("gateway", self.context)
        self.value = self.node.add("v", Value())
        self.talk = ReportSession(
            self.node,
            self.report,
            lambda node: Transport(self),
            lambda batch, battery_pct: b"pack",
            Meter,
            (self.value,),
        )
        self.mute = ("gateway",)

    def sleep(self):
        again = Secured(self.flash)
        state = self.talk.state()
        assert again.talk.restore(state)
        again.node.oscore.sequence_store.invalidate = lambda: (
            None
        )  # the state is kept anew, without it
        return again


def test_oscore_numbers_continue_after_sleep_and_skip_after_a_reset():
    flash = Flash()
    bench = Secured(flash)
    bench.node.oscore.sequence_store.invalidate = lambda: None
    assert bench.node.oscore.sequence_store.snapshot_valid is False
    bench.wake(20)
    used, writes = bench.context.sequence_number, flash.writes
    assert used > 0 and bench.sent[0][1].all(9) != []
    # closing the link retained them
    assert (
        bench.node.oscore.sequence_store.snapshot_valid
        and bench.node.oscore.sequence_store.snapshot
    )
    for i in range(3):
        bench = bench.sleep()
        assert bench.context.sequence_number == used + i and bench.context.window.valid
        bench.wake(20)
        assert bench.context.sequence_number == used + i + 1
    assert flash.writes == writes
    # the power went: what was used is not known, so all that was reserved is
    lost = Secured(flash)
    assert lost.context.sequence_number == 256 and lost.context.window.valid is False


@cases(b"", b"\0", b"\0\1\2", b"\xff" * 20)
def test_invalid_state_is_refused(blob):
    assert not Bench().talk.restore(blob)
