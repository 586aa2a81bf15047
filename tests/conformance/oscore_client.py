"""The same checks inside OSCORE (RFC 8613): what a client sends is protected by aiocoap.

The client stays as it is, and each request is put into the one that goes out. Messages without
code and what is no answer to these requests pass as they are.
"""

import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import aiocoap
from aiocoap.optiontypes import OpaqueOption
from aiocoap.oscore import FilesystemSecurityContext, ProtectionInvalid
from client import METHODS, OBSERVE, OSCORE, URI_HOST, Client, Failed, Message, decode, uint
from clocks import Wall

import make_keys

_OUTSIDE = "it is about what is outside of OSCORE"
# Topics and checks that do not apply
OUTSIDE = {
    "hostile": _OUTSIDE,
    "options.host_lengths": _OUTSIDE,
    "options.proxy": _OUTSIDE,
    "extensions.no_keys": _OUTSIDE,
    "group": "OSCORE is between two",
}
# Options that aiocoap has to look into; all others go inside as they are
READ = (OBSERVE, URI_HOST)
CLASS_OF_RESPONSES = "2"


class SecuredServer:
    """A server with keys that were made for it: make_server(file) makes it, and has it load them.
    `make_client`: makes a client with the keys of the other end; `clock`: of the server.
    """

    def __init__(self, make_server):
        self.make_server = make_server
        self.held = ExitStack()

    def start(self):
        """Start it."""
        folder = self.held.enter_context(tempfile.TemporaryDirectory())
        made = make_keys.make("node", keys=Path(folder, "keys"))
        keys = Keys(next(made.glob(make_keys.GATEWAY + "*")))
        self.held.callback(keys.close)
        self.make_client = keys.client
        server = self.make_server(made / make_keys.NODE_FILE)
        self.held.callback(server.stop)
        server.start()
        self.port = server.port
        self.clock = getattr(server, "clock", Wall)

    def stop(self):
        """End it."""
        self.held.close()


class Keys:
    """The end of the client: aiocoap's context in a folder that `make keys` wrote.

    All clients have it together, each request with a number of its own.
    """

    def __init__(self, folder):
        self.context = FilesystemSecurityContext(str(folder))
        self.lock = threading.Lock()

    def close(self):
        """Let go of the folder."""
        self.context._destroy()

    def client(self, address, clock):
        """A client under these keys."""
        return SecuredClient(address, clock, self)


class SecuredClient(Client):
    """A client whose requests go under OSCORE; each answer to them has to come under it too."""

    def __init__(self, address, clock, keys):
        super().__init__(address, clock)
        self.keys = keys
        self.protected = {}  # (MID, token) of a request: what went out
        self.asked = {}  # token: what the answer belongs to

    def send(self, message):
        if message.code not in METHODS:
            return super().send(message)
        with self.keys.lock:  # numbers are to go out in their order
            key = message.mid, message.token
            if key not in self.protected:
                outer, self.asked[message.token] = self.keys.context.protect(inner_of(message))
                outer.mtype, outer.mid, outer.token = message.kind, message.mid, message.token
                self.protected[key] = outer.encode()
            self.raw(self.protected[key])
        return message

    def decode(self, data):
        message = decode(data)
        if message.code[0] < CLASS_OF_RESPONSES or message.token not in self.asked:
            return message
        if not message.all(OSCORE):
            raise Failed(f"an answer without OSCORE: {message}")
        outer = aiocoap.Message.decode(data)
        try:
            inner, _ = self.keys.context.unprotect(outer, self.asked[message.token])
        except ProtectionInvalid as error:
            raise Failed(f"an answer that cannot be opened ({error}): {message}") from None
        options = [(int(one.number), value_of(one)) for one in inner.opt.option_list()]
        code = f"{inner.code >> 5}.{inner.code & 31:02}"
        return Message(message.kind, code, message.mid, message.token, options, inner.payload)


def inner_of(message):
    """The request as aiocoap has it."""
    detail = METHODS.index(message.code) + 1
    inner = aiocoap.Message(code=aiocoap.numbers.codes.Code(detail), payload=message.payload)
    for number, value in message.options:
        if number in READ:
            option = aiocoap.numbers.OptionNumber(number).create_option(decode=value)
        else:
            option = OpaqueOption(number, value)
        inner.opt.add_option(option)
    return inner


def value_of(option):
    """The value of an option. Of Observe it is the number that aiocoap makes of the Partial IV,
    and one more: -1 is that of an answer without one (section 4.1.3.5.2).
    """
    return uint(option.value + 1) if option.number == OBSERVE else option.encode()
