"""When a sleeping node acts: heartbeats, back-off after failures, a limit to wakes by the contact.

All times are seconds of a clock that also runs in sleep, modulo 2**30. A moment that lies further
ahead than it possibly can (the clock was set, or started again from 0 as a Pico's does) counts as
reached.
"""

from micropython import const

_MASK = const(0x3FFFFFFF)
_BYTES = const(20)
_VERSION = const(1)
_RETRY_MIN_S = const(30)
_RETRY_MAX_S = const(3600)
_WAKES = const(30)  # edges that may wake the node within _WINDOW_S; then the contact is ignored
_WINDOW_S = const(300)
_REST_MIN_S = const(60)
_REST_MAX_S = const(3600)


class WakeSchedule:
    """Heartbeat, back-off and wake limit of one node.

    heartbeat_s: seconds between two reports at the latest, 10 to 86400.

    failures    radio sessions in a row that failed
    is_resting  the contact is ignored for a while and does not wake the node
    """

    def __init__(self, heartbeat_s):
        self.heartbeat_s = heartbeat_s
        self.failures = 0
        self.is_resting = False
        self._heartbeat_at_s = 0
        self._retry_at_s = 0  # no attempt before, after a failure
        self._window_at_s = 0  # start of the window in which wakes are counted
        self._rest_until_s = 0
        self._wakes = 0
        self._rests = 0  # rests in a row

    def start(self, now_s):
        """Start after power-on: a heartbeat is due at once."""
        self._heartbeat_at_s = self._retry_at_s = self._window_at_s = self._rest_until_s = (
            now_s & _MASK
        )

    def count_wake(self, now_s):
        """Count a wake by an edge. Return True at the limit: the contact is ignored now."""
        if _left_s(self._window_at_s + _WINDOW_S, now_s, _WINDOW_S) == 0:
            self._window_at_s = now_s & _MASK
            self._wakes = self._rests = 0
        self._wakes += 1
        if self._wakes <= _WAKES:
            return False
        self.is_resting = True
        self._rest_until_s = (now_s + min(_REST_MIN_S << self._rests, _REST_MAX_S)) & _MASK
        self._rests = min(self._rests + 1, 6)
        self._wakes = _WAKES // 2
        return True

    def rest_is_over(self, now_s):
        """End a rest whose time is up. Return True if one ended: events may be missing."""
        if self.is_resting and _left_s(self._rest_until_s, now_s, _REST_MAX_S) == 0:
            self.is_resting = False
            self._window_at_s = (
                now_s & _MASK
            )  # rests stay long until the contact was calm for a whole window
            return True
        return False

    def on_reported(self, now_s):
        """Count the next heartbeat from here: a report was acknowledged."""
        self.failures = 0
        self._heartbeat_at_s = (now_s + self.heartbeat_s) & _MASK

    def on_failed(self, now_s):
        """Back off: each failure doubles the pause, up to an hour or a heartbeat."""
        pause_s = min(_RETRY_MIN_S << min(self.failures, 7), self._longest_pause_s())
        self._retry_at_s = (now_s + pause_s) & _MASK
        self.failures = min(self.failures + 1, 255)

    def hold(self, now_s, pause_s):
        """Pause before the first attempt, as after a failure; at most an hour or a heartbeat."""
        self._retry_at_s = (now_s + min(pause_s, self._longest_pause_s())) & _MASK
        self.failures = max(self.failures, 1)

    def may_try(self, now_s):
        """Return True unless a pause after a failure is running."""
        return not self.failures or self._pause_s(now_s) == 0

    def heartbeat_is_due(self, now_s):
        """Return True if a heartbeat is due."""
        return _left_s(self._heartbeat_at_s, now_s, self.heartbeat_s) == 0

    def sleep_s(self, now_s, is_pending):
        """Return the seconds until the next action; is_pending: True if events are unreported."""
        left_s = 0 if is_pending else _left_s(self._heartbeat_at_s, now_s, self.heartbeat_s)
        if self.failures:
            left_s = max(left_s, self._pause_s(now_s))
        if self.is_resting:
            left_s = min(left_s, _left_s(self._rest_until_s, now_s, _REST_MAX_S))
        return max(left_s, 1)

    def _pause_s(self, now_s):
        return _left_s(self._retry_at_s, now_s, self._longest_pause_s())

    def _longest_pause_s(self):
        return min(_RETRY_MAX_S, self.heartbeat_s)

    def state(self):
        """Return the schedule as bytes."""
        out = bytearray(_BYTES)
        out[0] = _VERSION
        out[1] = self.failures
        out[2] = self._wakes
        out[3] = self._rests << 1 | self.is_resting
        moments = (self._heartbeat_at_s, self._retry_at_s, self._window_at_s, self._rest_until_s)
        for i, moment in enumerate(moments):
            out[4 + 4 * i : 8 + 4 * i] = moment.to_bytes(4, "big")
        return bytes(out)

    def restore(self, blob):
        """Restore what state() returned. Return False if it is not usable."""
        if len(blob) != _BYTES or blob[0] != _VERSION or blob[2] > _WAKES or blob[3] > 13:
            return False
        moments = [int.from_bytes(blob[at : at + 4], "big") for at in (4, 8, 12, 16)]
        if max(moments) > _MASK:
            return False
        self._heartbeat_at_s, self._retry_at_s, self._window_at_s, self._rest_until_s = moments
        self.failures = blob[1]
        self._wakes = blob[2]
        self._rests = blob[3] >> 1
        self.is_resting = blob[3] & 1 == 1
        return True


def _left_s(moment_s, now_s, longest_s):
    left_s = (moment_s - now_s) & _MASK
    return left_s if left_s <= longest_s else 0
