"""A client under OSCORE (RFC 8613): aiocoap protects what it sends.

Each request goes inside the one that is sent. Messages without a code, and those that are no
response to these requests, pass as they are.
"""

import threading

import aiocoap
from aiocoap.optiontypes import OpaqueOption
from aiocoap.oscore import FilesystemSecurityContext, ProtectionInvalid

from coap.numbers import OBSERVE, OSCORE, URI_HOST
from conformance.client import METHODS, Client, Failed, Message, decode, number_of
from support import engine

# Options that aiocoap reads; it carries all others inside as they are.
READ = (OBSERVE, URI_HOST)
FIRST_CLASS_OF_RESPONSES = "2"


class Keys:
    """The clients' side of a Security Context, from a folder that `make keys` wrote.

    All clients share it, and each request has its own sender sequence number.
    """

    def __init__(self, folder):
        self.context = FilesystemSecurityContext(str(folder))
        self.lock = threading.Lock()

    def close(self):
        """Release the folder."""
        self.context._destroy()

    def client(self, address, clock):
        """Return a client with these keys."""
        return OscoreClient(address, clock, self)


class OscoreClient(Client):
    """A client whose requests go under OSCORE, and which takes no other responses to them."""

    def __init__(self, address, clock, keys):
        super().__init__(address, clock)
        self.keys = keys
        self.protected = {}  # (MID, token) of a request: what was sent
        self.request_ids = {}  # token: what unprotects the response

    def send(self, message):
        if message.code not in METHODS:
            return super().send(message)
        with self.keys.lock:  # sequence numbers go out in their order
            key = message.mid, message.token
            if key not in self.protected:
                outer, self.request_ids[message.token] = self.keys.context.protect(inner(message))
                outer.mtype, outer.mid, outer.token = message.kind, message.mid, message.token
                self.protected[key] = outer.encode()
            self.raw(self.protected[key])
        return message

    def decode(self, data):
        message = decode(data)
        if message.code[0] < FIRST_CLASS_OF_RESPONSES or message.token not in self.request_ids:
            return message
        if not message.all(OSCORE):
            raise Failed(f"a response without OSCORE: {message}")
        outer = aiocoap.Message.decode(data)
        try:
            found, _ = self.keys.context.unprotect(outer, self.request_ids[message.token])
        except ProtectionInvalid as error:
            raise Failed(f"a response that cannot be decrypted ({error}): {message}") from None
        options = [(int(one.number), value_of(one)) for one in found.opt.option_list()]
        code = f"{found.code >> 5}.{found.code & 31:02}"
        return Message(message.kind, code, message.mid, message.token, options, found.payload)


def inner(message):
    """Return the request as a message of aiocoap."""
    code = aiocoap.numbers.codes.Code(number_of(message.code))
    made = aiocoap.Message(code=code, payload=message.payload)
    for number, value in message.options:
        if number in READ:
            option = aiocoap.numbers.OptionNumber(number).create_option(decode=value)
        else:
            option = OpaqueOption(number, value)
        made.opt.add_option(option)
    return made


def value_of(option):
    """Return the value of an option. That of Observe is one more than what aiocoap makes of the
    Partial IV: it says -1 for a response without one (section 4.1.3.5.2).
    """
    return engine.uint(option.value + 1) if option.number == OBSERVE else option.encode()
