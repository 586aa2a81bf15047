"""ADC noise and a body at rest: unchanged values do not notify observers."""

import board
import machine
from machine import clock

from apps import door, wearable
from coap import Node
from coap.numbers import GET
from config import Settings
from support import cases
from support.engine import ask as ask_once
from support.engine import request
from support.forged_messages import Noise
from support.request_helpers import Asker

HEAP = "4m"
TICK_MS = 10_000
CELL_MV = 3785
HANDFUL = 6  # notifications an hour


def started(application, made=None, settings=None):
    """A client of a node that has just started. made(): what is put on its buses before."""
    board.power_on()
    clock.hold(0)
    node = Node()
    body = made and made()
    application.setup(node, board, settings or Settings())
    return Asker(node), body


def told(ask, rounds, round_ms, step_ms, shake):
    """{path: how often its observers are told}, while shake() is called before each round."""
    counts = {}

    def changed(resource):
        counts[resource.path] = counts.get(resource.path, 0) + 1

    ask.node.changed = changed
    for _ in range(rounds):
        shake()
        for _ in range(0, round_ms, step_ms):
            clock.advance(step_ms)
            ask.now_ms += step_ms
            while ask.node.due(ask.now_ms):
                pass
    return counts


class Around:
    """Numbers around 0, evenly spread."""

    def __init__(self):
        self.noise = Noise(1)

    def by(self, most):
        return self.noise.below(2 * most + 1) - most


@cases(2, 5, 15, 30)
def test_steady_battery_notifies_a_few_times_an_hour(noise_mv):
    around = Around()
    ask, _ = started(door)

    def shake():
        uv = CELL_MV * 500 + around.by(noise_mv * 1000)
        machine.wire(board.BATTERY_ADC_PIN).microvolts = uv

    shake()
    counts = told(ask, 360, TICK_MS, TICK_MS, shake)
    assert counts.get("s/batt", 0) <= 2
    seen = set()
    for _ in range(50):
        shake()
        seen.add(int(ask.get("s/batt").payload))
    assert len(seen) == 1 and seen.pop() in range(33, 39)
    assert told(ask, 3 * 360, TICK_MS, TICK_MS, shake).get("s/batt", 0) <= 3


def still_body(around, body):
    """What sensors measure of a body that sleeps; to be called every 2.88 s."""
    rounds = [0]

    def shake():
        n = rounds[0] = rounds[0] + 1
        wave = abs(n % 60 - 30) - 15  # of about three minutes, as the blood pressure has
        body.light.pulse_per_min = 60 + wave // 4 + around.by(4)
        body.light.spo2_pct = 97 + around.by(1)
        body.temperature.set_mc(33_500 + 6 * wave + around.by(40))
        body.motion.set_mg(577 + around.by(40), -577 + around.by(40), 577 + around.by(40))
        body.motion.walk(n % 400 == 0)
        uv = CELL_MV * 500 + around.by(15_000)
        machine.wire(board.BATTERY_ADC_PIN).microvolts = uv

    return shake


def test_still_body_notifies_a_few_times_an_hour():
    ask, body = started(wearable, board.Body)
    ask.run(20_000)
    shake = still_body(Around(), body)
    counts = told(ask, 1250, 2880, wearable.PERIOD_MS, shake)
    for path in ("s/hr", "s/spo2", "s/temp", "s/steps", "s/accel", "s/batt", "s/batch"):
        assert counts.pop(path, 0) <= HANDFUL, path
    assert counts == {}


@cases("hr>62", "temp<33.5")
def test_a_limit_near_a_still_bodys_values_alerts_a_few_times(alert):
    settings = Settings()
    settings.update({"alert": alert})
    ask, body = started(wearable, board.Body, settings)
    batch = ask.node.resource_at("s/batch")
    urgent = [0]
    add_urgent = batch.add_urgent

    def counted(now_ms):
        urgent[0] += 1
        add_urgent(now_ms)

    batch.add_urgent = counted
    ask.run(20_000)
    told(ask, 625, 2880, wearable.PERIOD_MS, still_body(Around(), body))
    assert 1 <= urgent[0] <= HANDFUL // 2


def test_steady_heart_rate_notifies_a_few_times():
    around = Around()
    ask, body = started(wearable, board.Body)
    ask.run(20_000)

    def shake():
        body.light.pulse_per_min = 72 + around.by(4)

    # of ten minutes, in the steps in which the sensor's samples are fetched
    assert told(ask, 200, 2880, wearable.PERIOD_MS, shake).get("s/hr", 0) <= 1


def test_a_pulse_that_is_lost_for_seconds_does_not_end_observations():
    ask, body = started(wearable, board.Body)
    ask.run(20_000)
    rounds = [0]

    def shake():
        rounds[0] += 1
        body.light.finger = rounds[0] % 12 > 5  # of 35 s, the half

    assert told(ask, 100, 2880, wearable.PERIOD_MS, shake).get("s/hr", 0) <= 1
    body.light.finger = False
    assert told(ask, 30, 2880, wearable.PERIOD_MS, lambda: None)["s/hr"] == 1
    assert ask.get("s/hr").code == "5.03"


def told_of(ask, body, query, rates):
    """The heart rates that an observer with this query is told while the pulse is `rates`."""
    options = ((6, b""), (15, query))
    registration = request(GET, "s/hr", mid=1, token=b"tk", options=options)
    assert ask_once(ask.node, registration, "peer", ask.now_ms).code == 0x45
    found = []
    for rate in rates:
        body.light.pulse_per_min = rate
        for _ in range(50):
            clock.advance(wearable.PERIOD_MS)
            ask.now_ms += wearable.PERIOD_MS
            while True:
                n = ask.node.due(ask.now_ms)
                if not n:
                    break
                message = bytes(ask.node.tx_view(n))
                if message[0] & 0x30 == 0:  # confirmable
                    ask.node.datagram(b"\x60\x00" + message[2:4], 4, "peer", ask.now_ms)
                found.append(int(message.split(b"\xff", 1)[1]))
    return found


def test_observers_with_conditions_are_told_of_small_changes():
    ask, body = started(wearable, board.Body)
    ask.run(20_000)
    assert told_of(ask, body, b"c.gt=74", (72, 73, 75, 75, 73)) in ([75, 73], [75, 74])
    ask, body = started(wearable, board.Body)
    ask.run(20_000)
    assert told_of(ask, body, b"c.st=2", (73, 75, 75)) in ([74], [74, 76], [75])
    ask, body = started(wearable, board.Body)
    ask.run(20_000)
    assert told_of(ask, body, b"c.pmin=1", (73, 75, 75, 72)) == []
