"""A slice of `make fuzz`: random and mutated datagrams against a node with all features."""

import slots as count
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
        count.MALFORMED,
        count.DUPLICATES,
        count.RETRANSMISSIONS,
        count.NO_EXCHANGE,
        count.OBSERVERS_REFUSED,
        count.BLOCKS_REFUSED,
        count.LIMITED,
        count.GROUP_DROPPED,
    ):
        assert counters[what] > 0, count.NAMES[what]
