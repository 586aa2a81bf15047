"""Observe (RFC 7641): a client that is gone is given up. This takes as long as RFC 7252 says."""

from conformance.check import check, want
from conformance.checks.observe import ABANDONED_S, LAST_RETRANSMISSION_S, Observation


@check(
    "7641 4.5",
    "client off: notifications end for good",
    "obs-abandoned",
    "OBS_05",
    alone=False,
    slow=True,
)
def abandoned(subject, obs):
    client = subject.client()
    observation = Observation(client, obs)
    start = subject.clock.now_s()
    first = None
    count = 0
    while (elapsed_s := subject.clock.now_s() - start) < ABANDONED_S:
        message = client.notification(observation.token, 5, acknowledge=False)
        if message is not None:
            first = first or subject.clock.now_s()
            count += 1
            late_s = subject.clock.now_s() - first
            want(late_s < LAST_RETRANSMISSION_S, f"one more after {late_s:.0f} s", message)
        if first and subject.clock.now_s() - first > ABANDONED_S - 5:
            break
    want(count >= 3, f"{count} transmissions in {elapsed_s:.0f} s")
