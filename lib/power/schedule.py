"""When a sleeping node acts: heartbeats, pauses after failures, and rest from an unsteady contact.

Everything is in seconds of a clock that goes on in sleep, modulo 2**30. A moment that lies further
ahead than it can (the clock has been set, or began anew as a Pico's does) counts as come.
"""

from micropython import const

_MASK = const(0x3FFFFFFF)
_BYTES = const(20)
_VERSION = const(1)
_RETRY_MIN_S = const(30)
_RETRY_MAX_S = const(3600)
_WAKES = const(30)  # edges that may wake the node in ...
_WINDOW_S = const(300)  # ... so many seconds, before the contact is left alone
_REST_MIN_S = const(60)
_REST_MAX_S = const(3600)


class WakeSchedule:
    """heartbeat_s: seconds between signs of life, 10 to 86400.

    failures  wakes in a row that reached nobody
    resting   the contact does not wake the node
    """

    def __init__(self, heartbeat_s):
        self.heartbeat_s = heartbeat_s
        self.failures = 0
        self.resting = False
        self._beat_s = 0  # when the next heartbeat is owed
        self._retry_s = 0  # not before this, after a failure
        self._window_s = 0  # since when wakes are counted
        self._rest_s = 0  # until when the contact is left alone
        self._wakes = 0
        self._rests = 0  # in a row

    def begin(self, now_s):
        """The power is back, so somebody may be waiting: all is owed at once."""
        self._beat_s = self._retry_s = self._window_s = self._rest_s = now_s & _MASK

    def edge(self, now_s):
        """An edge woke the node. True: that was one too many, and the contact gets a rest."""
        if _left_s(self._window_s + _WINDOW_S, now_s, _WINDOW_S) == 0:
            self._window_s = now_s & _MASK
            self._wakes = self._rests = 0
        self._wakes += 1
        if self._wakes <= _WAKES:
            return False
        self.resting = True
        self._rest_s = (now_s + min(_REST_MIN_S << self._rests, _REST_MAX_S)) & _MASK
        self._rests = min(self._rests + 1, 6)
        self._wakes = _WAKES // 2
        return True

    def look(self, now_s):
        """Has the contact been left alone until now? Then nobody knows what it did."""
        if self.resting and _left_s(self._rest_s, now_s, _REST_MAX_S) == 0:
            self.resting = False
            self._window_s = now_s & _MASK  # it has to be calm for so long to be trusted as before
            return True
        return False

    def told(self, now_s):
        """A report was taken: the next heartbeat counts from here."""
        self.failures = 0
        self._beat_s = (now_s + self.heartbeat_s) & _MASK

    def failed(self, now_s):
        """Nobody was reached: longer and longer pauses, but no longer than a heartbeat."""
        pause_s = min(_RETRY_MIN_S << min(self.failures, 7), self._longest_pause_s())
        self._retry_s = (now_s + pause_s) & _MASK
        self.failures = min(self.failures + 1, 255)

    def may_try(self, now_s):
        """Is the pause after a failure over?"""
        return not self.failures or self._pause_s(now_s) == 0

    def beat_due(self, now_s):
        """Is a heartbeat owed?"""
        return _left_s(self._beat_s, now_s, self.heartbeat_s) == 0

    def sleep_s(self, now_s, waiting):
        """Seconds to the next thing to do; `waiting`: there are events to tell."""
        left_s = 0 if waiting else _left_s(self._beat_s, now_s, self.heartbeat_s)
        if self.failures:
            left_s = max(left_s, self._pause_s(now_s))
        if self.resting:
            left_s = min(left_s, _left_s(self._rest_s, now_s, _REST_MAX_S))
        return max(left_s, 1)

    def _pause_s(self, now_s):
        return _left_s(self._retry_s, now_s, self._longest_pause_s())

    def _longest_pause_s(self):
        return min(_RETRY_MAX_S, self.heartbeat_s)

    def state(self):
        """All of it as bytes."""
        out = bytearray(_BYTES)
        out[0] = _VERSION
        out[1] = self.failures
        out[2] = self._wakes
        out[3] = self._rests << 1 | self.resting
        moments = (self._beat_s, self._retry_s, self._window_s, self._rest_s)
        for i, moment in enumerate(moments):
            out[4 + 4 * i : 8 + 4 * i] = moment.to_bytes(4, "big")
        return bytes(out)

    def restore(self, blob):
        """Go on from what state() gave. False: it is not usable."""
        if len(blob) != _BYTES or blob[0] != _VERSION or blob[2] > _WAKES or blob[3] > 13:
            return False
        moments = [int.from_bytes(blob[at : at + 4], "big") for at in (4, 8, 12, 16)]
        if max(moments) > _MASK:
            return False
        self._beat_s, self._retry_s, self._window_s, self._rest_s = moments
        self.failures = blob[1]
        self._wakes = blob[2]
        self._rests = blob[3] >> 1
        self.resting = blob[3] & 1 == 1
        return True


def _left_s(moment_s, now_s, longest_s):
    left_s = (moment_s - now_s) & _MASK
    return left_s if left_s <= longest_s else 0
