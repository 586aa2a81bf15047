"""`make bench-memory`: the engine asks for no byte of heap, recvfrom() for the datagram's."""

import sys

import pytest

from host import device

sys.path.append(str(device.ROOT / "tools" / "bench"))

import memory_table  # noqa: E402
import programs  # noqa: E402

LARGEST_OVERHEAD = 1400  # of recvfrom(): the buffer that is asked for, and what holds the bytes


@pytest.mark.parametrize("which", [programs.micropython, programs.built_micropython])
def test_every_operation_of_the_engine_takes_no_byte(which):
    found = memory_table.measured(which())
    assert len([who for who, _ in found if who == "engine"]) >= 13
    assert memory_table.wasteful([found]) == []
    for length in (8, 512, 1152):
        taken = found["socket", f"recvfrom() of {length} bytes"]
        assert length < taken <= length + LARGEST_OVERHEAD


def test_an_engine_that_allocates_is_named():
    found = {("engine", "GET"): 16, ("socket", "recvfrom()"): 160, ("engine", "PUT"): 0}
    assert memory_table.wasteful([found]) == [("engine", "GET")]
