"""What a node counts, for /diag: an index into node.counters a fact, each since start.

How many datagrams came is counted by scan(): node.view.r[scan.COUNT], modulo 2**30.
"""

from micropython import const

_MALFORMED = const(0)  # format errors
_DUPLICATES = const(1)  # repeats answered from memory or dropped
_RETRANSMISSIONS = const(2)
_GIVEN_UP = const(3)  # confirmable messages that nobody acknowledged
_NO_EXCHANGE = const(4)  # confirmable messages that found no free slot
_REPLIES_PUSHED_OUT = const(5)  # remembered replies lost to newer ones while alive
_PEERS_PUSHED_OUT = const(6)
_REFUSED = const(7)  # 5.03 because a table was full of others
_HANDLER_ERRORS = const(8)  # exceptions in handlers and timers
_TOO_LONG = const(9)  # requests and replies that did not fit
_REOPENED = const(10)  # sockets opened anew
_SEND_ERRORS = const(11)
_OBSERVERS_REFUSED = const(12)  # registrations answered without Observe
_OBSERVERS_PUSHED_OUT = const(13)  # strangers that made room for a verified peer
_BLOCKS_REFUSED = const(14)  # transfers that found no room
_LIMITED = const(15)  # requests beyond a peer's rate
_GROUP_DROPPED = const(16)  # requests to a group beyond what can be answered later
_BLOCKS_PUSHED_OUT = const(17)  # transfers and kept answers that made room for others
_OUT_OF_MEMORY = const(18)  # datagrams that found no room in the heap
_FRAMES_DROPPED = const(19)  # damaged ones on a serial line
_FRAMES_IGNORED = const(20)  # IP on a serial line
_NOT_OPENED = const(21)  # requests under OSCORE that were forged, replayed, malformed or unknown
NAMES = (
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
