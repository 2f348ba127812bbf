"""Things a face does that are no expression, as pulses of channels: blinks, looks, lids, talking, swallowing, brows that speak."""

import numpy as np

from train.synth.fields import GAZE_X, GAZE_Y, channel
from train.synth.motion import BLINK_LEFT, BLINK_RIGHT
from train.synth.timeline import Envelope, Pulse


def blink(rng: np.random.Generator, start_s: float) -> list[Pulse]:
    """Both eyes shut in about 80 ms and open in about 150 ms; some blinks stay half."""
    closing, held, opening = rng.uniform(0.06, 0.11), rng.uniform(0.0, 0.05), rng.uniform(0.11, 0.2)
    envelope = Envelope(start_s, start_s + closing, start_s + closing + held, start_s + closing + held + opening)
    depth = 1.0 if rng.random() < 0.75 else rng.uniform(0.35, 0.9)
    return [Pulse(BLINK_LEFT, depth, envelope), Pulse(BLINK_RIGHT, depth * rng.uniform(0.94, 1.0), envelope)]


def gaze_shift(rng: np.random.Generator, start_s: float) -> list[Pulse]:
    """A saccade, a fixation and the way back; the upper lid follows the eye up or down."""
    across, down = rng.normal(0, 0.35), rng.normal(0, 0.2)
    away_s = rng.uniform(0.2, 1.5)
    envelope = Envelope(start_s, start_s + 0.045, start_s + 0.045 + away_s, start_s + 0.09 + away_s)
    lid = float(np.clip(-1.2 * down, -0.4, 0.4))
    return [
        Pulse(GAZE_X, float(np.clip(across, -0.8, 0.8)), envelope),
        Pulse(GAZE_Y, float(np.clip(down, -0.4, 0.4)), envelope),
        *(Pulse(channel(5, side), lid, envelope) for side in "LR"),
    ]


def lid_motion(rng: np.random.Generator, start_s: float) -> list[Pulse]:
    """Lids that narrow or widen a little, for as long as a micro-expression or longer; a few on one side."""
    rise, hold, fall = rng.uniform(0.07, 0.4), rng.uniform(0, 0.6), rng.uniform(0.07, 0.5)
    envelope = Envelope(start_s, start_s + rise, start_s + rise + hold, start_s + rise + hold + fall)
    unit = 5 if rng.random() < 0.5 else 7
    gain = rng.uniform(0.08, 0.3) * (1 if rng.random() < 0.6 else -1)
    sides = "LR" if rng.random() < 0.8 else str(rng.choice(["L", "R"]))
    return [Pulse(channel(unit, side), float(gain * rng.uniform(0.8, 1.2)), envelope) for side in sides]


def speech(rng: np.random.Generator, start_s: float, length_s: float) -> list[Pulse]:
    """Syllables of 100 to 250 ms with pauses between words: jaw and lips, mostly symmetrical, mumbled or clear."""
    pulses: list[Pulse] = []
    end_s = start_s + length_s
    loudness = rng.uniform(0.3, 1.0)
    while start_s < end_s:
        rise, fall = rng.uniform(0.05, 0.12), rng.uniform(0.05, 0.13)
        envelope = Envelope(start_s, start_s + rise, start_s + rise, start_s + rise + fall)
        jaw = loudness * rng.uniform(0.04, 0.22)
        gains = [(26, jaw), (25, rng.uniform(1.0, 2.0) * jaw)]
        if rng.random() < 0.6:
            gains.append((int(rng.choice([10, 12, 15, 17, 20, 24])), loudness * rng.uniform(0.06, 0.3)))
        tilt = rng.normal(0, 0.08)
        pulses += [
            Pulse(channel(number, side), float(gain * (1 + tilt * sign)), envelope)
            for number, gain in gains
            for side, sign in (("L", 1), ("R", -1))
        ]
        pause_s = rng.uniform(0.05, 0.35) if rng.random() < 0.2 else 0.0
        start_s += (rise + fall) * rng.uniform(0.7, 1.2) + pause_s
    return pulses


def mouth_act(rng: np.random.Generator, start_s: float) -> list[Pulse]:
    """A swallow, pressed lips, a pout of the chin or a mouth that opens to breathe: 0.5 to 2 s, slower than an expression
    that leaks."""
    rise, hold, fall = rng.uniform(0.2, 0.5), rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.6)
    envelope = Envelope(start_s, start_s + rise, start_s + rise + hold, start_s + rise + hold + fall)
    acts = ({17: 0.3, 24: 0.35}, {24: 0.5, 14: 0.2}, {17: 0.4, 15: 0.15}, {26: 0.1, 25: 0.3})
    gains = acts[rng.integers(len(acts))]
    size = rng.uniform(0.3, 1.0)
    return [
        Pulse(channel(number, side), float(size * gain * rng.uniform(0.85, 1.15)), envelope)
        for number, gain in gains.items()
        for side in "LR"
    ]


def speaking_brows(rng: np.random.Generator, start_s: float) -> list[Pulse]:
    """Brows that go up or down with what is said: as far as a micro-expression, but slower (0.7 s and more)."""
    rise, hold, fall = rng.uniform(0.22, 0.5), rng.uniform(0.2, 0.9), rng.uniform(0.28, 0.7)
    envelope = Envelope(start_s, start_s + rise, start_s + rise + hold, start_s + rise + hold + fall)
    numbers = (1, 2) if rng.random() < 0.65 else (4,)
    gain = np.exp(rng.uniform(np.log(0.08), np.log(0.4)))
    tilt = np.clip(rng.normal(0, 0.15), -0.4, 0.4)
    return [
        Pulse(channel(number, side), float(gain * (1 + tilt * sign)), envelope)
        for number in numbers
        for side, sign in (("L", 1), ("R", -1))
    ]
