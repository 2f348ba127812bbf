"""Things people and rooms do that are no expressions, as pulses of channels: talking, nods, changes of posture and light."""

from collections.abc import Iterator

import numpy as np

from train.synth.fields import PITCH, YAW, channel
from train.synth.motion import HEAD_GROWTH, HEAD_ROLL, HEAD_X, HEAD_Y, LIGHT
from train.synth.timeline import Envelope, Pulse


def talk(rng: np.random.Generator, start_s: float, end_s: float) -> Iterator[Pulse]:
    """Words of a few syllables: jaw and lips; the head nods a little with some of them."""
    time_s = start_s
    while time_s < end_s - 0.3:
        for _ in range(rng.integers(1, 6)):
            rise_s, fall_s = rng.uniform(0.05, 0.13, 2)
            envelope = Envelope(time_s, time_s + rise_s, time_s + rise_s, time_s + rise_s + fall_s)
            if envelope.offset_s > end_s:
                break
            jaw = rng.uniform(0.05, 0.25)
            gains = {26: jaw, 25: rng.uniform(1.0, 1.8) * jaw}
            if rng.random() < 0.6:
                gains[int(rng.choice([12, 17, 20, 24]))] = rng.uniform(0.1, 0.35)
            for number, gain in gains.items():
                yield from (Pulse(channel(number, side), gain, envelope) for side in "LR")
            time_s += (rise_s + fall_s) * rng.uniform(0.65, 1.1)
        if rng.random() < 0.5:
            yield from nod(rng, time_s)
        time_s += rng.uniform(0.05, 0.4)


def nod(rng: np.random.Generator, start_s: float) -> Iterator[Pulse]:
    rise_s, fall_s = rng.uniform(0.12, 0.3, 2)
    envelope = Envelope(start_s, start_s + rise_s, start_s + rise_s, start_s + rise_s + fall_s)
    size = rng.uniform(0.3, 1.0) * rng.choice([-1, 1])
    yield Pulse(HEAD_Y, 0.04 * size, envelope)
    yield Pulse(PITCH, 1.2 * size, envelope)


def posture(rng: np.random.Generator, start_s: float) -> Iterator[Pulse]:
    """The head goes elsewhere, stays for seconds and comes back; it turns a little on the way."""
    there_s, stay_s, back_s = rng.uniform(0.5, 1.6), rng.uniform(0.5, 7.0), rng.uniform(0.5, 1.6)
    envelope = Envelope(start_s, start_s + there_s, start_s + there_s + stay_s, start_s + there_s + stay_s + back_s)
    for name, spread in (
        (HEAD_X, 0.08), (HEAD_Y, 0.05), (HEAD_ROLL, 2.0), (HEAD_GROWTH, 0.025), (YAW, 1.0), (PITCH, 0.8)
    ):  # fmt: skip
        yield Pulse(name, float(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread)), envelope)


def light_step(rng: np.random.Generator, start_s: float) -> Pulse:
    up_s, down_s = rng.uniform(0.02, 0.15, 2)
    stay_s = rng.uniform(2.0, 15.0)
    gain = rng.uniform(0.03, 0.12) * rng.choice([-1, 1])
    return Pulse(
        LIGHT, gain, Envelope(start_s, start_s + up_s, start_s + up_s + stay_s, start_s + up_s + stay_s + down_s)
    )
