"""A simulated week of a door on a battery: `make sim-week SEED=1`; or a day of a wearable.

The firmware as it is, boot.py and main.py, on MicroPython for this computer, against a fake board
in virtual time: deep sleep, Wi-Fi that comes and goes, datagrams that are lost, power that is cut.
Ends with code 1 when an event was lost or duplicated.
"""

import json
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from charge import Currents  # noqa: E402

from build_mpy import compile_file, sources  # noqa: E402
from host.device import ROOT, Problem  # noqa: E402
from setup import console, interpreter  # noqa: E402

BUILD = ROOT / "build" / "week"
BOARD = "ESP32_GENERIC_C3"
# The pins of a C3 do for the other ESP32 chips
CHIPS = {
    "esp32": BOARD,
    "esp32s3": BOARD,
    "esp32c3": BOARD,
    "esp32c6": BOARD,
    "rp2040": "RPI_PICO_W",
}
BOOTS_MS = {"frozen": 49, "files": 420}  # until Python sees anything; see currents.json
SETTINGS = {"power": "battery", "gateway": "coap://192.168.1.2"}
SECRETS = {"ssid": "attic", "password": "not a secret"}
LIMIT_S = 300


def main(argv):
    """Lives the weeks of the arguments; returns the exit code."""
    options = parse(argv)
    firmware = build()
    failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        seeds = range(options.seed, options.seed + options.seeds)
        lives = pool.map(lambda seed: live(firmware, seed, options), seeds)
        for seed, found in zip(seeds, lives, strict=True):
            bad = found["lost"] or found["duplicated"] or found["restarts"]
            failed += bool(bad)
            if options.seeds > 1:
                print(short(seed, found), flush=True)
            else:
                print(report(seed, found, options))
    if failed:
        what = "lost or doubled events, or had a firmware that stopped"
        print(f"{failed} of {options.seeds} weeks {what}", file=sys.stderr)
    return 1 if failed else 0


def parse(argv):
    """The arguments. Raises Problem."""
    parser = console.Arguments(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seeds", type=int, default=1, help="so many weeks, from that seed on")
    parser.add_argument("--app", choices=("door", "wearable"), default="door")
    parser.add_argument("--days", type=int, default=None, help="default: 7, of a wearable 1")
    parser.add_argument("--hours", type=int, default=0, help="instead of days")
    parser.add_argument("--boot", choices=BOOTS_MS, default="", help="default: by the seed")
    parser.add_argument("--chip", choices=CHIPS, default="esp32c3")
    parser.add_argument("--heartbeat-s", type=int, default=3600)
    parser.add_argument("--calm", action="store_true", help="no losses, outages and cuts")
    parser.add_argument("--observed", action="store_true", help="with somebody who observes")
    parser.add_argument("--jobs", type=int, default=2, help="weeks at a time")
    options = parser.parse_args(argv)
    if not options.seed.isdecimal():
        raise Problem(f"SEED={options.seed}: use a whole number, like SEED=1")
    options.seed = int(options.seed)
    if options.days is None:
        options.days = 7 if options.app == "door" else 1
    options.hours = options.hours or 24 * options.days
    if not 1 <= options.hours <= 366 * 24 or not 1 <= options.seeds <= 1000:
        raise Problem("--days is 1 to 366, --hours likewise, --seeds 1 to 1000")
    if not 1 <= options.jobs <= 64:
        raise Problem("--jobs is 1 to 64")
    if not 10 <= options.heartbeat_s <= 86400:
        raise Problem("--heartbeat-s is 10 to 86400")
    return options


def build(folder=BUILD):
    """A folder with the firmware as `make deploy` would put it on a board; compiled once."""
    target = folder / "firmware"
    modules = sources()
    for board in set(CHIPS.values()):
        modules.append((Path("boards", board, "board.py"), ROOT / "boards" / board / "board.py"))
    with console.lock("week", folder):
        for path, file in modules:
            as_source = path.name in ("boot.py", "main.py") or platform.machine() != "x86_64"
            made = target / (path if as_source else path.with_suffix(".mpy"))
            if made.exists() and made.stat().st_mtime > file.stat().st_mtime:
                continue
            made.parent.mkdir(parents=True, exist_ok=True)
            if as_source:
                shutil.copyfile(file, made)
            else:
                compile_file(file, path, made, "x64")
    return target


def boot_of(seed, options):
    """How the firmware of that week starts."""
    return options.boot or ("frozen", "files")[seed % 2]


def live(firmware, seed, options):
    """What one week came to, as a dict. Raises Problem when the simulation itself fails."""
    program, _ = interpreter.find()
    with tempfile.TemporaryDirectory() as flash:
        settings = {**SETTINGS, "app": options.app, "heartbeat_s": options.heartbeat_s}
        (Path(flash) / "config.json").write_text(json.dumps(settings))
        (Path(flash) / "secrets.json").write_text(json.dumps(SECRETS))
        boot_ms = BOOTS_MS[boot_of(seed, options)]
        argv = [program.path.absolute(), "-X", "heapsize=64m", HERE / "life.py", firmware]
        argv += [firmware / "boards" / CHIPS[options.chip], options.app, seed]
        argv += [options.hours, boot_ms, options.chip, 0 if options.calm else 1]
        argv.append(int(options.observed))
        try:
            done = subprocess.run(
                [str(word) for word in argv],
                cwd=flash,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            raise Problem(f"SEED={seed}: the week took more than {LIMIT_S} s") from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines or not lines[-1].startswith("RESULT "):
        words = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Problem(f"SEED={seed}: the simulation failed: {words[-1] if words else 'no output'}")
    return json.loads(lines[-1].removeprefix("RESULT "))


def short(seed, found):
    """A week in one line."""
    names = ("happened", "produced", "reported", "unknown", "unseen", "said", "waiting")
    names += ("lost", "duplicated", "wakes", "radio_wakes", "sent")
    told = [f"{name} {found[name]}" for name in names if name in found]
    return f"seed {seed:3}: " + ", ".join(told)


def report(seed, found, options):
    """A week as a table."""
    events = max(found["reported"], 1)
    awake_s = sum(found["spent_ms"][phase] for phase in ("boot", "window", "awake", "radio")) / 1e3
    lines = [
        f"seed {seed}, {options.hours} hours, {options.chip}, "
        f"boot {BOOTS_MS[boot_of(seed, options)]} ms",
        *(events_of(found) if options.app == "door" else rows_of(found)),
        f"troubles    {found['cuts']} power cuts, {found['brownouts']} brown-outs, "
        f"{found['outages']} Wi-Fi outages, {found['stuck_joins']} joins that got nowhere, "
        f"{found['safe_modes']} safe modes",
        f"node        {found['wakes']} starts, {awake_s:.0f} s awake, "
        f"{awake_s / max(found['wakes'], 1):.2f} s each",
        f"datagrams   {found['sent']} sent, {found['came']} came; by event "
        f"{found['sent'] / events:.2f} and {found['came'] / events:.2f}, "
        f"{(found['sent_bytes'] + found['came_bytes']) / events:.0f} bytes "
        "(with heartbeats)",
        f"reports     {found['reports']} taken, the longest "
        f"{found['longest_report_bytes']} bytes, {found['repeats']} events told again",
    ]
    if options.observed:
        told = found["observer"]
        lines.append(
            f"observer    told {told['told']} times, {told['confirmable']} confirmable, "
            f"{told['stale']} stale, the last: {told['last']}"
        )
    currents = Currents.load(CHIPS[options.chip])
    for phase, charge_mc in currents.by_phase(found["spent_ms"]).items():
        lines.append(f"charge      {phase:7} {charge_mc / 1000:8.1f} C")
    return "\n".join(lines)


def events_of(found):
    """What became of the events of a door, in lines."""
    return (
        f"events      {found['happened']} happened ({found['lifts']} of the lid), "
        f"{found['reported']} reported, "
        f"{found['lost']} lost, {found['duplicated']} duplicated",
        f"            {found['unknown']} unknown (memory lost, and said so), "
        f"{found['unseen']} unseen (both edges within one start)",
    )


def rows_of(found):
    """What became of the rows of a wearable, in lines."""
    return (
        f"rows        {found['produced']} produced, {found['reported']} reported "
        f"({found['pulses']} with a pulse), {found['waiting']} waiting, "
        f"{found['lost']} lost, {found['duplicated']} duplicated",
        f"            {found['unknown']} unknown (power lost, and said so), "
        f"{found['said']} pushed out during an outage (and said so)",
        f"naps        {found['naps']}, {found['samples_lost']} samples lost by the FIFO; "
        f"the radio woke {found['radio_wakes']} times",
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Problem, console.Problem) as problem:
        console.fail(problem)
