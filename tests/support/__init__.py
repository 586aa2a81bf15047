"""Helpers for the portable tests: the same on CPython and on MicroPython.

Marks for test functions (`only`, `cases`, `expected_failure`), and ways to check exceptions,
bytes and heap use.
"""

import gc

import micropython

INTERPRETERS = ("cpython", "micropython")

# Functions of MicroPython take no attributes, so the marks are kept here, by function.
interpreters_of = {}
rows_of = {}
expected_failure_of = {}  # (reason, exception type)
_beginnings = []  # what begin() calls


def only(interpreter):
    """Let the marked test exist on one interpreter only: "cpython" or "micropython"."""
    if interpreter not in INTERPRETERS:
        raise ValueError("only() takes one of {}, not {!r}".format(INTERPRETERS, interpreter))

    def mark(test):
        interpreters_of[test] = interpreter
        return test

    return mark


def cases(*rows):
    """Run the marked test once per row; a tuple is spread over the test's arguments."""
    if not rows:
        raise ValueError("cases() needs at least one row, or the test never runs")

    def mark(test):
        rows_of[test] = [row if isinstance(row, tuple) else (row,) for row in rows]
        return test

    return mark


def expected_failure(reason, exception=AssertionError):
    """Report the marked test as an expected failure while it raises `exception`.

    It fails when it passes ("XPASS(strict)"), and when it raises anything else, crashes or hangs.
    On MicroPython the exception's own name counts, not that of its base classes.
    """
    if not reason:
        raise ValueError("expected_failure() needs a reason")

    def mark(test):
        expected_failure_of[test] = (reason, exception)
        return test

    return mark


def at_the_start(function):
    """Call the function before each test, to reset state that tests would share."""
    _beginnings.append(function)
    return function


def begin():
    """Call what at_the_start() has registered; the runner calls this before each test."""
    for function in _beginnings:
        function()


def raises(expected, function, *args, **named):
    """Call the function and return the `expected` exception it raised; others pass through.

    Raises AssertionError when the call returns.
    """
    try:
        result = function(*args, **named)
    except expected as raised:
        return raised
    raise AssertionError("{} not raised, returned {!r}".format(expected.__name__, result))


def hexbytes(text):
    """Return the bytes written as hexadecimal in `text`; white space is ignored."""
    return bytes.fromhex("".join(text.split()))


def allocated(function, times=1):
    """Return how many bytes `times` calls of `function()` ask of the heap, once warm.

    Memory given back before the call returns counts as well: the frame of a large bytecode
    function is such memory, which neither heap_lock() nor gc.mem_alloc() shows. An interpreter
    without these statistics (a board) is measured by what stays allocated. 0 on CPython.
    """
    return _growth(getattr(micropython, "mem_total", _mem_alloc), function, times)


def retained(function, times=1):
    """Return by how many bytes `times` calls of `function()`, once warm, let the heap grow.

    Counted in whole heap blocks, before any collection. 0 on CPython.
    """
    return _growth(_mem_alloc, function, times)


def locked(function):
    """Return what `function()` returns with the heap locked: MemoryError if it allocates.

    The function is called as it is: warm it up first. Frames that the interpreter would take from
    the heap pass unnoticed, see `allocated`. On CPython it is only called.
    """
    micropython.heap_lock()
    try:
        return function()
    finally:
        micropython.heap_unlock()


def _growth(heap_bytes, function, times):
    # Everything is called once before it is measured: attribute caches and the like fill up.
    heap_bytes()
    function()
    gc.collect()
    gc.disable()
    try:
        before = heap_bytes()
        while times > 0:
            function()
            times -= 1
        return heap_bytes() - before
    finally:
        gc.enable()


def _no_heap():
    return 0


_mem_alloc = getattr(gc, "mem_alloc", _no_heap)
