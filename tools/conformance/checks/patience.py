"""Observe (RFC 7641): a client that is gone is given up. This takes as long as RFC 7252 says."""

import time

from registry import check, want

from .observe import ABANDONED_S, LAST_RETRANSMISSION_S, Observation


@check(
    "7641 4.5", "client off: notifications end for good", "obs-abandoned", "OBS_05", alone=False
)
def abandoned(subject, obs):
    client = subject.client()
    observation = Observation(client, obs)
    start = time.monotonic()
    first = None
    heard = 0
    while (elapsed_s := time.monotonic() - start) < ABANDONED_S:
        message = client.notification(observation.token, 5, acknowledge=False)
        if message is not None:
            first = first or time.monotonic()
            heard += 1
            late_s = time.monotonic() - first
            want(late_s < LAST_RETRANSMISSION_S, f"one more after {late_s:.0f} s", message)
        if first and time.monotonic() - first > ABANDONED_S - 5:
            break
    want(heard >= 3, f"{heard} transmissions in {elapsed_s:.0f} s")
