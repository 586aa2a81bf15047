"""The checks of several servers at the same time, for they mostly wait."""

from collections import defaultdict
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock, Thread

import pytest

from conformance.check import run

_guard = Lock()


class Runs:
    """Runs (check, target) pairs in the background: targets side by side, and of each target the
    checks of different resources.

    What is hostile goes first: a node may lose its socket over it, and what comes then, and these
    clients do not retransmit.
    """

    def __init__(self, pairs):
        self.results = {pair: Future() for pair in pairs}
        self.problems = {}
        self.ended = False
        checks_of = defaultdict(list)
        for check, target in pairs:
            checks_of[target].append(check)
        self.threads = [Thread(target=self._run_all, args=one) for one in checks_of.items()]
        self.targets = list(checks_of)
        for thread in self.threads:
            thread.start()

    def result(self, check, target):
        """Return the result; when it is wanted again, of another run."""
        future = self.results.pop((check, target), None)
        if future is None:
            return run_alone(check, target)
        try:
            return future.result()
        except CancelledError:
            why = self.problems.get(target, "it was ended")
            return pytest.fail(f"{target} does not run: {why}", pytrace=False)

    def close(self):
        """End the servers; checks that have not begun are left out."""
        self.ended = True
        for thread in self.threads:
            thread.join()
        with ExitStack() as stack:
            for target in self.targets:
                stack.callback(target.stop)

    def _run_all(self, target, checks):
        futures = {check: self.results[check, target] for check in checks}
        try:
            target.start()
            groups = defaultdict(list)
            for check in checks:
                groups["hostile" if check.topic == "hostile" else check.locks].append(check)
            self._run_group(target, groups.pop("hostile", ()), futures)
            workers = 1 if target.one_by_one else len(groups) or 1
            with ThreadPoolExecutor(workers) as pool:
                for group in groups.values():
                    pool.submit(self._run_group, target, group, futures)
        except BaseException as error:  # of pytest.fail() too
            self.problems[target] = error
        finally:
            for future in futures.values():
                future.cancel()  # where it is not done

    def _run_group(self, target, checks, futures):
        for check in checks:
            if self.ended:
                futures[check].cancel()
            else:
                futures[check].set_result(run_alone(check, target))


def run_alone(check, target):
    """Run a check while no other one uses its resources of the target."""
    with ExitStack() as held:
        for path in sorted({target.paths[name] for name in check.locks}):
            with _guard:
                lock = target.locks[path]
            held.enter_context(lock)
        return run(check, target)
