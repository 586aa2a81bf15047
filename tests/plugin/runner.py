"""Runs on the target: the tests of one file, one after the other, as the host asks for them.

    micropython runner.py FOLDER MODULE MARK

Standard input brings one test a line, `name` or `name row`. Standard output carries what the test
prints, then one line `MARK:outcome`, then, unless it passed, the traceback and `MARK:end`.
The first such line, before any request, tells how the import of the module went.
"""

import gc
import sys

import micropython

PASSED = "passed"
FAILED = "failed"


def attempt(mark, function, *args):
    """Call the function, report to the host, and return what it returned (None if it failed)."""
    result = None
    failure = None
    try:
        result = function(*args)
    except BaseException as e:  # also SystemExit and the host's interrupt of a test that hangs
        failure = e
    restore()
    if failure is None:
        print(mark, PASSED, sep=":")
    else:
        print(mark, FAILED, sep=":")
        sys.print_exception(failure)
        print(mark, "end", sep=":")
    return result


def restore():
    """Undo what a test may have left behind: a locked heap, a disabled collector."""
    micropython.heap_lock()
    while micropython.heap_unlock():
        pass
    gc.enable()
    gc.collect()


def run_test(module, request):
    import support

    name, _, row = request.partition(" ")
    test = getattr(module, name)
    support.begin()
    if not row:
        return test()
    return test(*support.rows_of[test][int(row)])


def main(folder, name, mark):
    sys.path.pop(0)  # this script's own folder
    sys.path.append(folder)
    module = attempt(mark, __import__, name)
    while module is not None:
        request = sys.stdin.readline()
        if not request:
            break
        attempt(mark, run_test, module, request.strip())


if __name__ == "__main__":
    main(*sys.argv[1:])
