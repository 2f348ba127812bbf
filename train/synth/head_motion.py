"""How heads move in front of a webcam: sway, changes of posture, nods and shakes, jolts and turns out of the picture plane."""

import math
from collections.abc import Sequence

import numpy as np

from train.synth.fields import PITCH, YAW
from train.synth.motion import HEAD_GROWTH, HEAD_ROLL, HEAD_X, HEAD_Y
from train.synth.timeline import Envelope, Oscillation, Pulse


def sway(rng: np.random.Generator, slow: bool) -> list[Oscillation]:
    """Sway that everybody has, or the larger and slower motion of somebody who changes posture (3 to 6 px of the crop)."""
    low_hz, high_hz = (0.08, 0.35) if slow else (0.3, 1.6)
    size = rng.uniform(0.3, 1.0)
    spread = {HEAD_X: 0.12, HEAD_Y: 0.08, HEAD_ROLL: 3.0, HEAD_GROWTH: 0.035} if slow else {
        HEAD_X: 0.012, HEAD_Y: 0.012, HEAD_ROLL: 0.4, HEAD_GROWTH: 0.004}  # fmt: skip
    return [_swing(rng, name, size * rng.normal(0, amplitude), low_hz, high_hz) for name, amplitude in spread.items()]


def turn(rng: np.random.Generator, large: float = 0.3) -> list[Oscillation]:
    """Turns out of the picture plane, degrees: a similarity cannot take their parallax out. `large`: the probability of
    one of more than 1.5."""
    size = rng.uniform(1.5, 3.0) if rng.random() < large else 1.0
    return [
        _swing(rng, name, size * float(np.clip(rng.normal(0, 0.8), -1.5, 1.5)), 0.1, 0.8 / size)
        for name in (YAW, PITCH)
    ]


def quick_move(rng: np.random.Generator, start_s: float, end_s: float) -> list[Pulse]:
    """The head goes 1 to 6 px of the crop within half a second; it comes back (a nod) or stays until after `end_s`.

    It turns on the way, as necks do: up to 4 degrees.
    """
    rise_s, fall_s, hold_s = rng.uniform(0.1, 0.45), rng.uniform(0.1, 0.45), rng.uniform(0, 0.3)
    release_s = start_s + rise_s + hold_s
    if rng.random() < 0.5:
        release_s = max(release_s, end_s + 1.0)
    envelope = Envelope(start_s, start_s + rise_s, release_s, release_s + fall_s)
    size, angle = math.exp(rng.uniform(math.log(0.02), math.log(0.14))), rng.uniform(0, 2 * math.pi)
    x, y = size * math.cos(angle), size * math.sin(angle)
    turned_deg = rng.uniform(0, 30)  # per IOD
    return [
        Pulse(HEAD_X, x, envelope),
        Pulse(HEAD_Y, y, envelope),
        Pulse(YAW, float(turned_deg * x), envelope),
        Pulse(PITCH, float(turned_deg * y), envelope),
        Pulse(HEAD_ROLL, float(rng.normal(0, 0.8)), envelope),
    ]


def jolt(rng: np.random.Generator, start_s: float, end_s: float, fps: float) -> list[Pulse]:
    """From one frame to the next the picture jumps by 0.5 to 3 px of the crop: for one frame, or for good."""
    frame_s = 1 / fps
    stays = rng.random() < 0.5
    release_s = max(start_s + frame_s, end_s + 1.0) if stays else start_s + 0.6 * frame_s
    envelope = Envelope(start_s, start_s + 0.5 * frame_s, release_s, release_s + 0.5 * frame_s)
    size, angle = rng.uniform(0.012, 0.07), rng.uniform(0, 2 * math.pi)
    return [Pulse(HEAD_X, size * math.cos(angle), envelope), Pulse(HEAD_Y, size * math.sin(angle), envelope)]


def smears(moves: Sequence[Pulse], shutter_s: float, frames: int, fps: float) -> tuple[tuple[float, float], ...]:
    """How far the head goes (x, y in IOD) while the shutter is open, for every frame."""

    def travel(name: str, time_s: float) -> float:
        return sum(
            move.at(time_s + shutter_s / 2) - move.at(time_s - shutter_s / 2) for move in moves if move.channel == name
        )

    return tuple((travel(HEAD_X, index / fps), travel(HEAD_Y, index / fps)) for index in range(frames))


def _swing(rng: np.random.Generator, name: str, amplitude: float, low_hz: float, high_hz: float) -> Oscillation:
    return Oscillation(name, float(amplitude), float(rng.uniform(low_hz, high_hz)), float(rng.uniform(0, 2 * math.pi)))
