"""Nobody is locked out: a window at the start, safe mode, and settings that have to prove good.

Safe mode is the node with its radio on, without sleep and without a watchdog, so that Ctrl-C
leaves the REPL alone for as long as it takes. It comes with the BOOT button, with three resets in
a row that each come within the window, and with settings that are broken. Unless these are the
reason it ends by itself, with a restart: a loose battery resets a board as a hand does, and nobody
is there to see that it does not sleep any more.

New settings are on trial until the node has reached its gateway with them (without a gateway: its
network). Settings that never get there give way to the last good ones.
"""

import os
import sys

WINDOW_MS = 5000
FAST_RESETS = 3
SAFE_MS = 1_800_000  # of safe mode, when nobody takes the REPL
RESETS_FILE = "fast-resets"
TRIAL_FAILURES = 4  # wakes of a sleeping node that reached nobody
TRIAL_MS = 600_000  # or so much time of one that is awake
_SLICE_MS = 50
_TICKS = 0x3FFFFFFF
_NEVER_MS = 2_000_000_000
# Where the RP2 chips have the bit that lets their watchdog run
_RP2_WATCHDOG = {"RP2040": 0x40058000, "RP2350": 0x400D8000}
_RP2_ENABLE = 1 << 30


class Window:
    """machine: the module; button_pressed: see boot_button(); path: where fast resets are counted.

    why: what open() found to be a reason for safe mode, "" for none.
    """

    def __init__(self, machine, button_pressed, sleep_ms, say=print, path=RESETS_FILE):
        self.why = ""
        self._machine = machine
        self._button_pressed = button_pressed
        self._sleep_ms = sleep_ms
        self._say = say
        self._path = path

    def open(self):
        """Wait for the window to pass; a node that wakes from deep sleep has none.

        The button is looked at during the window, for at the moment of reset it selects the
        chip's own boot loader. Ctrl-C raises KeyboardInterrupt here as anywhere.
        """
        if self._machine.reset_cause() == getattr(self._machine, "DEEPSLEEP_RESET", None):
            return ""
        fast = _count(self._path) + 1
        _keep(self._path, b"%d" % min(fast, FAST_RESETS))
        self._say(
            "Mote starts in {} s: Ctrl-C for the REPL, the BOOT button for safe mode".format(
                WINDOW_MS // 1000
            )
        )
        for _ in range(WINDOW_MS // _SLICE_MS):
            if self._button_pressed():
                self.why = "the BOOT button"
                break
            self._sleep_ms(_SLICE_MS)
        if fast >= FAST_RESETS and not self.why:
            self.why = "{} fast resets".format(FAST_RESETS)
        _remove(self._path)
        return self.why


def boot_button(machine, board):
    """What tells whether the BOOT button is held: the one on the board's BOOT_PIN, else BOOTSEL of
    an RP2. (Held at reset it starts the chip's own boot loader, or shows the UF2 drive, instead.)
    """
    if hasattr(board, "BOOT_PIN"):
        pin = machine.Pin(board.BOOT_PIN, machine.Pin.IN, machine.Pin.PULL_UP)
        return lambda: pin.value() == 0
    import rp2  # pyright: ignore[reportMissingImports]

    return lambda: rp2.bootsel_button() == 1


class Trial:
    """Settings and Wi-Fi access on trial: `paths` of their files; the good ones lie beside them.

    open: they are other ones than the last good ones.
    """

    def __init__(self, paths, say=print):
        self._paths = paths
        self._say = say
        self._since_ms = -1
        self.open = self._differ()

    def passed(self):
        """The gateway was reached: these are the good ones."""
        if self.open:
            self.open = False
            for path in self._paths:
                _copy(path, path + ".good")

    def failed(self):
        """Put the last good ones back. True: there are some, and the node is to start anew."""
        if not self.open or not any(_read(path + ".good") for path in self._paths):
            return False
        self._say("settings: never reached the gateway, the last good ones are back")
        for path in self._paths:
            _copy(path + ".good", path)
        self.open = False
        return True

    def expired(self, now_ms):
        """For a node that is awake: have they had their time? True as failed() says it."""
        if not self.open:
            return False
        if self._since_ms < 0:
            self._since_ms = now_ms
        return (now_ms - self._since_ms) & _TICKS >= TRIAL_MS and self.failed()

    def _differ(self):
        for path in self._paths:
            if _read(path) != _read(path + ".good"):
                return True
        return False


class Respite:
    """Safe mode is over after its time. passes: does it end at all?"""

    def __init__(self, machine, ticks_ms, passes):
        self._machine = machine
        self._ticks_ms = ticks_ms
        self._passes = passes
        self._since_ms = ticks_ms()

    def attend(self):
        """To be called again and again."""
        if self._passes and (self._ticks_ms() - self._since_ms) & _TICKS >= SAFE_MS:
            self._machine.reset()


class Watchdog:
    """Resets a board whose loop hangs; feed() is for that loop alone.

    stop() is for who ends the node with Ctrl-C, so that the REPL stays. The ports have no call for
    it: an ESP32 takes another time, of many days, and of an RP2 the bit is cleared that lets the
    watchdog run.
    """

    LONGEST_MS = {"rp2": 8000}
    USUAL_MS = 60_000  # longer than anything blocks: a scan, a handshake

    def __init__(self, machine, platform):
        self._machine = machine
        self._rp2 = platform == "rp2"
        self.feed = machine.WDT(timeout=self.LONGEST_MS.get(platform, self.USUAL_MS)).feed

    def stop(self):
        """The board is the user's. Where it can not be stopped, the window comes at its reset."""
        try:
            if self._rp2:
                at = _RP2_WATCHDOG["RP2350" if "RP2350" in _chip() else "RP2040"]
                self._machine.mem32[at] &= ~_RP2_ENABLE
            else:
                self._machine.WDT(timeout=_NEVER_MS)
        except (AttributeError, ValueError, OSError):
            pass


def _chip():
    return getattr(sys.implementation, "_machine", "")


def _count(path):
    text = _read(path)
    return int(text) if text and text.isdigit() and len(text) < 3 else 0


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _keep(path, data):
    try:
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)
    except OSError:
        pass  # a flash that is full must not keep a node from starting


def _copy(path, to):
    data = _read(path)
    if data is None:
        _remove(to)
    else:
        _keep(to, data)


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass
