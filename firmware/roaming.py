"""The search for a better access point of the same network, where several have one name (mesh).

An ESP32 joins the first access point of that name that it finds, not the nearest one, and neither
its driver nor a Pico W's leaves one whose signal has become bad. scan() blocks for 2 to 3 s
(ESP32-C5, on two bands: 11 s), in which only what the socket buffers is received: so it is done
seldom, and while no exchange is open. What is lost meanwhile its sender transmits again (RFC 7252
section 4.2). The access points of a hidden network cannot be told by a scan.
"""

WEAK_DBM = -75
BETTER_DB = 10
CHECK_MS = 60_000
WEAK_CHECKS = 3  # in a row
PAUSE_MIN_MS = 600_000  # between two scans, doubled after each
PAUSE_MAX_MS = 6 * 3_600_000
_WRAP = 0x3FFFFFFF
_BSSID, _RSSI = 1, 3  # fields of an entry of scan()


class Roaming:
    """Decides when to leave an access point. wlan: the station; ssid: of its network.

    dbm: the last measured strength of the signal, None before the first one.
    """

    def __init__(self, wlan, ssid, say):
        self.dbm = None
        self._wlan = wlan
        self._ssid = ssid.encode()
        self._say = say
        self._checked_ms = None
        self._weak = 0  # checks in a row
        self._scanned_ms = None
        self._pause_ms = PAUSE_MIN_MS

    def joined(self, now_ms):
        """Begin to count anew: the station has joined an access point."""
        self._checked_ms = now_ms
        self._weak = 0

    def find_better(self, now_ms, is_idle):
        """Return the BSSID of a much better access point, None without one.

        is_idle(): returns True if a scan disturbs nobody now. May block for seconds.
        """
        if (now_ms - self._checked_ms) & _WRAP < CHECK_MS:
            return None
        if self._weak < WEAK_CHECKS:
            self._checked_ms = now_ms
            self._check()
            return None
        pause_ms = self._pause_ms
        if self._scanned_ms is not None and (now_ms - self._scanned_ms) & _WRAP < pause_ms:
            return None
        if not is_idle():
            return None
        self._scanned_ms = now_ms
        self._pause_ms = min(2 * pause_ms, PAUSE_MAX_MS)
        self._weak = 0
        return self._scan()

    def _check(self):
        try:
            self.dbm = self._wlan.status("rssi")
        except (OSError, ValueError):  # lost just now, or a port that does not tell
            return
        if self.dbm > WEAK_DBM:
            self._weak = 0
            self._pause_ms = PAUSE_MIN_MS
        else:
            self._weak += 1

    def _scan(self):
        best_dbm = self.dbm + BETTER_DB - 1
        bssid = None
        try:
            for found in self._wlan.scan():
                if found[0] == self._ssid and found[_RSSI] > best_dbm:
                    best_dbm = found[_RSSI]
                    bssid = bytes(found[_BSSID])
        except (OSError, MemoryError) as error:
            self._say("Wi-Fi: no scan: {}".format(str(error) or "no memory"))
        if bssid is not None:
            self._say("Wi-Fi: {} dBm, moves to {} dBm".format(self.dbm, best_dbm))
        return bssid
