"""What Mote takes of a board's flash and heap: `make size`.

Flash per file and per feature, as .mpy and frozen; heap step by step until a door node is made:
here, in an interpreter with words of 32 bits, and on the emulated Pico. tools/bench/budget.json
says how much each may be here; what outgrew it ends the program with exit code 1, and
`make size RENEW=1` writes it anew.
"""

import json

import build_mpy
import size_flash
import size_heap
from host import device
from setup.console import ROOT, Arguments, Problem

BUDGET = ROOT / "tools" / "bench" / "budget.json"
RENEWED_BY = "make size RENEW=1"
SLACK_PCT = 2  # of a renewed budget, so that a line more needs no new one
FLOORS = {"mpy": {"core": 24 << 10}, "heap": {"made": 12 << 10, "all": 12 << 10}}
TITLES = {
    "core": "core: " + ", ".join(name.rpartition("/")[2] for name in size_flash.CORE),
    "least": "what a node and its socket import",
    "all": "all of lib and firmware",
}
HEAP_TITLES = {"made": "made: node and application"}


def work(argv):
    parser = Arguments(description=__doc__.splitlines()[0])
    parser.add_argument("--renew", action="store_true", help="write the budget anew")
    options = parser.parse_args(argv)
    try:
        sizes = {arch: size_flash.mpy(arch) for arch in build_mpy.ARCHS}
        groups = {arch: size_flash.groups(sizes[arch]) for arch in sizes}
        frozen, no_frozen = attempt(size_flash.frozen)
        found = size_heap.on_unix()
        pico, no_pico = attempt(size_heap.on_pico)
    except Problem as problem:
        raise device.Problem(str(problem)) from None
    print_files(sizes, frozen)
    print_groups(groups)
    print_heap({"here": found.steps, "Pico": pico.steps if pico else {}})
    print_code(found.modules)
    print("".join(f"Not measured: {why}\n" for why in (no_frozen, no_pico) if why), end="")
    taken = {"mpy": groups[size_flash.ARCH], "heap": size_heap.sums(found.steps)}
    if options.renew:
        renew(taken)
    for line in missed(taken):
        print(line)
    grown = outgrown(taken, json.loads(BUDGET.read_text()))
    if grown:
        raise SystemExit("\n".join(grown))


def attempt(measure):
    """(what was measured, ""), or ({}, why not)."""
    try:
        return measure(), ""
    except Problem as problem:
        return {}, str(problem)


def print_files(sizes, frozen):
    """A line for each file."""
    rows = sorted(sizes[size_flash.ARCH])
    print(f"{'bytes of flash':34}" + "".join(f"{arch:>11}" for arch in sizes) + f"{'frozen':>11}")
    for row in rows:
        cells = "".join(f"{sizes[arch][row]:11,}" for arch in sizes)
        print(f"{row:34}{cells}{frozen.get(row, 0) or '-':>11}")
    total = "".join(f"{sum(sizes[arch].values()):11,}" for arch in sizes)
    print(f"{'all':34}{total}{sum(frozen.values()) or '-':>11}\n")


def print_groups(groups):
    """A line for each group of files, as .mpy."""
    wide = max(len(TITLES.get(name, name)) for name in groups[size_flash.ARCH])
    print(f"{'bytes of .mpy':{wide}}" + "".join(f"{arch:>11}" for arch in groups))
    for name in groups[size_flash.ARCH]:
        cells = "".join(f"{groups[arch][name]:11,}" for arch in groups)
        print(f"{TITLES.get(name, name):{wide}}{cells}")
    print()


def print_heap(places):
    """A line for each step and for the sums, a column for each place where it was measured."""
    places = {place: found for place, found in places.items() if found}
    sums = {place: size_heap.sums(found) for place, found in places.items()}
    print(f"{'bytes of heap, everything frozen':34}" + "".join(f"{p:>11}" for p in places))
    for step in places["here"]:
        print(f"  {step:32}" + "".join(f"{found[step]:11,}" for found in places.values()))
    for name in sums["here"]:
        title = HEAP_TITLES.get(name, name)
        print(f"{title:34}" + "".join(f"{found[name]:11,}" for found in sums.values()))
    print()


def print_code(modules):
    """What of the modules' heap there must be as long as they are: a line."""
    ours, functions, classes = size_heap.code(modules)
    print(
        f"{functions} functions of {size_heap.FUNCTION_BYTES} bytes, "
        f"{classes} classes of {size_heap.CLASS_BYTES}, "
        f"{ours} modules of {size_heap.MODULE_BYTES}: "
        f"{size_heap.least(modules):,} bytes of heap, also when frozen\n"
    )


def missed(taken):
    """A line for each floor that is missed."""
    lines = []
    for kind, floors in FLOORS.items():
        for name, most in floors.items():
            if taken[kind][name] > most:
                lines.append(f"Above the floor: {kind} {name}: {taken[kind][name]:,} of {most:,}")
    return lines


def outgrown(taken, budget):
    """A line for each group that has outgrown its budget."""
    lines = []
    for kind, groups in taken.items():
        for name, size in groups.items():
            most = budget.get(kind, {}).get(name, 0)
            if size > most:
                lines.append(
                    f"{kind} {name}: {size:,} bytes, the budget is {most:,}: "
                    f"make it smaller, or `{RENEWED_BY}` if it is worth that"
                )
    return lines


def renew(taken, file=BUDGET):
    """Write the budget: what is taken, and a little more, but not above a floor that holds."""
    budget = {}
    for kind, groups in taken.items():
        budget[kind] = {}
        for name, size in groups.items():
            floor = FLOORS.get(kind, {}).get(name, 0)
            slack = size + size * SLACK_PCT // 100
            budget[kind][name] = min(slack, floor) if size <= floor else slack
    file.write_text(json.dumps(budget, indent=2) + "\n")


if __name__ == "__main__":
    device.main(work)
