"""What strangers may cost: a rate for each, and bytes for addresses that are not verified.

Requests with known keys count by their keys, others by host and by network. Responses to requests
without keys that are longer than three times the request and 136 bytes (RFC 9175 section 2.4) take
from a budget; beyond it the client must return an Echo.
"""

import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import aiocoap
import aiocoap.error
from aiocoap.numbers.codes import Code

from .contexts import context_of

HOSTS_MAX = 4096
NETWORK_FACTOR = 10  # of the rate of a host
SAFE_BYTES = 136
BUDGET_BYTES = 64 * 1024
BUDGET_S = 10
ECHO_S = 60  # an Echo is good for this to twice this time
HEADER_BYTES = 32  # of a request beside its payload, at least
# Critical options that aiocoap or the resources understand (RFC 7252, 7641, 7959, 8613)
UNDERSTOOD = {1, 3, 5, 7, 9, 11, 15, 17, 23, 27}


class Guard:
    """Limits of all requests. rate_hz: requests a second that a host or a key may send."""

    def __init__(self, rate_hz: float, now: Callable[[], float]):
        self._rate_hz, self._now = rate_hz, now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._secret = secrets.token_bytes(16)
        self._spent, self._spent_since_s = 0, 0.0
        self.refused = 0

    def admit(self, request: aiocoap.Message) -> None:
        """Raise the error for a request that is refused: 4.29, or 4.02 for an unknown option."""
        context = context_of(request.remote)
        if context is not None:
            places = [(f"key {context.key}", self._rate_hz)]
        else:
            host, network = host_of(request.remote)
            places = [(host, self._rate_hz), (network, NETWORK_FACTOR * self._rate_hz)]
        if not all(self._take(place, rate_hz) for place, rate_hz in places):
            self.refused += 1
            raise TooManyRequests
        for option in request.opt.option_list():
            if option.number.is_critical() and int(option.number) not in UNDERSTOOD:
                raise aiocoap.error.BadOption(f"option {int(option.number)}")

    def bound(self, request: aiocoap.Message, response: aiocoap.Message) -> aiocoap.Message:
        """Return the response, or a demand for an Echo where it would be amplification."""
        beyond = len(response.payload) - max(SAFE_BYTES, 3 * (HEADER_BYTES + len(request.payload)))
        if beyond <= 0 or context_of(request.remote) is not None or self._has_echo(request):
            return response
        now_s = self._now()
        if now_s - self._spent_since_s >= BUDGET_S:
            self._spent, self._spent_since_s = 0, now_s
        self._spent += beyond
        if self._spent <= BUDGET_BYTES:
            return response
        self.refused += 1
        return aiocoap.Message(code=Code.UNAUTHORIZED, echo=self._echo(request, 0))

    def _take(self, place: str, rate_hz: float) -> bool:
        """Take one request from a bucket that holds those of two seconds."""
        now_s = self._now()
        left, since_s = self._buckets.pop(place, (2 * rate_hz, now_s))
        left = min(left + max(now_s - since_s, 0) * rate_hz, 2 * rate_hz)
        self._buckets[place] = (left - 1 if left >= 1 else left, now_s)
        if len(self._buckets) > HOSTS_MAX:
            self._buckets.popitem(last=False)
        return left >= 1

    def _has_echo(self, request: aiocoap.Message) -> bool:
        told = request.opt.echo or b""
        return any(hmac.compare_digest(told, self._echo(request, age)) for age in (0, 1))

    def _echo(self, request: aiocoap.Message, age: int) -> bytes:
        period = int(self._now() // ECHO_S) - age
        text = f"{request.remote.hostinfo} {period}"
        return hmac.digest(self._secret, text.encode(), "sha256")[:8]


class TooManyRequests(aiocoap.error.RenderableError):
    """A 4.29 (RFC 8516) that says when to try again."""

    def to_message(self) -> Any:
        """Return the response."""
        return aiocoap.Message(code=Code.TOO_MANY_REQUESTS, max_age=1)


def host_of(remote: Any) -> tuple[str, str]:
    """Return the address of a peer and its network, a /24 of IPv4 or a /64 of IPv6, as texts."""
    text = remote.hostinfo.rpartition(":")[0] if "]" not in remote.hostinfo else remote.hostinfo
    text = text.strip("[]").partition("]")[0].partition("%")[0] or remote.hostinfo
    try:
        address: Any = ipaddress.ip_address(text)
    except ValueError:
        return text, text
    address = getattr(address, "ipv4_mapped", None) or address
    bits = 24 if address.version == 4 else 64
    return str(address), str(ipaddress.ip_network((address, bits), strict=False))
