"""A cell that sags when the radio starts: retries must not drain it."""

import battery_door
from config import Settings
from support.battery_stage import GATEWAY, Asleep, Board, Stage, World

HEAP = "4m"
BOOT_MS = 5000  # with the window for Ctrl-C
HOUR_MS = 3_600_000


class Cold(World):
    """The supply drops out whenever the radio starts; that looks like power-on."""

    def __init__(self):
        super().__init__()
        self.starts = 0
        self.slept_ms = 0
        self.zero_ms = 0

    def seconds(self):
        return (self.now_ms - self.zero_ms) // 1000

    def start(self, now_ms, now_s):
        self.starts += 1
        self.memory[:] = bytes(len(self.memory))
        self.zero_ms = self.now_ms
        self.cause = self.PWRON_RESET
        raise Asleep

    def deepsleep(self, span_ms):
        self.slept_ms = span_ms
        super().deepsleep(span_ms)

    def life(self, runner):
        """From the start to the next one."""
        self.now_ms += BOOT_MS
        self.slept_ms = 0
        settings = Settings()
        settings.update({"gateway": GATEWAY})
        try:
            runner.run(Board, self, settings, None, "mote-1", self)
        except Asleep:
            pass
        self.now_ms += self.slept_ms


def test_brown_outs_of_the_radio_do_not_repeat_all_night():
    stage = Stage("cold-test.json", Cold())
    world = stage.world
    try:
        while world.now_ms < HOUR_MS and world.starts <= 20:
            world.life(battery_door)
        assert world.starts >= 1
        assert world.starts <= 20, "too many starts of the radio within an hour"
    finally:
        stage.end()
