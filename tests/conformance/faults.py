"""Rules of CoAP, broken one at a time.

A fault sits between a node and its socket and changes what comes and what goes, so that it breaks
a rule of the protocol whatever the engine looks like inside.
"""

from client import ACK, CON, EMPTY, NON, OBSERVE, RST, Failed, decode


class Fault:
    """A node without a fault; others change `arriving` or `leaving`.

    Both take and return bytes; None loses the message. `answered` sees what the node answers to a
    datagram, None for nothing, and may invent an answer.
    """

    copies = 1  # of what is sent
    all_are_one = False  # whoever sends is the same peer

    def arriving(self, data):
        return data

    def leaving(self, data):
        return data

    def answered(self, data, answer):
        return answer


class Edit(Fault):
    """Changes messages that go out by a function of the Message; it returns None to lose one."""

    def __init__(self, edit):
        self.edit = edit

    def leaving(self, data):
        message = self.edit(decode(data))
        return message.encode() if message else None


class Forgetful(Fault):
    """Executes what is repeated: every request gets another MID on its way in."""

    def __init__(self):
        self.mid = 0

    def arriving(self, data):
        self.own = data[2:4]
        if len(data) < 4 or not 0 < data[1] < 32:
            return data
        self.mid = (self.mid + 1) & 0xFFFF
        return data[:2] + self.mid.to_bytes(2, "big") + data[4:]

    def answered(self, data, answer):
        if answer and answer[0] & 0x30 == 0x20:
            answer = answer[:2] + self.own + answer[4:]
        return answer


class Deaf(Fault):
    """Hears neither ACK nor RST."""

    def arriving(self, data):
        return None if data and data[0] & 0x20 else data


class Talkative(Fault):
    """Answers what nobody may answer."""

    def answered(self, data, answer):
        return answer or b"\x60\x45" + (data + bytes(4))[2:4]


class Blind(Fault):
    """Does not see options with these numbers in requests."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def arriving(self, data):
        try:
            message = decode(data)
        except Failed:
            return data
        message.options = [option for option in message.options if option[0] not in self.numbers]
        return message.encode()


def coded(**codes):
    """Another code: coded(c205="5.00")."""

    def edit(message):
        wanted = codes.get("c" + message.code.replace(".", ""))
        message.code = wanted or message.code
        return message

    return Edit(edit)


def without(*numbers):
    """Options are missing; all when none is named."""

    def edit(message):
        message.options = [
            option for option in message.options if numbers and option[0] not in numbers
        ]
        return message

    return Edit(edit)


def replaced(number, value):
    """An option has another value."""

    def edit(message):
        message.options = [
            (other, value if other == number else old) for other, old in message.options
        ]
        return message

    return Edit(edit)


def typed(**kinds):
    """Another type: typed(con=NON)."""

    def edit(message):
        message.kind = kinds.get(("con", "non", "ack", "rst")[message.kind], message.kind)
        return message

    return Edit(edit)


def garbled():
    """Payloads are not what they should be."""

    def edit(message):
        if message.payload:
            message.payload = b"?" * len(message.payload)
        return message

    return Edit(edit)


def short():
    """Payloads lack their last byte."""

    def edit(message):
        message.payload = message.payload[:-1]
        return message

    return Edit(edit)


def same_mid():
    """All messages that are no answer in an ACK have one MID."""

    def edit(message):
        if message.kind == NON:
            message.mid = 7
        return message

    return Edit(edit)


def another_token():
    """The token is not the one that came."""

    def edit(message):
        message.token = message.token[:-1] + b"?" if message.token else b"?"
        return message

    return Edit(edit)


def unknown_options():
    """Answers have a critical option that nobody knows."""

    def edit(message):
        if message.code != EMPTY:
            message.options.append((65001, b""))
        return message

    return Edit(edit)


class NoEnd(Fault):
    """Does not see an Observe that ends an observation."""

    def arriving(self, data):
        try:
            message = decode(data)
        except Failed:
            return data
        message.options = [option for option in message.options if option != (OBSERVE, b"\1")]
        return message.encode()


class EndsByGet(Fault):
    """Takes a plain GET for the end of the observation before it."""

    def __init__(self):
        self.observing = self.asking = None

    def arriving(self, data):
        message = decode(data)
        self.asking = None
        if message.code == "0.01" and message.all(OBSERVE) == [b""]:
            self.observing = message.token
        elif message.code == "0.01" and self.observing:
            self.asking, message.token = message.token, self.observing
            message.options.append((OBSERVE, b"\1"))
        return message.encode()

    def answered(self, data, answer):
        if answer and self.asking is not None:
            message = decode(answer)
            message.token = self.asking
            answer = message.encode()
        return answer


class Twice(Fault):
    """Sends everything twice."""

    copies = 2


class OneClient(Fault):
    """Does not tell clients apart."""

    all_are_one = True


FAULTS = {
    "none": Fault(),
    "forgetful": Forgetful(),
    "deaf": Deaf(),
    "talkative": Talkative(),
    "blind to critical options": Blind(65001, 1, 5, 9, 35, 39),
    "blind to conditions": Blind(1, 5, 4),
    "blind to Accept": Blind(17),
    "blind to blocks": Blind(23, 27),
    "blind to Observe": Blind(6),
    "blind to Echo": Blind(252),
    "blind to No-Response": Blind(258),
    "blind to Request-Tag": Blind(292),
    "blind to queries": Blind(15),
    "accepts all": coded(
        c400="2.05",
        c401="2.05",
        c402="2.05",
        c404="2.05",
        c405="2.05",
        c406="2.05",
        c408="2.31",
        c412="2.04",
        c413="2.31",
        c415="2.04",
        c422="2.04",
        c505="2.05",
    ),  # fmt: skip
    "fails all": coded(
        c201="5.00", c202="5.00", c203="5.00", c204="5.00", c205="5.00", c231="5.00"
    ),
    "no options": without(),
    "no Block1 in answers": without(27),
    "Observe stands still": replaced(OBSERVE, b"\x05"),
    "no RST": Edit(lambda message: None if message.kind == RST else message),
    "ACK for RST": typed(rst=ACK),
    "CON for all": typed(non=CON, ack=CON),
    "no empty ACK": Edit(
        lambda message: None if (message.kind, message.code) == (ACK, EMPTY) else message
    ),
    "same MID": same_mid(),
    "garbled payload": garbled(),
    "short payload": short(),
    "another token": another_token(),
    "unknown options": unknown_options(),
    "no end of observations": NoEnd(),
    "a GET ends it": EndsByGet(),
    "all twice": Twice(),
    "all clients are one": OneClient(),
}
