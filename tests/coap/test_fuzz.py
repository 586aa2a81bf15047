"""A slice of `make fuzz`: random and mutated datagrams against a node with all features."""

from coap.counters import (
    COUNT_BLOCKS_REFUSED,
    COUNT_DUPLICATES,
    COUNT_GROUP_DROPPED,
    COUNT_MALFORMED,
    COUNT_NO_EXCHANGE,
    COUNT_OBSERVERS_REFUSED,
    COUNT_RATE_LIMITED,
    COUNT_RETRANSMISSIONS,
    COUNT_SHORTENED,
    COUNTER_NAMES,
)
from support import cases
from support.fuzzing import Fuzzer

HEAP = "2m"
TIMEOUT_S = 240


@cases(1, 2)
def test_a_slice(seed):
    fuzzer = Fuzzer(seed)
    fuzzer.run(30000)
    fuzzer.check()
    # what it is about did happen
    assert fuzzer.answered > 10000
    counters = fuzzer.node.counters
    for what in (
        COUNT_MALFORMED,
        COUNT_DUPLICATES,
        COUNT_RETRANSMISSIONS,
        COUNT_NO_EXCHANGE,
        COUNT_OBSERVERS_REFUSED,
        COUNT_BLOCKS_REFUSED,
        COUNT_RATE_LIMITED,
        COUNT_GROUP_DROPPED,
        COUNT_SHORTENED,
    ):
        assert counters[what] > 0, COUNTER_NAMES[what]
