"""Observe (RFC 7641): TD_COAP_OBS_01 to 14, and more than one observer.

A PUT makes a resource change at once, so that most checks need not wait for its period.
"""

import os

from coap.numbers import CON, CONTENT_FORMAT, JSON, NON, OBSERVE, TEXT
from conformance.check import check, want, want_code
from conformance.checks.block import rest
from conformance.client import SILENCE_S

PERIOD_S = 6.5  # longer than what a resource needs to change by itself
ABANDONED_S = 100  # longer than MAX_TRANSMIT_WAIT
LAST_RETRANSMISSION_S = 46
ACK_TIMEOUT_S = 1.9
RETRANSMITTED_S = 3.2  # ACK_TIMEOUT * ACK_RANDOM_FACTOR is over by then


class Observation:
    """An observation of one resource, from its registration until its client is closed."""

    def __init__(self, client, path, kind=CON, **parts):
        self.client = client
        self.path = path
        self.token = os.urandom(4)
        self.request = client.request("GET", path, kind, self.token, observe=0, **parts)
        self.first = client.response(client.send(self.request))
        want_code(self.first, "2.05")
        self.number = self.first.uint(OBSERVE)
        want(self.number is not None, "registered without Observe in the response", self.first)
        self.form = self.first.uint(CONTENT_FORMAT)
        client.endings = (*client.endings, self.close)

    def next(self, seconds=PERIOD_S, acknowledge=True):
        """Return the next notification, checked."""
        message = self.client.notification(self.token, seconds, acknowledge)
        want(message is not None, f"no notification within {seconds} s")
        want_code(message, "2.05")
        number = message.uint(OBSERVE)
        want(number is not None, "a notification without Observe", message)
        ahead = (number - self.number) % (1 << 24)
        want(0 < ahead < 1 << 23, f"its number is not newer than {self.number}", message)
        want(message.uint(CONTENT_FORMAT) == self.form, "another Content-Format", message)
        self.number = number
        return message

    def ended(self, seconds=1.0):
        """Check that no notification comes any more, though the resource changes."""
        message = self.client.notification(self.token, seconds)
        want(message is None, "a notification after the end", message)

    def close(self):
        """Deregister: an observer that is left would get messages at a port that is closed."""
        self.client.ask("GET", self.path, token=self.token, observe=1)


def change(subject, path, payload, content_format=TEXT, code="2.04"):
    """Another client changes the resource."""
    client = subject.client()
    response = client.ask("PUT", path, payload=payload, content_format=content_format)
    want_code(response, code)


def undisturbed(subject, path):
    """Return an Observation that begins after a PUT, which restarts the resource's own period."""
    change(subject, path, b"at first")
    return Observation(subject.client(), path)


@check("7641 3.2", "CON notifications, numbers go up", "obs-clock", plugtest="OBS_01")
def con(subject, obs):
    observation = Observation(subject.client(), obs)
    for _ in range(2):
        message = observation.next()
        want(message.kind == CON, "not CON", message)


@check("7641 3.2", "NON notifications, numbers go up", "obs-non", plugtest="OBS_02")
def non(subject, obs):
    observation = Observation(subject.client(), obs, NON)
    observation.next()  # may be confirmable, to verify the client's address
    for _ in range(2):
        message = observation.next()
        want(message.kind == NON, "not NON", message)


@check("7641 3.3.1", "registered again by the same token: one observation", "obs", "OBS_04")
def again(subject, obs):
    observation = undisturbed(subject, obs)
    client = observation.client
    request = client.request("GET", obs, token=observation.token, observe=0)
    response = client.response(client.send(request))
    want(response.uint(OBSERVE) is not None, "not registered again", response)
    change(subject, obs, b"for one")
    observation.next(2)
    observation.ended(SILENCE_S)


@check("7641 4.5", "client off: retransmissions carry the newest state", "obs", "OBS_05")
def newest(subject, obs):
    observation = undisturbed(subject, obs)
    client = observation.client
    change(subject, obs, b"older")
    first = client.notification(observation.token, 2, acknowledge=False)
    want(first is not None and first.payload == b"older", "no notification", first)
    change(subject, obs, b"newer")
    second = client.notification(observation.token, 4, acknowledge=False)
    want(second is not None, "no retransmission")
    want(second.payload == b"newer", "the retransmission carries the older state", second)
    want(second.uint(OBSERVE) != first.uint(OBSERVE), "its number is the older one", second)
    client.acknowledge(second)


@check("7641 3.6", "RST ends the observation", "obs", plugtest="OBS_06")
def reset(subject, obs):
    observation = undisturbed(subject, obs)
    client = observation.client
    change(subject, obs, b"one")
    client.reset(observation.next(2, acknowledge=False))
    change(subject, obs, b"two")
    observation.ended(RETRANSMITTED_S)


@check("7641 3.6", "RST to a NON notification ends it too", "obs-non")
def reset_non(subject, obs):
    observation = undisturbed(subject, obs)
    client = observation.client
    change(subject, obs, b"one")
    client.reset(observation.next(2, acknowledge=False))
    change(subject, obs, b"two")
    observation.ended()


@check("7641 3.2", "DELETE: 4.04 without Observe is the last", ("obs", "obs-delete"), "OBS_07")
def deleted(subject, obs, _):
    observation = undisturbed(subject, obs)
    client = observation.client
    want_code(subject.client().ask("DELETE", obs), "2.02")
    last = client.notification(observation.token, 2)
    absent = client.ask("GET", obs)
    change(subject, obs, b"back", code="2.01")
    want_code(last, "4.04")
    want(last.uint(OBSERVE) is None, "it has an Observe option", last)
    want_code(absent, "4.04")
    observation.ended()
    want_code(client.ask("GET", obs), "2.05")


@check("7641 4.2", "another Content-Format: 4.06 is the last", ("obs", "obs-format"), "OBS_08")
def other_format(subject, obs, _):
    observation = undisturbed(subject, obs)
    client = observation.client
    change(subject, obs, b"{}", JSON)
    last = client.notification(observation.token, 2)
    change(subject, obs, b"text again")
    want_code(last, "4.06")
    want(last.uint(OBSERVE) is None, "it has an Observe option", last)
    observation.ended()


@check("7641 4.2", "the notification of a PUT has its payload", "obs", plugtest="OBS_09")
def updated(subject, obs):
    observation = undisturbed(subject, obs)
    for payload in (b"one", b"two", b"three"):
        change(subject, obs, payload)
        message = observation.next(2)
        want(message.payload == payload, "not what was put", message)


@check("7641 3.6", "a plain GET does not end it", "obs", plugtest="OBS_10")
def plain_get(subject, obs):
    observation = undisturbed(subject, obs)
    client = observation.client
    response = client.ask("GET", obs)
    want_code(response, "2.05")
    want(response.uint(OBSERVE) is None, "Observe in a plain response", response)
    want(response.uint(CONTENT_FORMAT) == observation.form, "another Content-Format", response)
    change(subject, obs, b"still there")
    observation.next(2)


@check("7641 4.5.1", "one CON notification at a time", "obs", plugtest="OBS_11")
def one_at_a_time(subject, obs):
    observation = undisturbed(subject, obs)
    client = observation.client
    times = []
    end = subject.clock.now_s() + 4.5
    change(subject, obs, b"0")
    while (left := end - subject.clock.now_s()) > 0:
        message = client.notification(observation.token, min(left, 0.7), acknowledge=False)
        if message is None:
            change(subject, obs, str(left).encode())
        else:
            times.append(subject.clock.now_s())
    want(len(times) >= 2, f"{len(times)} transmissions in 4.5 s")
    gaps = [later - sooner for sooner, later in zip(times, times[1:], strict=False)]
    want(min(gaps) > ACK_TIMEOUT_S, f"the next after {min(gaps):.1f} s, without an ACK")
    client.acknowledge(message or client.notification(observation.token, PERIOD_S, False))


@check("7641 3.6", "Observe 1 ends it: 2.05 without Observe", "obs", plugtest="OBS_12")
def deregister(subject, obs):
    observation = undisturbed(subject, obs)
    client = observation.client
    response = client.ask("GET", obs, token=observation.token, observe=1)
    want_code(response, "2.05")
    want(response.uint(OBSERVE) is None, "Observe in the response", response)
    change(subject, obs, b"unheard")
    observation.ended()


@check("7641 3", "large: first block in the notification", "obs-large", plugtest="OBS_13")
def large(subject, obs):
    client = subject.client()
    observation = Observation(client, obs)
    response = observation.first
    for _ in range(3):
        want(response.block(23) is not None, "without Block2", response)
        number, more, szx = response.block(23)
        whole = number == 0 and more and len(response.payload) == 16 << szx
        want(whole, "not a whole first block", response)
        rest(client, obs, response)
        response = observation.next()
        want(response.kind == CON, "not CON", response)


@check("7641 3", "with and without blocks in turns", "obs-pumping", plugtest="OBS_14")
def pumping(subject, obs):
    client = subject.client()
    observation = Observation(client, obs)
    seen = set()
    for _ in range(8):
        response = observation.next()
        blocks = response.block(23)
        seen.add(blocks is not None)
        if blocks:
            want(
                blocks[:2] == (0, 1) and len(response.payload) == 16 << blocks[2],
                "block",
                response,
            )
    want(seen == {True, False}, f"Block2: {seen}")


@check("7641 2", "several observers of one resource", "obs")
def several(subject, obs):
    observations = [undisturbed(subject, obs)]
    observations += [Observation(subject.client(), obs, kind) for kind in (NON, CON)]
    change(subject, obs, b"to all")
    for observation in observations:
        want(observation.next(2).payload == b"to all", "another state")


@check("7641 4.1", "not observable: 2.05 without Observe", "get-only")
def not_observable(subject, path):
    response = subject.client().ask("GET", path, observe=0)
    want_code(response, "2.05")
    want(response.uint(OBSERVE) is None, "registered", response)


@check("7641 4.1", "an error is no registration", "store")
def error(subject, store):
    client = subject.client()
    name = f"{store}/absent"
    client.ask("DELETE", name)
    request = client.send(client.request("GET", name, observe=0))
    want_code(client.response(request), "4.04")
    change(subject, name, b"there", code="2.01")
    message = client.notification(request.token, SILENCE_S)
    want(message is None, "a notification", message)
    client.ask("DELETE", name)


@check("7641 4.2", "a change of one name notifies its observers only", "store")
def by_name(subject, store):
    client = subject.client()
    names = [f"{store}/one", f"{store}/two"]
    for name in names:
        client.ask("PUT", name, payload=b"0", content_format=TEXT)
    one, two = [Observation(client, name) for name in names]
    change(subject, names[1], b"1")
    want(two.next(2).payload == b"1", "another state")
    one.ended(SILENCE_S)
    client.ask("DELETE", names[0])
    want_code(client.notification(one.token, 2), "4.04")
    two.ended(SILENCE_S)
    client.ask("DELETE", names[1])
