"""ADC noise and a body at rest: unchanged values do not notify observers."""

import board
import machine
from machine import clock

from apps import door, wearable
from coap import Node
from config import Settings
from support import cases, expected_failure
from support.forged_messages import Noise
from support.request_helpers import Asker

HEAP = "4m"
TICK_MS = 10_000
CELL_MV = 3785
HANDFUL = 6  # notifications an hour


def started(application, made=None):
    """A client of a node that has just started. made(): what is put on its buses before."""
    board.power_on()
    clock.hold(0)
    node = Node()
    body = made and made()
    application.setup(node, board, Settings())
    return Asker(node), body


def told(ask, path, rounds, round_ms, step_ms, shake):
    """How often observers are told of a path, while shake() is called before each round."""
    found = []
    ask.node.changed = lambda resource: found.append(resource.path)
    for _ in range(rounds):
        shake()
        for _ in range(0, round_ms, step_ms):
            clock.advance(step_ms)
            ask.now_ms += step_ms
            while ask.node.due(ask.now_ms):
                pass
    return found.count(path)


@cases(2, 5, 15)
@expected_failure("each percent of noise is told")
def test_steady_battery_notifies_a_few_times_an_hour(noise_mv):
    noise = Noise(1)
    ask, _ = started(door)

    def shake():
        uv = CELL_MV * 500 + (noise.below(2001) - 1000) * noise_mv
        machine.wire(board.BATTERY_ADC_PIN).microvolts = uv

    shake()
    assert told(ask, "s/batt", 360, TICK_MS, TICK_MS, shake) <= HANDFUL


@expected_failure("each beat a minute is told")
def test_steady_heart_rate_notifies_a_few_times():
    noise = Noise(1)
    ask, body = started(wearable, board.Body)
    ask.run(20_000)

    def shake():
        body.light.pulse_per_min = 68 + noise.below(9)

    # of ten minutes, in the steps in which the sensor's samples are fetched
    assert told(ask, "s/hr", 200, 2880, wearable.PERIOD_MS, shake) <= HANDFUL
