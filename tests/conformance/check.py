"""What a check is, and how one is run against a server."""

from dataclasses import dataclass, field

from conformance.client import Failed

PASS, FAIL, NOT_OFFERED, NOT_APPLICABLE = "pass", "FAIL", "-", "n/a"

CHECKS = []


@dataclass(frozen=True)
class Check:
    """One behaviour. section: of the RFC; plugtest: the test descriptions that it automates;
    needs: names of the plugtest's resources; locks: those of them that no other check may use
    meanwhile; slow: it takes minutes.
    """

    section: str
    behaviour: str
    plugtest: str
    needs: tuple
    locks: tuple
    slow: bool
    function: object

    @property
    def topic(self):
        """The module, such as "block"."""
        return self.function.__module__.rpartition(".")[2]

    @property
    def name(self):
        """Topic and function, such as "block.early"."""
        return f"{self.topic}.{self.function.__name__}"


@dataclass
class Result:
    """What came of a check: PASS, FAIL, NOT_OFFERED or NOT_APPLICABLE, and why."""

    outcome: str
    why: str = ""


def check(section, behaviour, needs=(), plugtest="", alone=True, slow=False):
    """Decorate a function that is called with a Subject and the paths of what it `needs`, and
    raises Failed when the server fails.

    alone: no other check uses its resources meanwhile.
    """

    def register(function):
        needed = (needs,) if isinstance(needs, str) else tuple(needs)
        locks = needed if alone else ()
        CHECKS.append(Check(section, behaviour, plugtest, needed, locks, slow, function))
        return function

    return register


@dataclass
class Subject:
    """The server as a check sees it, with new clients."""

    server: object
    clients: list = field(default_factory=list)

    @property
    def clock(self):
        """By which its time passes."""
        return self.server.clock

    def client(self):
        """Return a client on a port of its own."""
        self.clients.append(self.server.make_client(self.server.address, self.clock))
        return self.clients[-1]


def unless_applicable(check, server):
    """Return why a check is not run against a server, as a Result; None when it is."""
    for name in (*check.needs, check.topic, check.name):
        if name in server.lacks:
            return Result(NOT_APPLICABLE, server.lacks[name])
    if any(name not in server.paths for name in check.needs):
        return Result(NOT_OFFERED)
    return None


def run(check, server):
    """Run one check and return its Result: FAIL also when a response cannot be read."""
    subject = Subject(server)
    try:
        check.function(subject, *[server.paths[name] for name in check.needs])
        return Result(PASS)
    except Failed as failure:
        return Result(FAIL, str(failure))
    except Exception as error:
        return Result(FAIL, f"a response that cannot be read: {error!r}")
    finally:
        for client in subject.clients:
            client.close()


def want(condition, what, message=None):
    """Raise Failed with `what`, and the message that was seen, unless the condition holds."""
    if not condition:
        raise Failed(f"{what}: {message}" if message is not None else what)


def want_code(message, *codes):
    """Return the message. Raises Failed unless it has one of these codes."""
    want(message is not None, f"no message instead of {' or '.join(codes)}")
    want(message.code in codes, f"not {' or '.join(codes)}", message)
    return message
