"""The parts of a sleeping door as its runner assembles them; `make sim-week` runs them."""

import board
from machine import clock

import battery
import battery_door
import recovery
from apps import door
from coap.observe import Observe
from config import Settings
from power.event_log import EventLog
from power.report import Report
from power.sleep_modes import Esp32DeepSleep, Rp2LightSleep
from sensors import reed
from support import cases


def test_the_node_has_a_report_and_no_more_observers_than_fit():
    node = battery.make_node(board, Report("gateway", "door-1"))
    (observe,) = [one for one in node.extensions if isinstance(one, Observe)]
    assert observe.entries - 1 == 4 < board.SLOTS["observers"]
    assert node.client is not None and node.messaging.ack_timeout_ms == 1000


def test_retained_state_fits_with_all_observers():
    node = battery.make_node(board, Report("gateway", "door-1"))
    log = EventLog()
    for i in range(40):
        log.record(i & 1, 1, i)
        log.record_fault(1, i)
    # 20 bytes of pace, 28 of the link, 8 of lengths, 4 observers with the longest registration
    observers = 4 * (2 + 22 + 64)
    assert 10 + 8 + 20 + 28 + len(log.state()) + 1 + len(node.state()) + observers <= 1024


def test_sleeping_door_numbers_events_in_the_retained_log():
    board.power_on()
    clock.hold(0)
    reed.ticks_ms = clock.ms
    node = battery.make_node(board, Report("gateway", "door-1"))
    log = EventLog()
    log.number = log.acknowledged = 700
    contact = door.setup_asleep(node, board, Settings(), log, lambda: 0)[0].reed
    assert contact.open_level == 1 and node.resource_at("s/contact").edges() == 700
    log.record(1, 1, 0)
    assert (
        node.resource_at("s/contact").edges() == 701
        and node.resource_at("s/contact/events") is not None
    )
    clock.release()


class Resource:
    """/s/batt, with a battery that sags by 150 mV while the radio sends."""

    def __init__(self, value):
        self.answer = value
        self.battery = self
        self.asked = []

    def note_rest(self):
        self.asked.append("rest")

    def note_load(self):
        self.asked.append("load")

    def value(self):
        return self.answer


@cases((83,), (None,))
def test_battery_is_measured_idle_and_under_radio_load(pct):
    resource = Resource(pct)
    charge = battery.BatteryMeter(resource)
    assert charge.pct is None
    charge.measure(False)
    assert charge.pct == pct and resource.asked == ["rest"]
    resource.answer = 11
    charge.measure(True)
    assert charge.pct == pct and resource.asked == ["rest", "load"]


def test_a_board_without_a_battery_measures_nothing():
    charge = battery.BatteryMeter(None)
    charge.measure(False)
    charge.measure(True)
    assert charge.pct is None


class Machine:
    resets = 0

    def reset(self):
        self.resets += 1


class Trial:
    def __init__(self, good):
        self.good = good

    def failed(self):
        return self.good


@cases((True, 1), (False, 0))
def test_settings_that_reach_nobody_are_rolled_back_after_a_few_wakes(good, resets):
    machine = Machine()
    for failures in range(1, recovery.TRIAL_FAILURES):
        battery.roll_back(machine, Trial(good), failures)
        assert machine.resets == 0
    battery.roll_back(machine, Trial(good), recovery.TRIAL_FAILURES)
    assert machine.resets == resets


def test_sleep_driver_is_chosen_by_platform():
    import sys

    class Sys:
        platform = "rp2"

    class Modules:
        pass

    kept, before = battery_door.sys, sys.modules.get("esp32")
    try:
        battery_door.sys = Sys
        assert isinstance(
            battery_door.sleep_mode(None, ("pin", "lid", 27), None, None), Rp2LightSleep
        )
        Sys.platform = "esp32"
        sys.modules["esp32"] = Modules()
        assert isinstance(
            battery_door.sleep_mode(None, ("pin", "lid", 27), None, None), Esp32DeepSleep
        )
    finally:
        battery_door.sys = kept
        if before is None:
            sys.modules.pop("esp32", None)
