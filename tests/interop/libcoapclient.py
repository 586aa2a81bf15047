"""libcoap's coap-client as a function.

Its exit code says nothing about the answer (a timeout ends with 0 too), so the messages are read
from its debug output: a line `sent` or `received`, then one line that shows the message.
"""

import contextlib
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from processes import program

MESSAGE = re.compile(
    r"^.* UDP : (?P<way>sent|received) \d+ bytes\n"
    r"v:1 t:(?P<type>CON|NON|ACK|RST) c:(?P<code>\S+) i:(?P<mid>[0-9a-f]{4}) "
    r"\{(?P<token>[0-9a-f]*)\} \[ ?(?P<options>.*?) ?\](?: :: (?P<payload>.*))?$",
    re.MULTILINE,
)
BREAK_S = 60  # without an answer it ends then
END_S = 30


@dataclass
class Message:
    """One message as coap-client shows it: options as text, formats by their names."""

    way: str
    type: str
    code: str
    mid: str
    token: str
    options: list = field(default_factory=list)
    payload: str = ""

    def option(self, name):
        """Return the values of an option, in their order."""
        return [value for option, value in self.options if option == name]


@dataclass
class Exchange:
    """What coap-client sent and received."""

    messages: list
    payload: bytes
    transcript: str

    @property
    def distinct(self):
        """The messages without repeats: on a busy computer, either side may send one again."""
        return without_repeats(self.messages)

    @property
    def response(self):
        """The response: the last message received that is not Empty."""
        return [m for m in self.messages if m.way == "received" and m.code != "0.00"][-1]


def request(url, method="get", payload=None, content_format=None, accept=None, non=False, more=()):
    """Send one request; the test fails with the whole transcript when no response comes.

    `more` holds further arguments of coap-client. A text payload must not need percent-encoding.
    """
    with tempfile.NamedTemporaryFile() as file:
        command = command_of(url, method, payload, content_format, accept, non, more, file.name)
        done = subprocess.run(command, capture_output=True, timeout=BREAK_S + END_S)
        printed, body = done.stdout + done.stderr, file.read()
    return answered(exchange_of(command, printed, body), done.returncode)


class Listener:
    """A client that runs until it is told to end: `messages` are those until now."""

    def __init__(self, process, printed, transcript):
        self.process = process
        self.printed = printed
        self.transcript = transcript

    @property
    def messages(self):
        return messages_in(Path(self.printed.name).read_text(errors="backslashreplace"))

    @property
    def distinct(self):
        return without_repeats(self.messages)

    def received(self, *codes):
        """The messages that came with one of these codes."""
        return [m for m in self.messages if m.way == "received" and m.code in codes]

    def until(self, is_so):
        """Wait until is_so() is true; a client that ends first, or hangs, fails the test."""
        end = time.monotonic() + BREAK_S
        while not is_so():
            ended = self.process.poll() is not None and not is_so()
            if ended or time.monotonic() > end:
                text = Path(self.printed.name).read_text(errors="backslashreplace")
                pytest.fail(f"coap-client did not see it:\n{self.transcript}{text}")
            time.sleep(0.02)


@contextlib.contextmanager
def listening(url, non=False, more=(), ended=signal.SIGINT):
    """Send one request to what answers more than once; the block begins with the first answer.

    At its end the client gets the signal `ended`. Its Exchange is then the `exchange` of the
    Listener that the block got.
    """
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as printed:
        command = command_of(url, "get", None, None, None, non, more, file.name)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT
        )
        listener = Listener(process, printed, f"$ {' '.join(command)}\n")
        try:
            listener.until(lambda: any(m.code != "0.00" for m in received_by(listener)))
            yield listener
            process.send_signal(ended)
            code = process.wait(END_S)
        finally:
            process.kill()
            process.wait()
        exchange = exchange_of(command, Path(printed.name).read_bytes(), file.read())
        listener.exchange = answered(exchange, 0 if code == -ended else code)


def observing(url, more=(), **options):
    """Observe a resource as listening() says; a client that ends by SIGINT deregisters."""
    return listening(url, more=["-s", str(10 * BREAK_S), *more], **options)


def received_by(exchange):
    """Return the messages that came."""
    return [m for m in exchange.messages if m.way == "received"]


def command_of(url, method, payload, content_format, accept, non, more, output):
    """Return the command line of coap-client, which writes what it gets to the file `output`."""
    client = program("coap-client-notls", "coap-client", package="libcoap3-bin")
    command = [client, "-v", "7", "-B", str(BREAK_S), "-m", method, "-o", output]
    for flag, value in (("-e", payload), ("-t", content_format), ("-A", accept)):
        command += [] if value is None else [flag, str(value)]
    return [*command, *(["-N"] if non else []), *more, url]


def exchange_of(command, printed, body):
    """Return what the debug output of a client shows."""
    printed = printed.decode(errors="backslashreplace")
    return Exchange(messages_in(printed), body, f"$ {' '.join(command)}\n{printed}")


def answered(exchange, code):
    """Return an exchange that brought a response; the test fails with any other one."""
    if code or not [m for m in received_by(exchange) if m.code != "0.00"]:
        pytest.fail(f"coap-client got no response:\n{exchange.transcript}")
    return exchange


def without_repeats(messages):
    """Return each message where it was seen first."""
    first = {}
    for message in messages:
        first.setdefault((message.way, message.type, message.code, message.mid), message)
    return list(first.values())


def messages_in(printed):
    """Return the messages that coap-client's debug output shows."""
    messages = []
    for match in MESSAGE.finditer(printed):
        parts = match.groupdict()
        options = [text.partition(":")[::2] for text in parts["options"].split(", ") if text]
        parts["payload"] = (parts["payload"] or "").strip("'")
        messages.append(Message(**{**parts, "options": options}))
    return messages
