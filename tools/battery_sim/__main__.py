"""Simulates a week of a door on a battery, or a day of a wearable: `make sim-week SEED=1`.

The firmware as it is, boot.py and main.py, runs on MicroPython for this computer, on a fake board
in virtual time: deep sleep, Wi-Fi with outages, lost datagrams, power cuts. Ends with code 1 when
an event was lost or reported twice.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from battery_sim import run  # noqa: E402
from battery_sim.battery_life import Currents  # noqa: E402
from host.device import Problem  # noqa: E402
from setup import console  # noqa: E402

COLD_HOURS_MIN = 8  # the seventh is the cold one
AWAKE_PHASES = ("boot", "window", "awake", "radio")


def main(argv):
    """Simulate what the arguments say; return the exit code."""
    options, scenario = parse(argv)
    firmware = run.build()
    seeds = range(options.seed, options.seed + options.seeds)
    jobs = [(firmware, seed, scenario) for seed in seeds]
    failed = 0
    for seed, counts in zip(seeds, run.simulate_all(jobs, options.jobs), strict=True):
        failed += bool(counts["lost"] or counts["duplicated"] or counts["restarts"])
        show = table if options.seeds == 1 else line
        print(show(seed, scenario, counts), flush=True)
    if failed:
        what = "lost or duplicated events, or had a firmware that stopped"
        print(f"{failed} of {options.seeds} simulations {what}", file=sys.stderr)
    return 1 if failed else 0


def parse(argv):
    """Return (options, Scenario) of the command line. Raises Problem for a value out of range."""
    parser = console.Arguments(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seeds", type=int, default=1, help="simulate so many, from --seed on")
    parser.add_argument("--app", choices=("door", "wearable"), default="door")
    parser.add_argument("--days", type=int, default=None, help="default: 7, of a wearable 1")
    parser.add_argument("--hours", type=int, default=0, help="instead of days")
    parser.add_argument("--boot", choices=run.BOOT_MS, default="", help="default: by the seed")
    parser.add_argument("--chip", choices=run.BOARDS, default="esp32c3")
    parser.add_argument("--heartbeat-s", type=int, default=3600)
    parser.add_argument("--calm", action="store_true", help="no losses, outages and power cuts")
    parser.add_argument("--observed", action="store_true", help="a client observes the node")
    parser.add_argument("--wiring", choices=run.PULLS, default="", help="default: the board's")
    parser.add_argument("--no-hold", action="store_true", help="REED_HOLD = False")
    parser.add_argument("--no-pulls", action="store_true", help="an image without IDF's pulls")
    parser.add_argument("--cold", action="store_true", help="an hour of brown-outs by the radio")
    parser.add_argument(
        "--gateway", action="store_true", help="with the gateway of `make gateway`"
    )
    parser.add_argument("--jobs", type=int, default=2, help="simulations at a time")
    options = parser.parse_args(argv)
    if not options.seed.isdecimal():
        raise Problem(f"SEED={options.seed}: use a whole number, like SEED=1")
    options.seed = int(options.seed)
    if options.days is None:
        options.days = 7 if options.app == "door" else 1
    hours = options.hours or 24 * options.days
    if not 1 <= hours <= 366 * 24 or not 1 <= options.seeds <= 1000:
        raise Problem("--days is 1 to 366, --hours likewise, --seeds 1 to 1000")
    if options.cold and hours < COLD_HOURS_MIN:
        raise Problem(f"--cold needs --hours {COLD_HOURS_MIN} or more")
    if options.gateway:
        options.jobs = 1  # the gateway's event loop is of the main thread
        if options.app != "door" or options.observed:
            raise Problem("--gateway is for a door without an observer")
    if not 1 <= options.jobs <= 64:
        raise Problem("--jobs is 1 to 64")
    if not 10 <= options.heartbeat_s <= 86400:
        raise Problem("--heartbeat-s is 10 to 86400")
    return options, run.Scenario(
        app=options.app,
        hours=hours,
        boot=options.boot,
        chip=options.chip,
        heartbeat_s=options.heartbeat_s,
        calm=options.calm,
        observed=options.observed,
        wiring=options.wiring,
        holds=not options.no_hold,
        sets_pulls=not options.no_pulls,
        cold=options.cold,
        real_gateway=options.gateway,
    )


def line(seed, _scenario, counts):
    """Return the counts of one simulation as a line."""
    names = ("happened", "produced", "reported", "unknown", "unseen", "discarded", "waiting")
    names += ("lost", "duplicated", "boots", "radio_wakes", "sent")
    return f"seed {seed:3}: " + ", ".join(f"{n} {counts[n]}" for n in names if n in counts)


def table(seed, scenario, counts):
    """Return the counts of one simulation as a table."""
    per_event = max(counts["reported"], 1)
    awake_s = sum(counts["spent_ms"][phase] for phase in AWAKE_PHASES) / 1e3
    lines = [
        f"seed {seed}, {scenario.hours} hours, {scenario.chip}, boot {scenario.boot_ms(seed)} ms",
        *(event_lines(counts) if scenario.app == "door" else row_lines(counts)),
        f"troubles    {counts['cuts']} power cuts, {counts['brownouts']} brown-outs, "
        f"{counts['outages']} Wi-Fi outages, {counts['stuck_joins']} joins without effect, "
        f"{counts['safe_modes']} safe modes",
        f"node        {counts['boots']} boots, {awake_s:.0f} s awake, "
        f"{awake_s / max(counts['boots'], 1):.2f} s each",
        f"datagrams   {counts['sent']} sent, {counts['received']} received; by event "
        f"{counts['sent'] / per_event:.2f} and {counts['received'] / per_event:.2f}, "
        f"{(counts['sent_bytes'] + counts['received_bytes']) / per_event:.0f} bytes "
        "(heartbeats included)",
        f"reports     {counts['reports']} received, the longest "
        f"{counts['longest_bytes']} bytes, {counts['repeats']} events repeated",
    ]
    if scenario.observed:
        seen = counts["observer"]
        lines.append(
            f"observer    {seen['notifications']} notifications, {seen['confirmable']} "
            f"confirmable, {seen['stale']} stale, the last: {seen['last']}"
        )
    currents = Currents.load(run.BOARDS[scenario.chip])
    if scenario.cold:
        hour = counts["cold_hour"]
        charge_mc = sum(currents.by_phase(hour["spent_ms"]).values())
        lines.append(
            f"cold hour   {hour['radio_wakes']} starts of the radio, {hour['brownouts']} "
            f"brown-outs, {hour['boots']} boots, {charge_mc / 1000:.1f} C"
        )
    for phase, charge_mc in currents.by_phase(counts["spent_ms"]).items():
        lines.append(f"charge      {phase:7} {charge_mc / 1000:8.1f} C")
    return "\n".join(lines)


def event_lines(counts):
    """Return the outcomes of a door's events, in lines."""
    return (
        f"events      {counts['happened']} happened ({counts['lid_events']} of the lid), "
        f"{counts['reported']} reported, "
        f"{counts['lost']} lost, {counts['duplicated']} duplicated",
        f"            {counts['unknown']} unknown (memory lost, and reported so), "
        f"{counts['unseen']} unseen (both edges within one boot)",
    )


def row_lines(counts):
    """Return the outcomes of a wearable's rows, in lines."""
    return (
        f"rows        {counts['produced']} produced, {counts['reported']} reported "
        f"({counts['pulses']} with a pulse), {counts['waiting']} waiting, "
        f"{counts['lost']} lost, {counts['duplicated']} duplicated",
        f"            {counts['unknown']} unknown (power lost, and reported so), "
        f"{counts['discarded']} discarded during an outage (and reported so)",
        f"naps        {counts['naps']}, {counts['samples_lost']} samples lost by the FIFO; "
        f"the radio woke {counts['radio_wakes']} times",
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Problem, console.Problem) as problem:
        console.fail(problem)
