"""Access to the board in any state: a pause at the start, safe mode, and new settings on trial.

In safe mode the node runs with its radio on, without sleep and without a watchdog, so that after
Ctrl-C the REPL stays. It is entered with the BOOT button, after three resets in a row during the
pause, and with broken settings. Except for broken settings it ends by itself, with a restart: a
loose battery causes the same resets as a user, and then the node must sleep again.

New settings are on trial until the node has reached its gateway with them, or its network if it
has no gateway. Settings that never succeed are replaced by the last good ones.
"""

import os
import sys

PAUSE_MS = 5000
FAST_RESETS = 3
SAFE_MS = 1_800_000  # duration of safe mode
RESETS_FILE = "fast-resets"
STARTS_FILE = "radio-starts"
STARTS_MAX = 2  # of the radio, unfinished: from then on there is a pause before the next
START_PAUSE_S = 60  # doubled with each further one
LONGEST_PAUSE_S = 3600
TRIAL_FAILURES = 4  # wakes of a node on a battery without a report acknowledged
TRIAL_MS = 600_000  # the same for a node that does not sleep
_SLICE_MS = 50
_FILE_MAX = 2048  # bytes that are read of a file: good ones are shorter, and the heap is small
_TICKS = 0x3FFFFFFF
_NEVER_MS = 2_000_000_000
# The watchdog's control register; its bit _RP2_ENABLE lets the watchdog run
_RP2_WATCHDOG = {"RP2040": 0x40058000, "RP2350": 0x400D8000}
_RP2_ENABLE = 1 << 30


def wait_for_user(machine, button_pressed, sleep_ms, say=print, path=RESETS_FILE):
    """Pause before the node starts; return the reason for safe mode, or "".

    There is no pause after deep sleep, nor after brown-outs (see RadioStarts): then the resets
    before the next start of the radio are counted. The button is read during the pause, since at
    reset it selects the chip's own boot loader. Ctrl-C raises KeyboardInterrupt.

    machine: the module; button_pressed: see boot_button(); path: of the file that counts resets
    during the pause.
    """
    if machine.reset_cause() == getattr(machine, "DEEPSLEEP_RESET", None):
        return ""
    fast = _count(path) + 1
    _write(path, b"%d" % min(fast, FAST_RESETS))
    why = "{} fast resets".format(FAST_RESETS) if fast >= FAST_RESETS else ""
    if _count(STARTS_FILE) >= STARTS_MAX:
        return "the BOOT button" if button_pressed() else why
    say(
        "Mote starts in {} s: Ctrl-C for the REPL, the BOOT button for safe mode".format(
            PAUSE_MS // 1000
        )
    )
    for _ in range(PAUSE_MS // _SLICE_MS):
        if button_pressed():
            why = "the BOOT button"
            break
        sleep_ms(_SLICE_MS)
    _remove(path)
    return why


def boot_button(machine, board):
    """Return a function that returns True while the BOOT button is held.

    It is the button on the board's BOOT_PIN, else BOOTSEL of an RP2. A button held at reset starts
    the chip's own boot loader, or shows the UF2 drive, instead.
    """
    if hasattr(board, "BOOT_PIN"):
        pin = machine.Pin(board.BOOT_PIN, machine.Pin.IN, machine.Pin.PULL_UP)
        return lambda: pin.value() == 0
    import rp2  # pyright: ignore[reportMissingImports]

    return lambda: rp2.bootsel_button() == 1


class Trial:
    """Settings and Wi-Fi access on trial. paths: their files; PATH.good are the last good ones.

    pending: they differ from the last good ones.
    """

    def __init__(self, paths, say=print):
        self._paths = paths
        self._say = say
        self._since_ms = -1
        self.pending = self._differ()

    def passed(self):
        """Keep the present files as the good ones: the gateway was reached."""
        if self.pending:
            self.pending = False
            for path in self._paths:
                _copy(path, path + ".good")

    def failed(self):
        """Restore the last good files. Return True if they are back: the node must restart.

        On a full or broken flash they are not: a restart would find the same files again.
        """
        if not self.pending or not any(_read(path + ".good") for path in self._paths):
            return False
        self.pending = False
        for path in self._paths:
            _copy(path + ".good", path)
        if self._differ():
            self._say("settings: the last good ones can not be written")
            return False
        self._say("settings: never reached the gateway, the last good ones are back")
        return True

    def expired(self, now_ms):
        """Return what failed() returns once the trial has lasted TRIAL_MS; False before that."""
        if not self.pending:
            return False
        if self._since_ms < 0:
            self._since_ms = now_ms
        return (now_ms - self._since_ms) & _TICKS >= TRIAL_MS and self.failed()

    def _differ(self):
        for path in self._paths:
            if _read(path) != _read(path + ".good"):
                return True
        return False


class RadioStarts:
    """Count the starts of the radio that a reset ended: a cold or empty cell sags, and a brown-out
    looks like power-on and clears the memory.

    The count is in flash, and spares it: at a wake from deep sleep nothing is written unless
    starts are unfinished already, so a healthy node writes twice for each reset, not each report.

    is_wake: the board woke from deep sleep. unfinished: starts in a row before this one. pause_s:
    before the radio may be started now.
    """

    def __init__(self, is_wake, path):
        self._path = path
        self.unfinished = _count(path)
        self._is_marked = self.unfinished > 0 or not is_wake
        self.pause_s = 0
        if self.unfinished >= STARTS_MAX and not is_wake:
            doubled = min(self.unfinished - STARTS_MAX, 6)
            self.pause_s = min(START_PAUSE_S << doubled, LONGEST_PAUSE_S)

    def begin(self):
        """Note that the radio starts now."""
        if self._is_marked:
            _write(self._path, b"%d" % min(self.unfinished + 1, 99))
            _remove(RESETS_FILE)

    def end(self):
        """Note that the supply has lasted until the radio was switched off."""
        if self._is_marked:
            self._is_marked = False
            self.unfinished = 0
            _remove(self._path)


class SafeModeTimer:
    """Ends safe mode after SAFE_MS by a reset. ends: False keeps the node in safe mode."""

    def __init__(self, machine, ticks_ms, ends):
        self._machine = machine
        self._ticks_ms = ticks_ms
        self._ends = ends
        self._since_ms = ticks_ms()

    def check(self):
        """Reset the board when the time is over; to be called repeatedly."""
        if self._ends and (self._ticks_ms() - self._since_ms) & _TICKS >= SAFE_MS:
            self._machine.reset()


class Watchdog:
    """A watchdog that resets a board whose main loop hangs; only that loop calls feed()."""

    RP2_MS = 8000  # near the longest that the chip can do
    TIMEOUT_MS = 60_000  # longer than any call blocks: a scan, a handshake

    def __init__(self, machine, platform):
        self._machine = machine
        self._rp2 = platform == "rp2"
        self.feed = machine.WDT(timeout=self.RP2_MS if self._rp2 else self.TIMEOUT_MS).feed

    def stop(self):
        """Stop the watchdog, if the port can, so that the REPL stays after Ctrl-C.

        No port has a call for it: an ESP32 accepts a timeout of many days, and of an RP2 the bit
        that lets the watchdog run is cleared.
        """
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
            return file.read(_FILE_MAX)
    except OSError:
        return None


def _write(path, data):
    try:
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)
    except OSError:
        pass  # a full flash must not prevent the start


def _copy(path, to):
    data = _read(path)
    if data is None:
        _remove(to)
    else:
        _write(to, data)


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass
