"""Simulates one node: boot.py and main.py, unchanged, boot after boot. A program for MicroPython.

    micropython simulation.py < OPTIONS

OPTIONS: a line with a JSON object (an argument may have 255 bytes at most)
    tests, simulator, firmware, board   folders for sys.path; board has board.py
    app               "door" or "wearable"
    seed, hours       of the random numbers; the simulated span
    chip, sets_pulls  as in fake_modules.py
    wiring            of the contacts, as in door.py; "": that of board.py
    boot_ms           from reset to the first line of Python
    python_ms         from there to the start of the radio: imports, the node, its first message
    work_ms           {phase of a nap: milliseconds of the processor after it}
    troubles          whether datagrams are lost, Wi-Fi has outages and the power fails
    observed          whether a client observes the node
    cold              whether the supply drops out at each start of the radio, in the seventh hour
    real_gateway      whether the gateway is that of tools/gateway, see piped_gateway.py

The working directory is the board's flash. Prints "RESULT " and the counts as a JSON object.
"""

import json
import sys

OPTIONS = json.loads(sys.stdin.readline())
for name in ("tests", "simulator", "firmware", "board"):
    sys.path.insert(0, OPTIONS[name])

import machine  # noqa: E402
from boot_programs import run_programs  # noqa: E402
from clock import Brownout, Clock, DeepSleep, PowerCut, SimulationEnd  # noqa: E402
from door import Door  # noqa: E402
from fake_gateway import Gateway  # noqa: E402
from fake_modules import TIMER_WAKE, Chip  # noqa: E402
from fake_wifi import AccessPoint  # noqa: E402
from ledger_check import check_events, check_rows  # noqa: E402
from observer import Observer  # noqa: E402

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
COLD_SINCE_MS = 6 * HOUR_MS
# At the end, without troubles, so that everything can be reported
DOOR_GRACE_MS = 3 * HOUR_MS
WEARABLE_GRACE_MS = 12 * MINUTE_MS
MAX_RESTARTS = 20
NODE_NAME = "mote-e4f5"
LOSS_PCT, STUCK_PCT = 30, 5
BATTERY_UV = 2_002_000  # at the divider
WATCHING_MS = 6000  # after Python starts at power-on, until the contact is watched
FAST_RESETS, FAST_MS = 3, 5000  # this many boots that end this soon cause safe mode
POWER_ON, DEEP_SLEEP, SOFT_RESET = 1, 4, 5
_KEPT_MODULES = set(sys.modules)


class Simulation:
    """A board, its door or wearer, its gateway and what happens to it.

    unwatched: [(since_ms, until_ms)] in which events may be lost with the memory
    blind: [(since_ms, until_ms)] in which Python did not run and no pin had caused the boot
    cold_hour: what happened in it: radio_wakes, brownouts, boots, spent_ms; None before its end
    """

    def __init__(self, seed, hours, app, chip, sets_pulls, wiring, times, troubles):
        import board

        self.clock = clock = Clock(seed)
        machine.power_on()
        machine.wire(board.BATTERY_ADC_PIN).microvolts = BATTERY_UV
        self.chip = Chip(clock, chip, seed % 2 == 1, sets_pulls)
        loss_pct, stuck_pct = (LOSS_PCT, STUCK_PCT) if troubles else (0, 0)
        self.access_point = AccessPoint(clock, loss_pct, stuck_pct, self.chip.is_rp2)
        self.chip.radio_draws = self.access_point.radio_draws
        if OPTIONS["real_gateway"]:
            from piped_gateway import PipedGateway

            self.gateway = PipedGateway(clock, self.access_point)
        else:
            self.gateway = Gateway(clock, self.access_point, NODE_NAME)
        self.boots = self.cuts = self.brownouts = self.restarts = self.safe_modes = 0
        self.outages = 0
        self.unwatched = []
        self.blind = []
        self.cold_hour = None
        self._boot_ms, self._python_ms, work_ms = times
        self._end_ms = hours * HOUR_MS
        self._open_outages = 0
        self._aimed_cuts = 0  # that are to hit a node while it is awake
        self._fast_boots = 0  # in a row
        self._safe_since_ms = -1  # start of the present boot if it enters safe mode, else -1
        self.door = self.wearer = None
        if app == "wearable":
            from wearer import Wearer

            self.wearer = self._outside = Wearer(clock, board.SDA_PIN)
            self.chip.nap_phase = self.wearer.phase
            self.chip.work_ms = work_ms
            self._stop_ms = self._end_ms + WEARABLE_GRACE_MS
        else:
            wires = machine.wire(board.REED_PIN), machine.wire(board.TAMPER_PIN)
            wiring = wiring or board.REED_PULL
            self.door = self._outside = Door(clock, *wires, wiring, self._end_ms)
            self._stop_ms = self._end_ms + DOOR_GRACE_MS
            if troubles:
                with open("config.json") as file:
                    self.door.schedule_lid(json.load(file)["heartbeat_s"])
        clock.at(self._stop_ms, self._stop)
        if troubles:
            self._schedule_troubles()

    def run(self):
        """Boot and sleep until the simulated span is over."""
        clock = self.clock
        clock.phase = "off"
        cause, wake_reason, sleep = POWER_ON, 0, None
        while clock.now_ms < self._stop_ms:
            try:
                if sleep is not None:
                    wake_reason = self._sleep(sleep)
                    cause, sleep = DEEP_SLEEP, None
                self._boot(cause, wake_reason)
                raise SystemExit  # main() has returned: a board would wait; here it restarts
            except DeepSleep as wanted:
                sleep = wanted
            except SimulationEnd:
                break
            except PowerCut:
                self.cuts += 1
                self._lose_power(is_cut=True)
                cause, wake_reason, sleep = POWER_ON, 0, None
            except Brownout:
                self.brownouts += 1
                self._lose_power(is_cut=False)
                cause, wake_reason, sleep = POWER_ON, 0, None
            except SystemExit:
                self._count_restart()
                cause, wake_reason, sleep = SOFT_RESET, 0, None

    def counts(self):
        """Return what happened, what was reported and what it cost, as a dict."""
        counts = check_events(self) if self.wearer is None else check_rows(self)
        for owner, names in (
            (self, "boots restarts safe_modes cuts brownouts outages cold_hour"),
            (self.gateway, "repeats reports discarded longest_bytes"),
            (self.access_point, "stuck_joins linked_ms sent sent_bytes received received_bytes"),
            (self.clock, "spent_ms"),
        ):
            for name in names.split():
                counts.setdefault(name, getattr(owner, name))
        return counts

    def schedule_cold_hour(self):
        """Have an hour in which each start of the radio is a brown-out."""
        self.clock.at(COLD_SINCE_MS, self._begin_cold_hour)

    def _begin_cold_hour(self, _):
        self.access_point.cell_is_cold = True
        self.clock.at(COLD_SINCE_MS + HOUR_MS, self._end_cold_hour, self._totals())

    def _end_cold_hour(self, before):
        self.access_point.cell_is_cold = False
        hour = self._totals()
        spent_ms, spent_before_ms = hour["spent_ms"], before["spent_ms"]
        for phase in spent_ms:
            spent_ms[phase] -= spent_before_ms[phase]
        for name in ("radio_wakes", "brownouts", "boots"):
            hour[name] -= before[name]
        self.cold_hour = hour

    def _totals(self):
        return {
            "radio_wakes": self.access_point.radio_wakes,
            "brownouts": self.brownouts,
            "boots": self.boots,
            "spent_ms": dict(self.clock.spent_ms),
        }

    def _schedule_troubles(self):
        random, at = self.clock.random, self.clock.at
        days = max(self._end_ms // DAY_MS, 1)
        for _ in range(days):
            start_ms = self._random_ms()
            at(start_ms, self._change_outages, 1)
            at(start_ms + random.below(2 * HOUR_MS), self._change_outages, -1)
        for _ in range(max(days // 2, 1)):
            at(self._random_ms(), self._aim_cut)
            at(self._random_ms(), self._raise, PowerCut)
            at(self._random_ms(), self._raise, Brownout)
        at(self._end_ms // 2, self._change_channel)

    def _random_ms(self):
        return self.clock.random.below(self._end_ms // 1000) * 1000

    def _change_outages(self, change):
        self._open_outages += change
        self.outages += change > 0
        self.access_point.present = self._open_outages == 0

    def _change_channel(self, _):
        self.access_point.channel = 11

    def _aim_cut(self, _):
        self._aimed_cuts += 1

    def _raise(self, trouble):
        if self.clock.now_ms < self._end_ms:
            raise trouble

    def _stop(self, _):
        raise SimulationEnd

    def _sleep(self, wanted):
        """Sleep as DeepSleep says; return the wake reason."""
        self.clock.phase = "sleep"
        self.clock.run_until(self.clock.now_ms + wanted.span_ms, wanted.wake_reason)
        return wanted.wake_reason() or TIMER_WAKE

    def _lose_power(self, is_cut):
        """Be without power for a while; a brown-out clears or spoils the memory, or neither."""
        chip, random = self.chip, self.clock.random
        since_ms = self.gateway.last_ms
        self.clock.phase = "off"
        self._outside.set_power(False)
        if is_cut:
            chip.lose_memory()
            chip.release_pads()
            self._wait_without_power(1000 + random.below(60000))
        else:
            effect = random.below(3)
            if effect == 0:
                chip.lose_memory()
            elif effect == 1:
                for _ in range(64):
                    chip.memory[random.below(2048)] = random.below(256)
            self._wait_without_power(50 + random.below(400))
        self._outside.set_power(True)
        self._mark_unwatched(since_ms)

    def _wait_without_power(self, span_ms):
        end_ms = self.clock.now_ms + span_ms
        while self.clock.now_ms < end_ms:
            try:
                self.clock.run_until(end_ms)
            except (PowerCut, Brownout):
                pass  # there is no power to be cut

    def _count_restart(self):
        """Count a boot that ended by itself: allowed in safe mode only."""
        since_ms = self.clock.now_ms
        if self._safe_since_ms >= 0:
            self.safe_modes += 1
            since_ms = self._safe_since_ms
        else:
            self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            raise RuntimeError("the firmware restarts again and again")
        self._mark_unwatched(since_ms)

    def _mark_unwatched(self, since_ms):
        until_ms = self.clock.now_ms + self._boot_ms + self._python_ms + WATCHING_MS
        self.unwatched.append((since_ms, until_ms))

    def _boot(self, cause, wake_reason):
        """Run boot.py and main.py with new modules until one of them ends."""
        clock = self.clock
        self.boots += 1
        if self._aimed_cuts and clock.random.happens(30):
            self._aimed_cuts -= 1
            clock.at(clock.now_ms + clock.random.below(4000), self._raise, PowerCut)
        clock.phase = "boot"
        since_ms = clock.now_ms
        self._safe_since_ms = since_ms if self._fast_boots >= FAST_RESETS - 1 else -1
        self.chip.boot(cause, wake_reason)
        clock.wait_ms(self._boot_ms)
        clock.phase = "window" if cause != DEEP_SLEEP else "awake"
        clock.wait_ms(self._python_ms)
        if cause != DEEP_SLEEP or wake_reason == TIMER_WAKE:
            self.blind.append((since_ms, clock.now_ms))
        modules = self.chip.modules()
        modules.update(self.access_point.modules())
        try:
            run_programs(OPTIONS["firmware"], modules, _KEPT_MODULES, self._prepare)
        finally:
            if cause != DEEP_SLEEP:
                python_ms = clock.now_ms - since_ms - self._boot_ms
                self._fast_boots = self._fast_boots + 1 if python_ms < FAST_MS else 0

    def _prepare(self):
        if self.wearer is not None:
            from apps.batch import Batch

            self.wearer.record_rows(Batch)


def main():
    """Simulate what OPTIONS say, and print the counts."""
    times = [OPTIONS[name] for name in ("boot_ms", "python_ms", "work_ms")]
    names = "seed hours app chip sets_pulls wiring"
    parts = [OPTIONS[name] for name in names.split()]
    simulation = Simulation(*parts, times, OPTIONS["troubles"])
    if OPTIONS["cold"]:
        simulation.schedule_cold_hour()
    observer = None
    if OPTIONS["observed"]:
        path = "s/contact" if simulation.wearer is None else "s/steps"
        observer = Observer(simulation.clock, simulation.access_point, path)
        simulation.gateway.on_report = observer.on_report
    simulation.run()
    if OPTIONS["real_gateway"]:
        simulation.gateway.fetch_events()
    counts = simulation.counts()
    counts["observer"] = observer.summary() if observer else None
    print("RESULT " + json.dumps(counts))


main()
