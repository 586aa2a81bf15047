"""Recovery: the wait for Ctrl-C, safe mode, settings on trial, the watchdog."""

import os

import recovery
from support import cases, raises

PWRON_RESET, WDT_RESET, DEEPSLEEP_RESET = 1, 3, 4
PATH = "build-test-fast"


class Machine:
    DEEPSLEEP_RESET = DEEPSLEEP_RESET

    def __init__(self, cause=PWRON_RESET):
        self.cause = cause
        self.timeout_ms = 0

    def reset_cause(self):
        return self.cause

    def WDT(self, timeout):
        self.timeout_ms = timeout
        return self

    def feed(self):
        return "fed"


class Pico(Machine):
    """Knows no deep sleep, and no name for it."""

    def __init__(self):
        super().__init__(WDT_RESET)

    def __getattribute__(self, name):
        if name == "DEEPSLEEP_RESET":
            raise AttributeError(name)
        return super().__getattribute__(name)


class User:
    """Holds the button from `pressed_ms` on, resets or types Ctrl-C at a time."""

    def __init__(self, pressed_ms=None, ends_ms=None):
        self.now_ms = 0
        self.pressed_ms = pressed_ms
        self.ends_ms = ends_ms
        self.lines = []

    def pressed(self):
        return self.pressed_ms is not None and self.now_ms >= self.pressed_ms

    def sleep_ms(self, ms):
        self.now_ms += ms
        if self.ends_ms is not None and self.now_ms >= self.ends_ms:
            raise KeyboardInterrupt

    def opens(self, machine=None):
        machine = machine or Machine()
        return recovery.wait_for_user(
            machine, self.pressed, self.sleep_ms, self.lines.append, PATH
        )


def gone(path=PATH):
    try:
        os.remove(path)
    except OSError:
        return True
    return False


@cases(PWRON_RESET, 2, WDT_RESET, 5)
def test_every_reset_waits_five_seconds_for_ctrl_c(cause):
    user = User()
    assert user.opens(Machine(cause)) == "" and user.now_ms == 5000
    assert "Ctrl-C" in user.lines[0] and gone()


def test_wake_from_deep_sleep_does_not_wait():
    user = User(pressed_ms=0)
    assert user.opens(Machine(DEEPSLEEP_RESET)) == "" and user.now_ms == 0 and gone()


@cases(0, 2500, 4900)
def test_held_button_brings_safe_mode(pressed_ms):
    user = User(pressed_ms)
    assert "BOOT" in user.opens() and user.now_ms <= 4950 and gone()


def fast_resets(count):
    for _ in range(count):
        raises(KeyboardInterrupt, User(ends_ms=1000).opens)


def test_three_fast_resets_bring_safe_mode():
    try:
        fast_resets(2)
        assert User().opens() == "3 fast resets"
        assert User().opens() == ""
    finally:
        gone()


def test_two_fast_resets_do_not():
    try:
        fast_resets(1)
        assert User().opens() == ""
        fast_resets(1)
        assert User().opens() == ""
    finally:
        gone()


@cases(b"", b"x", b"-1", b"999", b"1.5")
def test_broken_reset_count_counts_as_none(content):
    with open(PATH, "wb") as file:
        file.write(content)
    try:
        assert User().opens() == ""
    finally:
        gone()


SETTINGS, SECRETS = "build-test-config", "build-test-secrets"
FILES = (SETTINGS, SECRETS)


def put(path, content):
    with open(path, "wb") as file:
        file.write(content)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def trial():
    return recovery.Trial(FILES, lambda line: None)


def tried(steps):
    """Run steps() on files of their own."""
    try:
        put(SETTINGS, b"one")
        put(SECRETS, b"net")
        steps()
    finally:
        for path in FILES:
            gone(path)
            gone(path + ".good")


def test_settings_that_reach_the_gateway_are_confirmed():
    def steps():
        first = trial()
        assert first.pending
        first.passed()
        assert not first.pending and not trial().pending
        assert read(SETTINGS + ".good") == b"one" and read(SECRETS + ".good") == b"net"

    tried(steps)


@cases(SETTINGS, SECRETS)
def test_settings_that_never_reach_the_gateway_are_rolled_back(path):
    def steps():
        trial().passed()
        before = read(path)
        put(path, b"worse")
        second = trial()
        assert second.pending and second.failed()
        assert read(path) == before and not trial().pending
        assert not second.failed()

    tried(steps)


def test_powered_node_has_ten_minutes_to_confirm_settings():
    def steps():
        assert not trial().expired(0)
        trial().passed()
        put(SETTINGS, b"worse")
        second = trial()
        start_ms = (1 << 30) - 5000
        assert not second.expired(start_ms)
        assert not second.expired((start_ms + 599_999) & 0x3FFFFFFF)
        assert second.expired((start_ms + 600_000) & 0x3FFFFFFF)
        assert read(SETTINGS) == b"one" and not second.expired(0)

    tried(steps)


def test_first_settings_have_no_fallback():
    def steps():
        assert not trial().failed() and read(SETTINGS) == b"one"

    tried(steps)


def test_confirmed_settings_survive_an_outage():
    def steps():
        trial().passed()
        assert not trial().failed()

    tried(steps)


def test_rollback_removes_files_that_did_not_exist():
    def steps():
        gone(SETTINGS)
        trial().passed()
        put(SETTINGS, b"new")
        assert trial().failed()
        assert gone(SETTINGS)

    tried(steps)


class Mem32:
    """The word of the chip's watchdog, which runs."""

    def __init__(self):
        self.words = {0x40058000: 0xC0000123, 0x400D8000: 0xC0000123}

    def __getitem__(self, at):
        return self.words[at]

    def __setitem__(self, at, value):
        self.words[at] = value


def test_stop_disables_the_watchdog():
    machine = Machine()
    recovery.Watchdog(machine, "esp32").stop()
    assert machine.timeout_ms > 20 * 86_400_000
    machine.mem32 = Mem32()
    recovery.Watchdog(machine, "rp2").stop()
    assert sorted(machine.mem32.words.values()) == [0x80000123, 0xC0000123]


@cases(("rp2", 8000), ("esp32", 60000), ("linux", 60000))
def test_watchdog_timeout_is_the_longest_of_the_chip(platform, wanted_ms):
    machine = Machine()
    assert recovery.Watchdog(machine, platform).feed() == "fed"
    assert machine.timeout_ms == wanted_ms


# Brown-outs when the radio starts


class Starts:
    """Put a file of the test's own in place of the count of radio starts."""

    def __enter__(self):
        self.kept = recovery.STARTS_FILE
        recovery.STARTS_FILE = self.path = "build-test-starts"
        gone(self.path)
        return self

    def __exit__(self, *_):
        gone(self.path)
        gone()
        recovery.STARTS_FILE = self.kept

    def boot(self, is_wake=False):
        return recovery.RadioStarts(is_wake, self.path)

    def content(self):
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except OSError:
            return None


def test_a_healthy_node_marks_the_start_after_a_reset_only():
    with Starts() as starts:
        one = starts.boot()
        one.begin()
        assert starts.content() == b"1"
        one.end()
        assert starts.content() is None and one.unfinished == 0
        one.begin()  # of a chip that goes on after its sleep
        assert starts.content() is None
        two = starts.boot(is_wake=True)
        two.begin()
        assert starts.content() is None
        two.end()


def test_the_pause_after_brown_outs_doubles_up_to_an_hour():
    with Starts() as starts:
        pauses = []
        for _ in range(12):
            one = starts.boot()
            pauses.append(one.pause_s)
            later = starts.boot(is_wake=True) if one.pause_s else one
            assert later.pause_s in (0, one.pause_s)
            later.begin()  # and the supply drops out
        assert pauses[:7] == [0, 0, 60, 120, 240, 480, 960]
        assert pauses[8:] == [3600] * 4
        starts.boot(is_wake=True).end()
        assert starts.boot().pause_s == 0


def test_a_loop_of_brown_outs_is_no_safe_mode_and_has_no_pause():
    with Starts() as starts:
        for i in range(12):
            user = User()
            assert user.opens() == "", "safe mode keeps the radio on for half an hour"
            assert user.now_ms == (5000 if i < 2 else 0)
            gone() if i < 2 else None  # the wait for Ctrl-C has done so
            path, recovery.RESETS_FILE = recovery.RESETS_FILE, PATH
            starts.boot(is_wake=i >= 2).begin()
            recovery.RESETS_FILE = path
            assert gone(), "the start of the radio ends the count of resets"


def test_the_button_and_three_resets_are_safe_mode_after_brown_outs_too():
    with Starts() as starts:
        for _ in range(3):
            starts.boot().begin()
        assert User(pressed_ms=0).opens() == "the BOOT button"
        gone()
        assert [User().opens() for _ in range(3)] == ["", "", "3 fast resets"]


def test_a_full_flash_does_not_prevent_the_start():
    starts = recovery.RadioStarts(False, "no-such-folder/starts")
    starts.begin()
    starts.end()
    assert starts.pause_s == 0
