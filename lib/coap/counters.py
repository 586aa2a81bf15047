"""What a node counts, for /diag: an index into node.counters a fact, each since start."""

from micropython import const

DATAGRAMS = const(0)  # reserved for the transports: datagrams that came in
MALFORMED = const(1)  # format errors
DUPLICATES = const(2)  # repeats answered from memory or dropped
RETRANSMISSIONS = const(3)
GIVEN_UP = const(4)  # confirmable messages that nobody acknowledged
NO_EXCHANGE = const(5)  # confirmable messages that found no free slot
REPLIES_PUSHED_OUT = const(6)  # remembered replies lost to newer ones while alive
PEERS_PUSHED_OUT = const(7)
REFUSED = const(8)  # 5.03 because a table was full of others
HANDLER_ERRORS = const(9)  # exceptions in handlers and timers
TOO_LONG = const(10)  # requests and replies that did not fit
REOPENED = const(11)  # sockets opened anew
SEND_ERRORS = const(12)
OBSERVERS_REFUSED = const(13)  # registrations answered without Observe
OBSERVERS_PUSHED_OUT = const(14)  # strangers that made room for a verified peer
BLOCKS_REFUSED = const(15)  # transfers that found no room
LIMITED = const(16)  # requests beyond a peer's rate
GROUP_DROPPED = const(17)  # requests to a group beyond what can be answered later
BLOCKS_PUSHED_OUT = const(18)  # transfers and kept answers that made room for others
NAMES = (
    "datagrams",
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
)
