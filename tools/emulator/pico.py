"""class Pico: an emulated Raspberry Pi Pico with power, wires, buses, lines and a network."""

import time
from pathlib import Path

from emulator import dependencies
from emulator.i2c import Buses, machine
from emulator.process import RESULT_LIMIT_S, Process
from emulator.serial_line import Repl, Stream
from setup.console import Problem

COAP_PORT = 5683
PINS = 30
FIRST_ADC_PIN = 26
LAST_ADC_PIN = 29
START_LIMIT_S = 60
POLL_S = 0.01
STEP_MS = 5
MAX_S_PER_MS = 0.1  # of this computer's time for one ms of a busy Pico; more means that it hangs


class Pico:
    """An emulated Pico, without power at first; use it in a `with` statement.

    Args:
        firmware: a UF2 file, or the plain image (.bin) from the start of flash memory on.
        flash: file that keeps the 2 MiB of flash memory; None discards them at the end. The
            firmware is written into it at each start, the file system in it remains.
        realtime: False: time advances only while a method here waits for something, and the
            firmware's sleeps take none of this computer's time. True: it follows this computer's
            clock.
        udp_port: port of this computer that leads to the CoAP port of the firmware, 0 for a free
            one; the firmware has it over PPP on UART `ppp_uart` (None: no PPP, that UART is free).
        udp_host: the address that has the port.
        ppp_baud: speed of what PPP sends to the firmware; None for the rate that the firmware set.

    Attributes:
        console: Stream of the USB serial line.
        udp_port: the port that leads to the firmware's CoAP port.
        boots: the causes of the boots so far: "power", "button", "software" (also the end of a
            deep sleep) or "watchdog".
        link_up: PPP has an IP connection.
        outputs: (pin, level) of each change of the pins given to watch().
        troubles: errors of the socket with the CoAP port.

    Raises:
        Problem: something to install is missing, the firmware cannot be read, the port is taken,
            or, from any method, the emulator has ended.
    """

    def __init__(
        self,
        firmware,
        flash=None,
        realtime=False,
        udp_port=0,
        udp_host="127.0.0.1",
        ppp_uart=1,
        ppp_baud=None,
    ):
        if not Path(firmware).is_file():
            raise Problem(f"there is no firmware {firmware}: run `make firmware BOARD=PICO_EMU`")
        self.realtime = realtime
        self.boots = []
        self.link_up = False
        self.usb_connected = False
        self.outputs = []
        self.troubles = []
        self.udp_port = None
        self.console = Stream("console", self._send_usb, self.run_until)
        self._uarts = [
            Stream(f"UART {n}", lambda data, n=n: self._send_uart(n, data), self.run_until)
            for n in (0, 1)
        ]
        self._ready = False
        self._buses = Buses(lambda reply: self._process.send({"reply": reply}))
        options = {
            "image": str(firmware),
            "bootrom": str(dependencies.bootrom()),
            "flash": str(flash) if flash else None,
            "realtime": realtime,
            "pppUart": ppp_uart,
            "pppBaud": ppp_baud,
            "udp": {"host": udp_host, "port": udp_port, "guestPort": COAP_PORT},
        }
        self._process = Process(options, self._handle)
        self.pid = self._process.pid
        try:
            if not self._process.wait_for(lambda: self._ready, START_LIMIT_S):
                raise Problem(f"the emulated Pico did not start within {START_LIMIT_S} s")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the emulator."""
        self._process.close()
        machine.clock.release()

    # Power and time

    def power(self, on=True):
        """Switch the supply; without it, RAM is lost. The file system remains."""
        self._process.call("power", on=on)

    def reset(self):
        """Press the reset button."""
        self._process.call("reset")

    def set_realtime(self, on):
        """Choose between this computer's clock and virtual time."""
        self.realtime = on
        self._process.call("realtime", on=on)

    @property
    def now_ms(self):
        """Return the ms on the Pico's clock since the emulator started, across resets."""
        return self._process.call("time")

    def run_ms(self, span_ms):
        """Let `span_ms` of the Pico's time pass.

        Raises:
            Problem: the emulator hangs and was killed.
        """
        self._process.call("run", RESULT_LIMIT_S + span_ms * MAX_S_PER_MS, ms=span_ms)

    def run_until(self, condition, limit_ms=5000):
        """Let the Pico run until condition() is true; return False after `limit_ms`."""
        if self.realtime:
            end = time.monotonic() + limit_ms / 1000
            while not condition():  # outside of wait_for(), during which no event is handled
                if time.monotonic() > end:
                    return False
                self._process.wait_for(lambda: False, POLL_S)
            return True
        left_ms = limit_ms
        while not condition():
            if left_ms <= 0:
                return False
            self.run_ms(min(STEP_MS, left_ms))
            left_ms -= STEP_MS
        return True

    # Wires

    def pin(self, number, level):
        """Put 0 or 1 on a GPIO from outside; None leaves it open, with its pull-up if any."""
        self._check_pin(number)
        self._process.call("pin", pin=number, level=None if level is None else int(bool(level)))

    def pin_state(self, number):
        """Return the level of a GPIO, 0 or 1, whether the Pico or the outside sets it."""
        self._check_pin(number)
        return self._process.call("level", pin=number)

    def watch(self, number):
        """Collect the changes of a GPIO's level in `outputs`."""
        self._check_pin(number)
        self._process.call("watch", pin=number)

    def adc(self, number, mv):
        """Put a voltage, in mV, on GPIO 26 to 29."""
        if not FIRST_ADC_PIN <= number <= LAST_ADC_PIN:
            raise Problem(f"GPIO {number} has no ADC: use {FIRST_ADC_PIN} to {LAST_ADC_PIN}")
        self._process.call("adc", channel=number - FIRST_ADC_PIN, mv=mv)

    def i2c(self, bus, chip, address=None):
        """Connect a register model of tools/simulator/chips to I2C `bus`; return it."""
        self._buses.attach(bus, chip, address)
        return chip

    def i2c_remove(self, bus, address):
        """Disconnect a register model."""
        self._buses.detach(bus, address)

    # Lines

    def uart(self, number):
        """Return the Stream of UART 0 or 1 (not of that with PPP on it)."""
        return self._uarts[number]

    def repl(self, limit_ms=10_000):
        """Return a raw REPL on the console, once USB is connected; the program is interrupted."""
        self.run_until(lambda: self.usb_connected, limit_ms)
        return Repl(self.console, limit_ms)

    @staticmethod
    def _check_pin(number):
        if not 0 <= number < PINS:
            raise Problem(f"a Pico has no GPIO {number}: use 0 to {PINS - 1}")

    def _send_usb(self, data):
        self._process.call("usb", data=data.decode("latin1"))

    def _send_uart(self, number, data):
        self._process.call("uart", uart=number, data=data.decode("latin1"))

    def _handle(self, event):
        kind = event["event"]
        if kind == "i2c":
            self._buses.handle(event)
        elif kind == "usb":
            self.console.feed(event["data"].encode("latin1"))
        elif kind == "uart":
            self._uarts[event["uart"]].feed(event["data"].encode("latin1"))
        elif kind == "pin":
            self.outputs.append((event["pin"], event["level"]))
        elif kind == "boot":
            self.usb_connected = False
            self.boots.append(event["reason"])
        elif kind == "connected":
            self.usb_connected = True
        elif kind == "link":
            self.link_up = event["up"]
        elif kind == "trouble":
            self.troubles.append(event["text"])
        elif kind == "ready":
            self.udp_port = event["port"]
            self._ready = True
