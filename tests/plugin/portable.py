"""Collects the functions of portable files once per interpreter and runs them there.

`test_x` of a file becomes `test_x[cpython]`, `test_x[micropython]` and so on; a row of a table
test adds what the row holds: `test_x[micropython:4001]`. On CPython they are ordinary pytest
functions, elsewhere one target runs the selected tests of a file one after the other.
"""

import functools
import inspect
from itertools import groupby

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr
from _pytest.nodeid import coerce_node_id

import support

from .interpreters import Test, TestFile
from .limit import limited

CPYTHON = "cpython"
ROW_ID_LENGTH = 48


class PortableTests:
    """The plugin. `folders` hold portable files, `targets` are the interpreters beside CPython."""

    def __init__(self, root, folders, targets, left_out=()):
        self.root = root
        self.folders = [root / folder for folder in folders]
        self.targets = targets
        self.left_out = left_out
        self.passed = {}

    def is_portable(self, path):
        return any(folder in path.parents for folder in self.folders)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path, parent):
        if self.is_portable(module_path):
            module = PortableModule.from_parent(parent, path=module_path)
            module.plugin = self
            return module
        return None

    def pytest_collection_finish(self, session):
        # Neighbours on the same target share one run of it.
        for _, items in groupby(session.items, key=_batch_key):
            items = list(items)
            if isinstance(items[0], TargetItem):
                batch = Batch(items)
                for item in items:
                    item.batch = batch

    def pytest_runtest_setup(self, item):
        support.begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        try:
            return (yield)
        finally:
            batch = getattr(item, "batch", None)
            if batch and batch is not getattr(nextitem, "batch", None):
                batch.close()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        report.interpreter_name = getattr(item, "interpreter_name", "host only")
        return report

    def pytest_runtest_logreport(self, report):
        # Of several processes only the one that prints the summary gets all reports.
        if report.when == "call" and report.passed:
            name = report.interpreter_name
            self.passed[name] = self.passed.get(name, 0) + 1

    def pytest_terminal_summary(self, terminalreporter):
        counts = ", ".join(f"{count} {name}" for name, count in self.passed.items())
        terminalreporter.write_line(f"passed: {counts or 'none'}")
        for line in self.left_out:
            terminalreporter.write_line(line)


class PortableModule(pytest.Module):
    """A portable file."""

    plugin: PortableTests

    def _getobj(self):
        # Not by its bare name: two folders may hold files of the same name.
        option = self.config.option
        mode, option.importmode = option.importmode, "importlib"
        try:
            return super()._getobj()
        finally:
            option.importmode = mode

    def collect(self):
        tests = list(self._functions())
        file = TestFile(
            self.path.relative_to(self.plugin.root),
            getattr(self.obj, "HEAP", TestFile.heap),
            getattr(self.obj, "TIMEOUT_S", TestFile.timeout_s),
        )
        for name, function in tests:
            if support.interpreters_of.get(function, CPYTHON) == CPYTHON:
                yield from self._items_on_cpython(name, function, file.timeout_s)
        for target in self.plugin.targets:
            if not target.takes(self.path):
                continue
            for name, function in tests:
                if support.interpreters_of.get(function) != CPYTHON:
                    yield from self._items_on(target, name, function, file)

    def _functions(self):
        for name, value in vars(self.obj).items():
            if not name.lower().startswith("test") or value.__module__ != self.obj.__name__:
                continue
            if not inspect.isfunction(value) or not name.startswith("test_"):
                raise self.CollectError(f"{name}: portable tests are plain functions test_...()")
            if inspect.iscoroutinefunction(value) or inspect.isgeneratorfunction(value):
                raise self.CollectError(f"{name} would not run: call asyncio.run() in a plain def")
            yield name, value

    def _items_on_cpython(self, name, function, timeout_s):
        for _, row, suffix in _rows(function):
            call = functools.partial(function, *row) if row else function
            full_name = f"{name}[{CPYTHON}{suffix}]"
            item = pytest.Function.from_parent(
                self, name=full_name, callobj=_limited(call, timeout_s)
            )
            # As pytest reads it back from a file: --lf compares the parts.
            item._id = coerce_node_id(f"{self.nodeid}::{full_name}")
            item.interpreter_name = CPYTHON
            _expect_failure(item, function)
            yield item

    def _items_on(self, target, name, function, file):
        line = function.__code__.co_firstlineno
        for index, _, suffix in _rows(function):
            full_name = f"{name}[{target.name}{suffix}]"
            nodeid = f"{self.nodeid}::{full_name}"
            item = TargetItem.from_parent(self, name=full_name, nodeid=nodeid)
            item.interpreter_name = target.name
            item.target = target
            item.file = file
            item.test = Test(name, index)
            item.line = line
            item.expected = _expect_failure(item, function, ExpectedFailure)
            yield item


class TargetItem(pytest.Item):
    """One test on one target."""

    batch: "Batch"

    def runtest(self):
        result = self.batch.result(self)
        if result.output:
            self.add_report_section("call", "stdout", result.output)
        if not result.passed:
            raise (ExpectedFailure if self._is_expected(result) else TargetFailure)(result)

    def _is_expected(self, result):
        return self.expected is not None and _raised(result) == self.expected.__name__

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, TargetFailure):
            return TargetRepr(self, excinfo.value.result)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, self.line - 1, self.name


class TargetFailure(Exception):
    """A test did not pass on its target."""

    def __init__(self, result):
        super().__init__(result.message)
        self.result = result


class ExpectedFailure(TargetFailure):
    """A test that is marked raised the exception that its mark names."""


class TargetRepr(TerminalRepr):
    """The target's own traceback, each line of it followed by the source, then the message."""

    def __init__(self, item, result):
        self.lines = list(_with_source(item.config.rootpath, result.traceback.splitlines()))
        message = result.message
        if message not in result.traceback:
            self.lines.append(message)
        elif message == "AssertionError" and len(self.lines) > 1:
            message = self.lines[-2].strip()
        self.reprcrash = ReprFileLocation(str(item.file.path), item.line, message)

    def toterminal(self, tw):
        for line in self.lines:
            tw.line(line)


class Batch:
    """Neighbouring items of one file and target, and the run that serves them."""

    def __init__(self, items):
        self.items = items
        self.run = None
        self.next = 0

    def result(self, item):
        """Return the result of the item; a repeated or skipped one starts the run anew."""
        if self.run is None or self.items[self.next : self.next + 1] != [item]:
            self.close()
            self.next = self.items.index(item)
            tests = [each.test for each in self.items[self.next :]]
            self.run = item.target.run(item.file, tests)
        self.next += 1
        return next(self.run)

    def close(self):
        if self.run:
            self.run.close()
            self.run = None


def _expect_failure(item, function, raises=None):
    """Mark the item as its function is; return the exception type that it is to raise, or None."""
    reason, exception = support.expected_failure_of.get(function, ("", None))
    if exception is not None:
        item.add_marker(pytest.mark.xfail(strict=True, reason=reason, raises=raises or exception))
    return exception


def _raised(result):
    """Return the name of the exception that ended the test, "" for a crash or a hang."""
    frames = "\n" + result.traceback
    _, found, last = frames.rpartition('\n  File "')
    return last.partition("\n")[2].partition(":")[0].strip() if found else ""


def _batch_key(item):
    return item.path, getattr(item, "interpreter_name", None)


def _rows(function):
    """Yield (index, arguments, suffix of the id) for each row of a table test, or one blank."""
    if function not in support.rows_of:
        yield None, (), ""
        return
    seen = {}
    for index, row in enumerate(support.rows_of[function]):
        suffix = "-".join(_row_id(value) for value in row)[:ROW_ID_LENGTH]
        seen[suffix] = seen.get(suffix, 0) + 1
        if seen[suffix] > 1:
            suffix = f"{suffix}#{seen[suffix]}"
        yield index, row, f":{suffix}"


def _row_id(value):
    if isinstance(value, (bytes, bytearray)):
        return value.hex() or "empty"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    if value is None or isinstance(value, (str, bool, int, float)):
        text = str(value) or "empty"
        return "".join(
            c if c.isascii() and c.isprintable() and c not in "[]:" else "." for c in text
        )
    return type(value).__name__


def _limited(call, timeout_s):
    """Wrap a call on CPython so that it fails, as on any target, when it does not end."""

    @functools.wraps(call)
    def in_time():
        with limited(timeout_s, "this test"):
            return call()

    return in_time


def _with_source(root, lines):
    """Yield the traceback with the source lines that MicroPython leaves out."""
    for line in lines:
        yield line
        parts = line.strip().split('"')
        if len(parts) == 3 and parts[0] == "File " and parts[2].startswith(", line "):
            number = int(parts[2].split(",")[1].split()[1])
            try:
                yield "    " + (root / parts[1]).read_text().splitlines()[number - 1].strip()
            except (OSError, IndexError):
                pass  # frozen into the interpreter: it has no source here
