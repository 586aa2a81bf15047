"""Checks CoAP servers against the RFCs and the public plugtest: `make conformance`.

    python tools/conformance [--servers NAME,...] [--only TOPIC,...] [--no-clients]

Prints a matrix: section of the RFC, behaviour, result of each server; then why what failed did.
Exit code 1 when Mote fails anything, 2 when nothing could be checked.
"""

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

import checks  # noqa: E402
import foreign  # noqa: E402
import matrix  # noqa: E402
from registry import CHECKS, run  # noqa: E402
from targets import TARGETS, USUAL, programs  # noqa: E402

from setup.console import Arguments  # noqa: E402

TOPICS = tuple(checks.__all__)


def main(argv):
    """The exit code."""
    options = parse(argv)
    selected = [check for check in CHECKS if check.module in options.only]
    targets = [TARGETS[name]() for name in options.servers]
    start = time.monotonic()
    with ExitStack() as running:
        for target in targets:
            running.callback(target.stop)
            target.start()
        with ThreadPoolExecutor(len(targets) * len(options.only) + 1) as pool:
            clients = pool.submit(foreign.run) if options.clients else None
            results = check_all(pool, selected, targets)
            seen = clients.result() if clients else None
    print(matrix.of_checks(selected, targets, results))
    if seen is not None:
        print(matrix.of_plugtest(selected, targets, results, seen))
    print(matrix.failures(selected, targets, results, seen))
    print(f"{time.monotonic() - start:.0f} s")
    return 0 if matrix.is_good(selected, targets, results, seen) else 1


def check_all(pool, selected, targets):
    """{(check, target): result}: topics side by side, each topic's checks one after the other.

    What is hostile goes first: a node may lose its socket over it, and what comes then, as it may
    over anything; these clients do not ask twice.
    """
    results = {}

    def work(target, topic):
        for check in selected:
            if check.module == topic:
                with ExitStack() as held:
                    # two checks of one resource would disturb each other
                    for path in sorted({target.paths.get(name, "") for name in check.locks}):
                        held.enter_context(lock(target, path))
                    results[id(check), target.name] = run(check, target)

    def work_on_all(target, topics):
        for topic in topics:
            work(target, topic)

    topics = sorted({check.module for check in selected} - {"hostile"})
    list(pool.map(lambda target: work(target, "hostile"), targets))
    parts = [(t, topics) for t in targets if t.one_by_one]
    parts += [(t, [topic]) for t in targets if not t.one_by_one for topic in topics]
    list(pool.map(lambda part: work_on_all(*part), parts))
    return results


_guard = threading.Lock()


def lock(target, path):
    """The lock of a target's resource."""
    with _guard:
        return target.locks[path]


def parse(argv):
    parser = Arguments(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--servers", type=names_of(TARGETS), default=list(USUAL), help=", ".join(TARGETS))
    add("--only", type=names_of(TOPICS), default=list(TOPICS), help=", ".join(TOPICS))
    add("--no-clients", dest="clients", action="store_false", help="without foreign clients")
    return parser.parse_args(argv)


def names_of(known):
    def parse_names(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no '{name}': take of {', '.join(known)}")
        return names

    return parse_names


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except programs.Problem as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
