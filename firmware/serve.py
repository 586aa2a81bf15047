"""The main loop of a node that does not sleep: over its network link and its serial line."""

import gc

STEP_MS = 250  # the link is polled at least four times a second


class Service:
    """Serves a node while its link is up, and keeps its timers running while the link is down.

    link: a WifiLink or PppLink; None for a node that has only a serial line.
    open_transport(): returns the transport, called when the link first comes up, since an ESP32
    has no network stack before. It is reopened each time the link comes back, since some ports
    lose the groups that a socket had joined.
    on_open(): called each time the transport was opened.
    line: a Slipmux, or None.
    """

    def __init__(
        self, node, link, open_transport, ticks_ms, sleep_ms, say=print, on_open=None, line=None
    ):
        self.transport = None
        self.serving = False
        self.line = line
        self.on_open = on_open
        self._node = node
        self._link = link
        self._open_transport = open_transport
        self._ticks_ms = ticks_ms
        self._sleep_ms = sleep_ms
        self._say = say
        if hasattr(link, "is_idle"):
            link.is_idle = self._has_no_exchange

    def step(self):
        """Serve for at most STEP_MS."""
        if self._link is not None and self._link.poll(self._ticks_ms()):
            if not self.serving:
                self._open()
            if self.serving:
                self.transport.step(STEP_MS)
                return
        elif self.serving:
            self.serving = False
            if self.line is not None:
                self.line.alone()
        self._idle()

    def close(self):
        """Close the line and the transport."""
        self.serving = False
        if self.line is not None:
            self.line.close()
            self.line = None
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def _has_no_exchange(self):
        return self._node.messaging.open_count == 0

    def _idle(self):
        wait_ms = STEP_MS if self._link is None else min(STEP_MS, self._link.step_ms)
        if self.line is not None:
            self.line.step(wait_ms)
            return
        now_ms = self._ticks_ms()
        while self._node.due(now_ms):
            pass  # there is no link: what is sent is lost
        self._sleep_ms(wait_ms)

    def _open(self):
        gc.collect()  # receiving a datagram takes one contiguous block
        try:
            if self.transport is None:
                self.transport = self._open_transport()
            else:
                self.transport.reopen()
            self.serving = True
            if self.line is not None:
                self.line.beside(self.transport)
            if self.on_open is not None:
                self.on_open()
        except OSError as error:
            self._say("CoAP: {}".format(error))
