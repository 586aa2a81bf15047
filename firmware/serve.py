"""The node at work: served over its network while there is one, over its serial line always."""

import gc

STEP_MS = 250  # the link is looked at four times a second, at least


class Service:
    """Serves a node while its link is up, and keeps its timers running while it is down.

    `link` is None for a node that has only a line. `open_transport()` makes the transport when the
    link first comes up: on ESP32 there is no network stack earlier. Each time the link comes back
    the transport is opened anew, for some ports forget the groups that a socket had joined.
    `on_open()` is called whenever it is open. `line` is a Slipmux, or None.
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

    def step(self):
        """Work for a quarter of a second at most."""
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
        """Close what there is: the line, the transport."""
        self.serving = False
        if self.line is not None:
            self.line.close()
            self.line = None
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def _idle(self):
        wait_ms = STEP_MS if self._link is None else min(STEP_MS, self._link.step_ms)
        if self.line is not None:
            self.line.step(wait_ms)
            return
        now_ms = self._ticks_ms()
        while self._node.due(now_ms):
            pass  # nobody hears it: the same as lost on the way
        self._sleep_ms(wait_ms)

    def _open(self):
        gc.collect()  # receiving takes one contiguous block per datagram
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
