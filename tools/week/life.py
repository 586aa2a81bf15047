"""A week in the life of a node, on MicroPython: boot.py and main.py, unchanged, life after life.

    life.py FIRMWARE BOARD APP SEED HOURS BOOT_MS CHIP TROUBLE OBSERVED

FIRMWARE: the folder with lib and firmware, BOARD: the one with board.py; APP: door or wearable;
TROUBLE: 1 with losses, outages and cuts, 0 without; OBSERVED: 1 with a phone that observes the
node. The working folder is the board's flash. Prints one JSON object.
"""

import gc
import json
import sys

FIRMWARE, BOARD, APP, SEED, HOURS, BOOT_MS, CHIP, TROUBLE, OBSERVED = sys.argv[1:10]
for folder in (sys.argv[0][: -len("life.py")] + "../simulator", FIRMWARE, BOARD):
    sys.path.insert(0, folder)

import machine  # noqa: E402
from accounts import Door, judge, troubles  # noqa: E402
from board_fakes import TIMER_WAKE, Chip  # noqa: E402
from phone import Phone  # noqa: E402
from radio import Air  # noqa: E402
from receiver import Receiver  # noqa: E402
from world import Asleep, Brownout, Cut, Over, World  # noqa: E402

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
QUIET_MS = 3 * HOUR_MS  # at the end: everything that can be told has been
RESTARTS_MAX = 20
# Of a wearable's processor after each nap, with light to look at and without; see currents.json
WORK_MS = {"nap": 35, "glimpse": 35, "dark": 3}
NAME = "mote-e4f5"
WINDOW_MS = 6000  # of the start, and what comes before the contact is watched
FAST_RESETS, FAST_MS = 3, 5000  # that bring safe mode, each within so long
POWER_ON, WATCHDOG, DEEP_SLEEP, SOFT = 1, 3, 4, 5
_KEEP = set(sys.modules)


class Week:
    """One board, its door or wearer, its gateway and its troubles."""

    def __init__(self, seed, hours, boot_ms, chip, trouble, is_worn):
        import board

        self.world = World(seed)
        machine.power_on()
        machine.wire(board.BATTERY_ADC_PIN).microvolts = 2_002_000
        self.chip = Chip(self.world, chip, seed % 2 == 1)
        loss_pct, stuck_pct = (30, 5) if trouble else (0, 0)
        self.air = Air(self.world, loss_pct, stuck_pct, self.chip.is_rp2)
        self.chip.radio_drains = self.air.drains
        self.receiver = Receiver(self.world, self.air, NAME)
        self.boot_ms = boot_ms
        self.end_ms = hours * HOUR_MS
        self.door = self.wearer = None
        if is_worn:
            from worn import Wearer

            self.wearer = Wearer(self.world, board.SDA_PIN)
            self.chip.nap_phase = self.wearer.phase
            self.chip.work_ms = WORK_MS.get
        else:
            wires = machine.wire(board.REED_PIN), machine.wire(board.TAMPER_PIN)
            self.door = Door(self.world, *wires, 0, self.end_ms)
            if trouble:
                with open("config.json") as file:
                    self.door.lift(json.load(file)["heartbeat_s"])
        self.outside = self.wearer or self.door
        self.wakes = self.splits_payload = self.brownouts = self.restarts = 0
        self.safe_modes = 0
        self.fast = 0  # starts in a row that did not outlast the window for Ctrl-C
        self.safe_since_ms = -1  # the present start is one too many of these
        self.unwatched = []  # (from, until): what happened then may be lost with the memory
        self.blind = []  # (from, until): Python saw nothing, and no pin had woken it
        self.outages = self.outages_all = 0  # at the moment, in all
        self.aimed = 0  # cuts that are still to hit a node that is awake
        self.quiet_ms = 12 * MINUTE_MS if is_worn else QUIET_MS
        self.world.at(self.end_ms + self.quiet_ms, self._over)
        if trouble:
            self._plan()

    def _plan(self):
        chance, world = self.world.chance, self.world
        days = max(self.end_ms // DAY_MS, 1)
        for _ in range(days):
            start_ms = chance.below(self.end_ms // 1000) * 1000
            world.at(start_ms, self._outage, 1)
            world.at(start_ms + chance.below(2 * HOUR_MS), self._outage, -1)
        for _ in range(max(days // 2, 1)):
            world.at(chance.below(self.end_ms // 1000) * 1000, self._aim)
            world.at(chance.below(self.end_ms // 1000) * 1000, self._cut)
            world.at(chance.below(self.end_ms // 1000) * 1000, self._brownout)
        world.at(self.end_ms // 2, self._other_channel)

    def _outage(self, change):
        self.outages += change
        self.outages_all += change > 0
        self.air.present = self.outages == 0

    def _other_channel(self, _):
        self.air.channel = 11

    def _over(self, _):
        raise Over

    def _aim(self, _):
        self.aimed += 1

    def _cut(self, _):
        if self.world.now_ms < self.end_ms:
            raise Cut

    def _brownout(self, _):
        if self.world.now_ms < self.end_ms:
            raise Brownout

    def run(self):
        """Live until the end."""
        world = self.world
        world.phase = "off"
        cause, woken, sleep = POWER_ON, 0, None
        while world.now_ms < self.end_ms + self.quiet_ms:
            try:
                if sleep is not None:
                    woken = self._sleep(sleep)
                    cause, sleep = DEEP_SLEEP, None
                self._live(cause, woken)
                raise SystemExit  # main() has returned: a user would look; here it starts again
            except Asleep as end:
                sleep = end
            except Over:
                break
            except Cut:
                self.splits_payload += 1
                self._dark(True)
                cause, woken, sleep = POWER_ON, 0, None
            except Brownout:
                self.brownouts += 1
                self._dark(False)
                cause, woken, sleep = POWER_ON, 0, None
            except SystemExit:
                since_ms = world.now_ms
                if self.safe_since_ms >= 0:
                    self.safe_modes += 1
                    since_ms = self.safe_since_ms
                else:
                    self.restarts += 1
                if self.restarts > RESTARTS_MAX:
                    raise RuntimeError("the firmware starts again and again")
                self._unwatched(since_ms)
                cause, woken, sleep = SOFT, 0, None

    def _sleep(self, wish):
        world = self.world
        world.phase = "sleep"
        world.until(world.now_ms + wish.span_ms, wish.woken)
        return wish.woken() or TIMER_WAKE

    def _dark(self, cut):
        """The power was gone: what is in the RTC memory afterwards?"""
        world, chip, chance = self.world, self.chip, self.world.chance
        since_ms = self.receiver.last_ms
        world.phase = "off"
        self.outside.powered(False)
        if cut:
            chip.lose_memory()
            self._pass_dark(1000 + chance.below(60000))
        else:
            kind = chance.below(3)
            if kind == 0:
                chip.lose_memory()
            elif kind == 1:
                for _ in range(64):
                    chip.memory[chance.below(2048)] = chance.below(256)
            self._pass_dark(50 + chance.below(400))
        self.outside.powered(True)
        self._unwatched(since_ms)

    def _unwatched(self, since_ms):
        self.unwatched.append((since_ms, self.world.now_ms + self.boot_ms + WINDOW_MS))

    def _pass_dark(self, span_ms):
        end_ms = self.world.now_ms + span_ms
        while self.world.now_ms < end_ms:
            try:
                self.world.until(end_ms)
            except (Cut, Brownout):
                pass  # there is no power to be cut

    def _live(self, cause, woken):
        world = self.world
        self.wakes += 1
        if self.aimed and world.chance.percent(30):
            self.aimed -= 1
            world.at(world.now_ms + world.chance.below(4000), self._cut)
        world.phase = "boot"
        since_ms = world.now_ms
        self.safe_since_ms = since_ms if self.fast >= FAST_RESETS - 1 else -1
        self.chip.start(cause, woken)
        world.pass_ms(self.boot_ms)
        if cause != DEEP_SLEEP or woken == TIMER_WAKE:
            self.blind.append((since_ms, world.now_ms))
        world.phase = "window" if cause != DEEP_SLEEP else "awake"
        modules = self.chip.modules()
        modules.update(self.air.modules())
        for name in list(sys.modules):
            if name not in _KEEP:
                del sys.modules[name]
        for name, module in modules.items():
            sys.modules[name] = module
        gc.collect()
        if self.wearer is not None:
            from apps.batch import Batch

            self.wearer.count(Batch)
        try:
            for program in ("boot.py", "main.py"):
                with open(FIRMWARE + "/" + program) as file:
                    exec(file.read(), {"__name__": "__main__"})
        finally:
            for name in modules:
                sys.modules.pop(name, None)
            if cause != DEEP_SLEEP:
                seen_ms = world.now_ms - since_ms - self.boot_ms
                self.fast = self.fast + 1 if seen_ms < FAST_MS else 0


def main():
    is_worn = APP == "wearable"
    week = Week(int(SEED), int(HOURS), int(BOOT_MS), CHIP, TROUBLE == "1", is_worn)
    phone = None
    if OBSERVED == "1":
        phone = Phone(week.world, week.air, "s/steps" if is_worn else "s/contact")
        week.receiver.on_report = phone.ask
    week.run()
    if is_worn:
        from worn import judge as judge_rows

        found = judge_rows(week)
    else:
        found = judge(week)
    found.update(troubles(week))
    found["observer"] = phone.account() if phone else None
    print("RESULT " + json.dumps(found))


main()
