"""What a node counts since its start, for /diag: the indices of node.counters, and their names.

Apart from numbers.py, which boards need not load. How many datagrams came is counted by parse():
node.view.index[DATAGRAM_COUNT], modulo 2**30.
"""

from micropython import const

COUNT_MALFORMED = const(0)  # format errors
COUNT_DUPLICATES = const(1)  # duplicates that got the cached response, or none
COUNT_RETRANSMISSIONS = const(2)
COUNT_GIVEN_UP = const(3)  # confirmable messages that nobody acknowledged
COUNT_NO_EXCHANGE = const(4)  # confirmable messages without a free exchange
COUNT_RESPONSES_EVICTED = const(5)  # cached responses evicted before they expired
COUNT_PEERS_EVICTED = const(6)
COUNT_REFUSED = const(7)  # 5.03 because a table was full of others
COUNT_HANDLER_ERRORS = const(8)  # exceptions in handlers and timers
COUNT_TOO_LONG = const(9)  # requests and responses that did not fit
COUNT_REOPENED = const(10)  # sockets opened again
COUNT_SEND_ERRORS = const(11)
COUNT_OBSERVERS_REFUSED = const(12)  # registrations answered without Observe
COUNT_OBSERVERS_EVICTED = const(13)  # unverified ones, for a verified peer
COUNT_BLOCKS_REFUSED = const(14)  # transfers without a free buffer
COUNT_RATE_LIMITED = const(15)  # requests beyond a peer's rate
COUNT_GROUP_DROPPED = const(16)  # group requests without a free entry
COUNT_BLOCKS_EVICTED = const(17)  # transfers and cached responses evicted
COUNT_OUT_OF_MEMORY = const(18)  # datagrams for which the heap had no room
COUNT_FRAMES_DROPPED = const(19)  # damaged ones on a serial line
COUNT_FRAMES_IGNORED = const(20)  # IP on a serial line
COUNT_DECRYPT_FAILED = const(21)  # OSCORE requests: forged, replayed, malformed, no context
COUNTER_NAMES = (
    "malformed",
    "duplicates",
    "retransmissions",
    "given_up",
    "no_exchange",
    "replies_pushed_out",
    "peers_pushed_out",
    "refused",
    "handler_errors",
    "too_long",
    "reopened",
    "send_errors",
    "observers_refused",
    "observers_pushed_out",
    "blocks_refused",
    "limited",
    "group_dropped",
    "blocks_pushed_out",
    "out_of_memory",
    "frames_dropped",
    "frames_ignored",
    "not_opened",
)
