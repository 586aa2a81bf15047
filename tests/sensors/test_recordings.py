"""Heart rate of real light, from recordings in two packages, against the rates of their authors.

HeartPy 1.2.7 (MIT): three recordings of a sensor on a finger. Its amplifier has a high-pass
filter, so the integral of its output is taken for the light. The rates are those that HeartPy
computes:

    heartpy.process(samples, samples_per_s)[1]["bpm"]                        of a recording
    60 / the mean interval of the accepted beats within six seconds          of each five seconds

e2epyppg 0.0.9 (MIT): the light at the wrist of a person with a watch, as the photodiode had it,
for twelve minutes. The rates are those that it comes with, of five stretches of 90 s.

Both are installed without the packages that their code needs: only their files are read.
"""

import importlib.util
from datetime import datetime
from pathlib import Path

from sensors.ppg import Pulse
from support import cases, only

RATE = 50
LEVEL = 120_000  # counts
DEPTH = LEVEL // 100  # of a pulse
TIME_CONSTANT_S = 0.3

# Name, from which second on the finger is there, rate of the whole, rate of each five seconds
DATA = ("data.csv", 0, 58.9, [60, 61, 56, 59])
DATA2 = (
    "data2.csv",
    45,
    62.4,
    [0] * 9 + [74, 65, 60, 60, 61, 65, 63, 61, 59, 63, 62, 0, 61, 62, 61, 64],
)
# fmt: off
DATA3 = ("data3.csv", 0, 97.3, [
    98, 110, 111, 99, 98, 107, 101, 101, 102, 105, 104, 108, 95, 101, 99, 98, 97, 96, 103, 98, 104,
    96, 92, 94, 89, 94, 88, 95, 88, 97, 97, 101, 100, 105, 97, 102, 98, 101, 113, 90, 98, 97, 102,
    104, 96, 94, 98, 95, 99, 103, 89, 95, 93, 100, 100, 93, 103, 97, 103, 92, 104, 87, 92, 99, 96,
    99, 96, 96, 97, 104, 85, 99, 93, 98, 99, 102, 92, 108, 92, 94, 94, 95, 101, 98, 90, 97, 101,
    99, 99, 97, 110, 102, 99, 94, 87, 98, 95, 85, 93, 88, 0, 89, 92, 89, 96, 98, 101, 92, 93, 81,
    98, 92, 96, 88, 100, 99, 94, 95, 88, 107, 85, 102, 100, 110, 93, 102, 106, 100, 105, 100, 101,
    99, 98, 93, 95, 96,
])
# fmt: on
SETTLE_S = 8  # until there is a value: five beats, and the filters

# Of the watch: the first sample of a stretch, and its rate
WATCH = ((2640, 81.3), (5440, 80.0), (7240, 79.3), (9040, 79.3), (11120, 80.0))
WATCH_RATE = 20
STRETCH_S = 90


def folder(package):
    """The folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec, f"{package} is not installed: make setup"
    return Path(spec.submodule_search_locations[0]) / "data"


def seconds(text):
    """The time of a line: milliseconds, or a date."""
    if "-" not in text:
        return float(text) / 1000
    return datetime.fromisoformat(text).timestamp()


def recording(name):
    """The samples of a recording of HeartPy, 50 in a second."""
    lines = (folder("heartpy") / name).read_text().split()
    if name == "data.csv":
        return resampled([(i / 100, float(line)) for i, line in enumerate(lines)])
    rows = [line.split(",") for line in (folder("heartpy") / name).read_text().splitlines()[1:]]
    return resampled([(seconds(row[0]), float(row[1])) for row in rows])


def resampled(points):
    """The values of (time, value) at 50 a second, interpolated."""
    values = []
    i = 1
    now = points[0][0]
    while now < points[-1][0]:
        while points[i][0] < now:
            i += 1
        (before, low), (after, high) = points[i - 1], points[i]
        values.append(low + (high - low) * (now - before) / (after - before))
        now = points[0][0] + len(values) / RATE
    return values


def integrated(values):
    """What a high-pass filter of this time constant has made the values of."""
    mean = sum(values) / len(values)
    total = 0.0
    found = []
    for value in values:
        total += (value - mean) / RATE - total / RATE / TIME_CONSTANT_S
        found.append(total)
    return found


def light(values):
    """Counts of light: less where there is more blood; nine in ten are within a pulse's depth."""
    ordered = sorted(values)
    span = ordered[len(values) * 95 // 100] - ordered[len(values) * 5 // 100]
    middle = ordered[len(values) // 2]
    return [LEVEL - int((value - middle) * DEPTH / span) for value in values]


def told(counts):
    """The heart rate, or None, after each second."""
    pulse = Pulse(RATE)
    found = []
    for n, count in enumerate(counts):
        pulse.add(count, count)
        if n % RATE == RATE - 1:
            found.append(pulse.heart_rate())
    return found


def median(values):
    return sorted(values)[len(values) // 2]


def share_wrong(rates, wanted):
    """The share of those more than 5 beats beyond what there was in the last 10 to 15 seconds."""
    wrong = total = 0
    for second, rate in enumerate(rates):
        five = second // 5
        around = [each for each in wanted[max(five - 2, 0) : five + 1] if each]
        if rate and around:
            total += 1
            wrong += not min(around) - 5 <= rate <= max(around) + 5
    return wrong / max(total, 1)


@only("cpython")
@cases(DATA, DATA2, DATA3)
def test_heart_rate_of_a_finger(name, start, wanted, each):
    rates = told(light(integrated(recording(name))))[start + SETTLE_S :]
    values = [rate for rate in rates if rate]
    assert abs(median(values) - wanted) <= 2
    assert len(values) >= 0.85 * len(rates)
    assert share_wrong([0] * (start + SETTLE_S) + rates, each) <= 0.02


@only("cpython")
def test_a_sensor_that_is_put_on_has_no_heart_rate_yet():
    assert not any(told(light(integrated(recording("data2.csv"))))[:45])


@only("cpython")
@cases(DATA, DATA2, DATA3)
def test_heart_rate_of_a_filtered_signal_is_none_or_right(name, start, wanted, each):
    rates = told(light(recording(name)))
    values = [rate for rate in rates if rate]
    assert not values or abs(median(values) - wanted) <= 2
    assert share_wrong(rates, each) <= 0.03


@only("cpython")
def test_heart_rate_of_a_wrist():
    lines = (folder("e2epyppg") / "201902020222_Data.csv").read_text().splitlines()[1:]
    points = [(i / WATCH_RATE, float(line.split("\t")[1])) for i, line in enumerate(lines)]
    values = resampled(points)
    mean = sum(values) / len(values)
    rates = told([int(LEVEL * value / mean) for value in values])
    for sample, wanted in WATCH:
        start = sample // WATCH_RATE
        found = [rate for rate in rates[start : start + STRETCH_S] if rate]
        assert abs(median(found) - wanted) <= 3 and len(found) >= 0.85 * STRETCH_S
