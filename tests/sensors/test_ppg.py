"""Heart rate and oxygen saturation on synthetic light: its truth is known, its noise is moderate.

The light is made here, in another way than the simulated MAX30102 makes it: bells in floating
point, beats of uneven length, normal noise.
"""

import math

from sensors.ppg import Beats, Pulse
from support import allocated, cases, locked

RATE = 50
TIMEOUT_S = 300.0


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

    def hertz(self):
        """A frequency that a pulse can have, 0.5 to 4."""
        self.next()
        return 0.5 + self.state % 4096 * 3.5 / 4096


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


class Motion:
    """A hand that moves in no rhythm, with all frequencies that a pulse can have."""

    def __init__(self, random):
        self.parts = [(random.hertz(), random.next(), random.next()) for _ in range(12)]

    def at(self, second):
        total = 0.0
        for hertz, phase, height in self.parts:
            total += height * math.sin(2 * math.pi * (hertz * second + phase))
        return total / 7  # about as strong as a pulse, whose deviation is a third of its height


def light(
    bpm,
    spo2=97,
    seconds=20,
    noise=0.05,
    breath=0.4,
    uneven=0.02,
    depth=0.012,
    seed=1,
    ectopic=0,
    motion=0,
    cadence=0,
    bursts=False,
):
    """Yield (red, infrared); noise, breath and motion are shares of the pulse, uneven of its
    length. Of `ectopic` beats one comes too early, followed by a pause. motion is as strong in
    both colours, and with a cadence in its rhythm, in times a minute; bursts shake the hand for
    a second every ten.
    """
    random = Noise(seed * 7919 + bpm)
    hand = Motion(random)
    ratio = (110 - spo2) / 25
    level = 100_000
    phase = 0.0
    length = 1.0
    beats = 0
    for n in range(seconds * RATE):
        phase += bpm / 60 / RATE / length
        if phase >= 1:
            phase -= 1
            beats += 1
            length = 1 + uneven * random.next()
            if ectopic and beats % ectopic == 0:
                length = 0.6
            elif ectopic and beats % ectopic == 1 and beats > 1:
                length = 1.4
        pulse = WAVE[int(phase * 200)]
        swing = breath * math.sin(2 * math.pi * 0.25 * n / RATE)
        if cadence:
            swing += motion * 0.5 * math.sin(2 * math.pi * cadence / 60 * n / RATE)
        elif motion:
            swing += motion * hand.at(n / RATE)
        if bursts and n // RATE % 10 == 9:
            swing += 8 * hand.at(n / RATE)
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


def tally(told, bpm):
    """(right, wrong, none): how many seconds were told the rate within 3, another one, none."""
    right = wrong = none = 0
    for heart_rate, _ in told:
        if heart_rate is None:
            none += 1
        elif abs(heart_rate - bpm) <= 3:
            right += 1
        else:
            wrong += 1
    return right, wrong, none


@cases((50, 8), (80, 8), (80, 12), (140, 12))
def test_ectopic_beats_do_not_change_the_heart_rate(bpm, every):
    right, wrong, none = tally(watch(Pulse(), light(bpm, seconds=40, ectopic=every))[14:], bpm)
    assert wrong == 0 and right > 2 * none


@cases(60, 90, 130)
def test_occasional_shaking_gives_no_wrong_heart_rate(bpm):
    right, wrong, none = tally(watch(Pulse(), light(bpm, seconds=40, bursts=True))[14:], bpm)
    assert wrong == 0 and right > none


@cases((60, 0.25), (95, 0.25), (130, 0.25))
def test_slight_motion_does_not_change_the_heart_rate(bpm, motion):
    told = watch(Pulse(), light(bpm, seconds=30, motion=motion))[14:]
    right, wrong, none = tally(told, bpm)
    assert wrong == 0 and none <= 2


def test_strong_motion_is_no_pulse_when_motion_is_known():
    wrong = total = 0
    for bpm in (50, 95):
        for motion in (1, 4):
            still = Pulse()
            known = Pulse()
            known.moving = True
            told = watch(still, light(bpm, seconds=30, motion=motion))[14:]
            wrong += tally(told, bpm)[1]
            total += len(told)
            assert tally(watch(known, light(bpm, seconds=30, motion=motion)), bpm)[1] == 0
    assert wrong * 10 <= total


@cases((50, 1), (70, 2), (95, 4))
def test_rhythmic_motion_is_no_pulse_when_motion_is_known(bpm, motion):
    """Without that knowledge it is one: nothing in the light tells it from a strong pulse."""
    told = watch(Pulse(), light(bpm, seconds=30, motion=motion, cadence=110))[14:]
    if motion == 4:
        assert abs(told[-1][0] - 110) <= 3
    pulse = Pulse()
    pulse.moving = True
    right, wrong, none = tally(
        watch(pulse, light(bpm, seconds=30, motion=motion, cadence=110)), bpm
    )
    assert wrong == 0 and right == 0 and none == 30


def test_clear_pulse_is_reported_during_motion():
    pulse = Pulse()
    pulse.moving = True
    for heart_rate, _ in watch(pulse, light(120, motion=0.1, cadence=150))[12:]:
        assert abs(heart_rate - 120) <= 3


@cases((5, 0, 0, True), (3, 1, 0, True), (1, 1, 0, False), (4, 0, 1, True), (1, 0, 1, False))
def test_two_thirds_of_the_beats_must_agree(even, odd, late, told):
    """So many of each in turn."""
    beats = Beats()
    for _ in range(12):
        for _ in range(even):
            beats.add(700, 1000, 500, False)
        for _ in range(odd):
            beats.add(700, 1000, 500, True)
        for _ in range(late):
            beats.add(1100, 1000, 500, False)
    assert (beats.interval, beats.ratio) == ((700, 500) if told else (0, 0))


@cases((700, 2100, 500), (700, 450, 500), (700, 1000, 1000), (700, 1000, 200), (900, 1000, 500))
def test_beat_of_another_shape_does_not_agree(interval, top, ratio):
    beats = Beats()
    for _ in range(7):
        beats.add(700, 1000, 500, False)
    assert beats.interval == 700
    for _ in range(4):
        beats.add(interval, top, ratio, False)
    assert beats.interval == 0


def test_heart_rate_change_is_followed():
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


def test_without_a_finger_no_value():
    pulse = Pulse()
    random = Noise(1)
    for _ in range(500):
        pulse.add(700 + int(40 * random.next()), 900 + int(40 * random.next()))
    assert not pulse.finger and pulse.heart_rate() is None and pulse.spo2() is None


def test_removed_finger_clears_the_value():
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


def test_stopped_pulse_clears_the_value():
    pulse = Pulse()
    watch(pulse, light(70))
    for _ in range(5 * RATE):
        pulse.add(80_000, 100_000)
    assert pulse.heart_rate() is None


@cases(0, 0x3FFFF)
def test_saturated_light_keeps_the_filter_bounded(infrared):
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
