"""libcoap's coap-client as a function.

Its exit code says nothing about the answer (a timeout ends with 0 too), so the messages are read
from its debug output: a line `sent` or `received`, then one line that shows the message.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass, field

import pytest
from processes import program

MESSAGE = re.compile(
    r"^.* UDP : (?P<way>sent|received) \d+ bytes\n"
    r"v:1 t:(?P<type>CON|NON|ACK|RST) c:(?P<code>\S+) i:(?P<mid>[0-9a-f]{4}) "
    r"\{(?P<token>[0-9a-f]*)\} \[ ?(?P<options>.*?) ?\](?: :: (?P<payload>.*))?$",
    re.MULTILINE,
)
BREAK_S = 5


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
    def reply(self):
        """The response: the last message received that is not Empty."""
        return [m for m in self.messages if m.way == "received" and m.code != "0.00"][-1]


def request(url, method="get", payload=None, content_format=None, accept=None, non=False, more=()):
    """Send one request; the test fails with the whole transcript when no response comes.

    `more` holds further arguments of coap-client. A text payload must not need percent-encoding.
    """
    client = program("coap-client-notls", "coap-client", package="libcoap3-bin")
    with tempfile.NamedTemporaryFile() as file:
        command = [client, "-v", "7", "-B", str(BREAK_S), "-m", method, "-o", file.name]
        for flag, value in (("-e", payload), ("-t", content_format), ("-A", accept)):
            command += [] if value is None else [flag, str(value)]
        command += [*(["-N"] if non else []), *more, url]
        done = subprocess.run(command, capture_output=True, timeout=BREAK_S + 5)
        body = file.read()
    printed = (done.stdout + done.stderr).decode(errors="backslashreplace")
    exchange = Exchange(messages_in(printed), body, f"$ {' '.join(command)}\n{printed}")
    answers = [m for m in exchange.messages if m.way == "received" and m.code != "0.00"]
    if done.returncode or not answers:
        pytest.fail(f"coap-client got no response:\n{exchange.transcript}")
    return exchange


def messages_in(printed):
    """Return the messages that coap-client's debug output shows."""
    messages = []
    for match in MESSAGE.finditer(printed):
        parts = match.groupdict()
        options = [text.partition(":")[::2] for text in parts["options"].split(", ") if text]
        parts["payload"] = (parts["payload"] or "").strip("'")
        messages.append(Message(**{**parts, "options": options}))
    return messages
