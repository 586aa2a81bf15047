"""A limit for what runs in this process, so that what hangs fails as any other test does."""

import contextlib
import signal

import pytest


@contextlib.contextmanager
def limited(limit_s: float, what: str):
    """Fail the test when the block takes longer than this; not within another such block."""

    def stop(_number, _frame):
        __tracebackhide__ = True
        pytest.fail(f"{what} gave no result within {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
