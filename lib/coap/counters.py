"""Counters since the start of a node, for /diag: indices of node.counters, and their names.

Not in numbers.py, since boards load COUNTER_NAMES. parse() counts the datagrams received:
node.view.index[DATAGRAM_COUNT], modulo 2**30.
"""

from micropython import const

COUNT_MALFORMED = const(0)  # format errors
COUNT_DUPLICATES = const(1)  # duplicates responded to from the cache or dropped
COUNT_RETRANSMISSIONS = const(2)
COUNT_GIVEN_UP = const(3)  # confirmable messages without an ACK
COUNT_NO_EXCHANGE = const(4)  # confirmable messages for which no exchange was free
COUNT_RESPONSES_EVICTED = const(5)  # cached responses evicted within their lifetime
COUNT_PEERS_EVICTED = const(6)
COUNT_REFUSED = const(7)  # 5.03 because a table was full
COUNT_HANDLER_ERRORS = const(8)  # exceptions in handlers and timers
COUNT_TOO_LONG = const(9)  # requests and responses that did not fit
COUNT_REOPENED = const(10)  # sockets opened again
COUNT_SEND_ERRORS = const(11)
COUNT_OBSERVERS_REFUSED = const(12)  # registrations without an Observe option in the response
COUNT_OBSERVERS_EVICTED = const(13)  # observers that had to leave for others
COUNT_BLOCKS_REFUSED = const(14)  # block-wise transfers without a free slot
COUNT_RATE_LIMITED = const(15)  # requests beyond a peer's rate
COUNT_GROUP_DROPPED = const(16)  # multicast requests beyond the pending responses
COUNT_BLOCKS_EVICTED = const(17)  # transfers and cached responses, evicted for others
COUNT_OUT_OF_MEMORY = const(18)  # datagrams without memory in the heap
COUNT_FRAMES_DROPPED = const(19)  # damaged frames on a serial line
COUNT_FRAMES_IGNORED = const(20)  # IP frames on a serial line
COUNT_DECRYPT_FAILED = const(21)  # OSCORE requests: forged, replayed, malformed, no context
COUNT_SHORTENED = const(22)  # responses that were cut, since their peers are not verified
COUNT_SEPARATE_EVICTED = const(23)  # deferred responses, evicted for other clients
COUNTER_NAMES = (
    "malformed",
    "duplicates",
    "retransmissions",
    "given_up",
    "no_exchange",
    "responses_evicted",
    "peers_evicted",
    "refused",
    "handler_errors",
    "too_long",
    "reopened",
    "send_errors",
    "observers_refused",
    "observers_evicted",
    "blocks_refused",
    "rate_limited",
    "group_dropped",
    "blocks_evicted",
    "out_of_memory",
    "frames_dropped",
    "frames_ignored",
    "decrypt_failed",
    "shortened",
    "separate_evicted",
)
