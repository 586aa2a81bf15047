"""The link of a board without radio: PPP on a UART.

lwIP does the negotiation and gives up by itself. It must be given the bytes received: poll() does
so, and the Udp given to attach().
"""

import io

_WRAP = 0x3FFFFFFF  # time.ticks_ms() wraps at 2**30
_RETRY_MS = 2000


class UartStream(io.IOBase):
    """The UART for network.PPP: a read returns what was received and never waits.

    PPP reads 256 bytes at a time, for which a UART of the rp2 port would wait in a loop, one or
    two milliseconds after each datagram.
    """

    IRQ_RXIDLE = 0

    def __init__(self, uart):
        self._uart = uart

    def readinto(self, buf):
        """Read the bytes received into `buf`; return their count."""
        count = self._uart.any()
        if not count:
            return 0
        return self._uart.readinto(buf, min(count, len(buf)))

    def write(self, data):
        """Send bytes; return their count."""
        return self._uart.write(data)

    def irq(self, *_):
        """Do nothing: an interrupt during poll() would feed PPP twice, with the bytes mixed up."""


class PppLink:
    """A link to one peer with the interface of WifiLink, driven by poll().

    network   the module
    uart      the line, open
    hostname  name of the node
    say       say(line) writes to the log

    up             True while the link has an address
    address        its last address, "" before the first one
    joins, losses  how often the link came up and went down
    """

    step_ms = 10  # interval of poll() while the link is down: PPP takes a dozen messages

    def __init__(self, network, uart, hostname, say=print):
        self.up = False
        self.address = ""
        self.joins = 0
        self.losses = 0
        self._uart = uart
        self._ppp = network.PPP(UartStream(uart))
        self._hostname = hostname
        self._say = say
        self._trying = False
        self._since_ms = 0
        self._wait_ms = 0  # until the next attempt
        network.hostname(hostname)

    def poll(self, now_ms):
        """Connect or feed PPP; return True while the link is up. Call it often."""
        self._ppp.poll()
        if self._ppp.isconnected():
            if not self.up:
                self._joined()
            return True
        if self.up or self._trying and self._ppp.status() < 0:
            self._lost(now_ms)
        if not self._trying and (now_ms - self._since_ms) & _WRAP >= self._wait_ms:
            self._connect(now_ms)
        return False

    def attach(self, udp):
        """Feed PPP from the steps of a Udp as soon as bytes come."""
        udp.watch(self._uart, self._feed)

    def close(self):
        """End the link."""
        self.up = self._trying = False
        if self._ppp.isconnected():
            # As for a line that was unplugged: disconnect() would wait for the other end, but PPP
            # is fed no more. lwIP would keep the interface, which is part of this object, and
            # hang when a soft reset has freed its memory.
            self._ppp.__del__()
        else:
            self._ppp.disconnect()

    def _feed(self, _uart):
        self._ppp.poll()

    def _connect(self, now_ms):
        self._trying = True
        try:
            self._ppp.connect()
        except OSError as error:
            self._say("PPP: {}".format(error))
            self._retry_later(now_ms)

    def _joined(self):
        self.up = True
        self.joins += 1
        self.address = self._ppp.ipconfig("addr4")[0]
        self._say("PPP: {} is {}".format(self.address, self._hostname))

    def _lost(self, now_ms):
        if self.up:
            self.up = False
            self.losses += 1
            self._say("PPP: link lost")
        else:
            self._say("PPP: no response (error {})".format(-self._ppp.status()))
        self._retry_later(now_ms)

    def _retry_later(self, now_ms):
        self._trying = False
        self._since_ms = now_ms
        self._wait_ms = _RETRY_MS
