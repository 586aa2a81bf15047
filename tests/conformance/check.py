"""What a check is, and how one is run against a server."""

import time
from dataclasses import dataclass, field

from client import Failed

PASS, FAIL, NOT_OFFERED, NOT_APPLICABLE = "pass", "FAIL", "-", "n/a"

CHECKS = []


@dataclass
class Check:
    """One behaviour. section: of the RFC; plugtest: the test description that it automates;
    needs: names of plugtest resources; locks: those of them that no other check may use meanwhile.
    """

    section: str
    behaviour: str
    plugtest: str
    needs: tuple
    locks: tuple
    module: str
    function: object

    @property
    def name(self):
        """Module and function, such as "block.early"."""
        return f"{self.module}.{self.function.__name__}"


@dataclass
class Result:
    """What came of a check: PASS, FAIL, NOT_OFFERED or NOT_APPLICABLE, and why."""

    outcome: str
    why: str = ""
    seconds: float = 0.0


def check(section, behaviour, needs=(), plugtest="", alone=True):
    """Decorator: the function, called with a Subject, raises Failed when the server fails.

    alone: no other check uses its resources meanwhile.
    """

    def register(function):
        module = function.__module__.rpartition(".")[2]
        needed = (needs,) if isinstance(needs, str) else tuple(needs)
        locks = needed if alone else ()
        CHECKS.append(Check(section, behaviour, plugtest, needed, locks, module, function))
        return function

    return register


@dataclass
class Subject:
    """The server as a check sees it: resources by their plugtest names, and fresh clients."""

    server: object
    clients: list = field(default_factory=list)

    @property
    def clock(self):
        """By which its time passes."""
        return self.server.clock

    def client(self, address=None):
        """Return a client on a port of its own."""
        self.clients.append(self.server.make_client(address or self.server.address, self.clock))
        return self.clients[-1]

    def path(self, name):
        """Return where the server has a resource of the plugtest."""
        return self.server.paths[name]


def run(check, server):
    """Run one check. An answer that the check cannot read, whatever that raises, is a failure."""
    for name in (*check.needs, check.module, check.name):
        if name in server.lacks:
            return Result(NOT_APPLICABLE, server.lacks[name])
    if any(name not in server.paths for name in check.needs):
        return Result(NOT_OFFERED)
    subject = Subject(server)
    start = time.monotonic()
    try:
        check.function(subject, *[subject.path(name) for name in check.needs])
        result = Result(PASS)
    except Failed as failure:
        result = Result(FAIL, str(failure))
    except Exception as error:
        result = Result(FAIL, f"it answers what cannot be read: {error!r}")
    finally:
        for client in subject.clients:
            client.close()
    result.seconds = time.monotonic() - start
    return result


def want(condition, what, message=None):
    """Raise Failed with `what`, and the message that was seen, unless the condition holds."""
    if not condition:
        raise Failed(f"{what}: {message}" if message is not None else what)


def want_code(message, *codes):
    """Raise Failed unless the message has one of these codes; return the message."""
    want(message is not None, f"no message where {' or '.join(codes)} was due")
    want(message.code in codes, f"not {' or '.join(codes)}", message)
    return message
