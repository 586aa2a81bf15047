"""Heart rate and oxygen saturation on synthetic light: its truth is known, its noise is moderate.

The light is made here, in another way than the simulated MAX30102 makes it: bells in floating
point, beats of uneven length, normal noise.
"""

import math

from sensors.ppg import Pulse
from support import allocated, cases, locked

RATE = 50
TIMEOUT_S = 120.0


class Noise:
    """Numbers that look normally distributed, the same on every interpreter."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        total = 0
        for _ in range(6):
            self.state = (self.state * 1103 + 12345) % 1048573
            total += self.state % 4096
        return (total - 6 * 2048) / 2896  # six uniform numbers have this deviation


def bell(x, centre, rise, fall):
    total = 0.0
    for turn in (-1, 0, 1):
        distance = x + turn - centre
        width = rise if distance < 0 else fall
        total += math.exp(-0.5 * (distance / width) ** 2)
    return total


WAVE = [
    bell(i / 200, 0.16, 0.055, 0.09) + 0.4 * bell(i / 200, 0.45, 0.07, 0.14) for i in range(201)
]


def light(bpm, spo2=97, seconds=20, noise=0.05, breath=0.4, uneven=0.02, depth=0.012, seed=1):
    """Yield (red, infrared); noise and breath are shares of the pulse, uneven of its length."""
    random = Noise(seed * 7919 + bpm)
    ratio = (110 - spo2) / 25
    level = 100_000
    phase = 0.0
    length = 1.0
    for n in range(seconds * RATE):
        phase += bpm / 60 / RATE / length
        if phase >= 1:
            phase -= 1
            length = 1 + uneven * random.next()
        pulse = WAVE[int(phase * 200)]
        swing = breath * math.sin(2 * math.pi * 0.25 * n / RATE)
        grain = noise * depth * level
        red = 0.8 * level * (1 - depth * (ratio * pulse + swing)) + grain * random.next()
        infrared = level * (1 - depth * (pulse + swing)) + grain * random.next()
        yield int(red), int(infrared)


def watch(pulse, samples):
    """Feed the samples, and return what was told once a second: [(heart rate, saturation)]."""
    told = []
    for n, (red, infrared) in enumerate(samples):
        pulse.add(red, infrared)
        if n % RATE == RATE - 1:
            told.append((pulse.heart_rate(), pulse.spo2()))
    return told


@cases(*range(40, 181, 10))
def test_heart_rate_within_3_beats_a_minute(bpm):
    for seed in (1, 2):
        for heart_rate, _ in watch(Pulse(), light(bpm, seed=seed))[12:]:
            assert heart_rate is not None and abs(heart_rate - bpm) <= 3


@cases(45, 75, 120, 175)
def test_heart_rate_in_more_noise(bpm):
    told = watch(Pulse(), light(bpm, noise=0.1, breath=0.6, uneven=0.01))[14:]
    for heart_rate, _ in told:
        assert heart_rate is not None and abs(heart_rate - bpm) <= 3


@cases(50, 70, 150)
def test_heart_rate_of_a_faint_pulse(bpm):
    for heart_rate, _ in watch(Pulse(), light(bpm, depth=0.004))[12:]:
        assert heart_rate is not None and abs(heart_rate - bpm) <= 3


def test_another_heart_rate_is_followed():
    pulse = Pulse()
    watch(pulse, light(60))
    for heart_rate, _ in watch(pulse, light(110, seconds=25))[14:]:
        assert abs(heart_rate - 110) <= 3
    for heart_rate, _ in watch(pulse, light(50, seconds=40))[30:]:
        assert abs(heart_rate - 50) <= 3


@cases(100, 97, 93, 88, 80)
def test_oxygen_saturation_within_3_percent(spo2):
    for bpm in (60, 90, 140):
        told = watch(Pulse(), light(bpm, spo2, noise=0.02, breath=0.2))[12:]
        for _, pct in told:
            assert abs(pct - spo2) <= 3


def test_no_finger_no_value():
    pulse = Pulse()
    random = Noise(1)
    for _ in range(500):
        pulse.add(700 + int(40 * random.next()), 900 + int(40 * random.next()))
    assert not pulse.finger and pulse.heart_rate() is None and pulse.spo2() is None


def test_a_finger_that_goes_takes_its_value_along():
    pulse = Pulse()
    assert watch(pulse, light(70))[-1][0] is not None
    assert pulse.finger
    pulse.add(700, 900)
    assert not pulse.finger and pulse.heart_rate() is None and pulse.spo2() is None
    told = watch(pulse, light(70))
    assert told[1][0] is None and abs(told[-1][0] - 70) <= 3


def test_a_finger_without_a_pulse_has_no_rate():
    pulse = Pulse()
    random = Noise(3)
    for _ in range(1000):
        pulse.add(80_000 + int(6 * random.next()), 100_000 + int(6 * random.next()))
    assert pulse.finger and pulse.heart_rate() is None


def test_a_pulse_that_stops_is_told_no_longer():
    pulse = Pulse()
    watch(pulse, light(70))
    for _ in range(5 * RATE):
        pulse.add(80_000, 100_000)
    assert pulse.heart_rate() is None


@cases(0, 0x3FFFF)
def test_light_at_the_end_of_the_scale(infrared):
    pulse = Pulse()
    for _ in range(2000):
        pulse.add(infrared, infrared)
        pulse.add(0x3FFFF - infrared, 0x3FFFF)
    pulse.heart_rate()
    pulse.spo2()
    assert abs(pulse._infrared._slope) <= 0x3FFFF * 8


def test_a_sample_allocates_nothing():
    pulse = Pulse()
    samples = list(light(70, seconds=10))
    at = [0]

    def feed():
        while at[0] < len(samples):
            pulse.add(samples[at[0]][0], samples[at[0]][1])
            at[0] += 1
        at[0] = 0
        pulse.spo2()
        return pulse.heart_rate()

    assert allocated(feed) == 0
    locked(feed)
