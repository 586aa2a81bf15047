"""class Pico: an emulated Raspberry Pi Pico with power, wires, buses, lines and a network."""

import time
from pathlib import Path

from emulator import parts
from emulator.buses import Buses, machine
from emulator.link import ANSWER_LIMIT_S, START_LIMIT_S, Link
from emulator.repl import Repl
from emulator.stream import Stream
from setup.console import Problem

COAP_PORT = 5683
UNIQUE_ID = bytes.fromhex("e6614c311b5c1e2d")
PINS = 30
FIRST_ADC_PIN = 26
LAST_ADC_PIN = 29
POLL_S = 0.01
STEP_MS = 5
SLOWEST_S_PER_MS = 0.1  # of this computer's time, for one of a busy Pico; more: it hangs


class Pico:
    """An emulated Pico, without power at first; use it in a `with` statement.

    Args:
        firmware: a UF2 file, or the plain image (.bin) from the start of flash memory on.
        flash: file that keeps the 2 MiB of flash memory; None forgets them at the end. The
            firmware is written into it at each start, the file system in it stays.
        realtime: False: time moves only while a method here waits for something, and sleeps of
            the firmware take none of this computer's. True: it goes with this computer's clock.
        udp_port: port of this computer that leads to the CoAP port of the firmware, 0 for a free
            one; the firmware has it over PPP on UART `ppp_uart` (None: no PPP, that UART is free).
        udp_host: the address that has the port.
        ppp_baud: speed of what PPP sends to the firmware; None for the one that the firmware set.
        seed: of the random numbers that the chip's ring oscillator gives.
        unique_id: the 8 bytes of machine.unique_id().

    Attributes:
        console: Stream of the USB serial line.
        udp_port: the port that leads to the firmware's CoAP port.
        boots: what started the chip, one entry per boot: "power", "button", "software" (also the
            end of a deep sleep) or "watchdog".
        link_up: PPP has an IP connection.
        outputs: (pin, level) of each change of the pins given to watch().

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
        seed=1,
        unique_id=UNIQUE_ID,
    ):
        if not Path(firmware).is_file():
            raise Problem(f"there is no firmware {firmware}: run `make firmware BOARD=PICO_EMU`")
        self.realtime = realtime
        self.boots = []
        self.link_up = False
        self.usb_connected = False
        self.outputs = []
        self.troubles = []
        self.console = Stream("console", self._type, self.run_until)
        self._uarts = [
            Stream(f"UART {n}", lambda data, n=n: self._send_uart(n, data), self.run_until)
            for n in (0, 1)
        ]
        self._port = None
        self._ready = False
        self._buses = Buses(lambda answer: self._link.send({"answer": answer}))
        options = {
            "image": str(firmware),
            "bootrom": str(parts.bootrom()),
            "flash": str(flash) if flash else None,
            "realtime": realtime,
            "pppUart": ppp_uart,
            "pppBaud": ppp_baud,
            "udp": {"host": udp_host, "port": udp_port, "guestPort": COAP_PORT},
            "seed": seed,
            "id": list(unique_id),
        }
        self._link = Link(options, self._take)
        try:
            if not self._link.wait_for(lambda: self._ready, START_LIMIT_S):
                raise Problem(f"the emulated Pico did not start within {START_LIMIT_S} s")
        except BaseException:
            self.close()
            raise
        self.udp_port = self._port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the emulator."""
        self._link.close()
        machine.clock.release()

    # Power and time

    def power(self, on=True):
        """Switch the supply; without it, what is in memory is gone. The file system stays."""
        self._link.ask("power", on=on)

    def reset(self):
        """Press the reset button."""
        self._link.ask("reset")

    def set_realtime(self, on):
        """Go with this computer's clock from now on, or only when told to."""
        self.realtime = on
        self._link.ask("realtime", on=on)

    @property
    def now_ms(self):
        """Milliseconds on the Pico's clock since the emulator started, across resets."""
        return self._link.ask("time")

    def run_ms(self, span_ms):
        """Let `span_ms` of the Pico's time pass.

        Raises:
            Problem: the emulator hangs; it is ended then.
        """
        self._link.ask("run", ANSWER_LIMIT_S + span_ms * SLOWEST_S_PER_MS, ms=span_ms)

    def run_until(self, condition, limit_ms=5000, step_ms=STEP_MS):
        """Let the Pico run until condition() is true; False when `limit_ms` were not enough."""
        if self.realtime:
            end = time.monotonic() + limit_ms / 1000
            while not condition():  # not within the wait: events have to come while it is asked
                if time.monotonic() > end:
                    return False
                self._link.wait_for(lambda: False, POLL_S)
            return True
        left_ms = limit_ms
        while not condition():
            if left_ms <= 0:
                return False
            self.run_ms(min(step_ms, left_ms))
            left_ms -= step_ms
        return True

    # Wires

    def pin(self, number, level):
        """Put 0 or 1 on a GPIO from outside; None leaves it open to its pull."""
        self._check_pin(number)
        self._link.ask("pin", pin=number, level=None if level is None else int(bool(level)))

    def pin_state(self, number):
        """The level of a GPIO, 0 or 1, whoever it comes from."""
        self._check_pin(number)
        return self._link.ask("level", pin=number)

    def watch(self, number):
        """Collect the changes of a GPIO's level in `outputs`."""
        self._check_pin(number)
        self._link.ask("watch", pin=number)

    def adc(self, number, mv):
        """Put a voltage, in mV, on GPIO 26 to 29."""
        if not FIRST_ADC_PIN <= number <= LAST_ADC_PIN:
            raise Problem(f"GPIO {number} has no ADC: use {FIRST_ADC_PIN} to {LAST_ADC_PIN}")
        self._link.ask("adc", channel=number - FIRST_ADC_PIN, mv=mv)

    def i2c(self, bus, chip, address=None):
        """Solder a register model of tools/simulator/chips to I2C `bus`; returns it."""
        self._buses.attach(bus, chip, address)
        return chip

    def i2c_remove(self, bus, address):
        """Unsolder a chip."""
        self._buses.detach(bus, address)

    # Lines

    def uart(self, number):
        """The Stream of UART 0 or 1 (not of that with PPP on it)."""
        return self._uarts[number]

    def repl(self, limit_ms=10_000):
        """A raw REPL on the console, once USB is there; interrupts what runs."""
        self.run_until(lambda: self.usb_connected, limit_ms)
        return Repl(self.console, limit_ms)

    def counters(self):
        """Boots, and what the PPP peer and the network behind it have seen, as a dict."""
        return self._link.ask("counters")

    @property
    def pid(self):
        """Of the emulator's process."""
        return self._link.process.pid

    @staticmethod
    def _check_pin(number):
        if not 0 <= number < PINS:
            raise Problem(f"a Pico has no GPIO {number}: use 0 to {PINS - 1}")

    def _type(self, data):
        self._link.ask("usb", data=data.decode("latin1"))

    def _send_uart(self, number, data):
        self._link.ask("uart", uart=number, data=data.decode("latin1"))

    def _take(self, event):
        kind = event["event"]
        if kind == "i2c":
            self._buses.take(event)
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
            self._port = event["port"]
            self._ready = True
