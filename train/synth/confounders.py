"""What moves or changes in a picture without being an expression; drawn alike for every class, so that none gives a class away.

Pulses of channels: blinks, looks, lids, talking, swallowing, brows that speak; how heads move in front of a webcam: sway,
changes of posture, nods and shakes, jolts and turns out of the picture plane; light and skin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.synth.fields import GAZE_X, GAZE_Y, NODES, PITCH, YAW, channel
from train.synth.motion_curves import (
    BLINK_LEFT,
    BLINK_RIGHT,
    HEAD_GROWTH,
    HEAD_ROLL,
    HEAD_X,
    HEAD_Y,
    LIGHT,
    LIGHT_SLOPE,
    Envelope,
    Motion,
    Oscillation,
    Pulse,
)
from train.synth.render import Camera
from train.synth.sensor import FocusHunt, Sensor, Tone

BROW_UNITS = frozenset({1, 2, 4})
MOUTH_UNITS = frozenset({10, 12, 14, 15, 17, 20, 24, 25, 26})


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


def sway(rng: np.random.Generator, slow: bool) -> list[Oscillation]:
    """Sway that everybody has, or the larger and slower motion of somebody who changes posture (3 to 6 px of the crop)."""
    low_hz, high_hz = (0.08, 0.35) if slow else (0.3, 1.6)
    size = rng.uniform(0.3, 1.0)
    spread = {HEAD_X: 0.12, HEAD_Y: 0.08, HEAD_ROLL: 3.0, HEAD_GROWTH: 0.035} if slow else {
        HEAD_X: 0.012, HEAD_Y: 0.012, HEAD_ROLL: 0.4, HEAD_GROWTH: 0.004}  # fmt: skip
    return [_swing(rng, name, size * rng.normal(0, amplitude), low_hz, high_hz) for name, amplitude in spread.items()]


def turn(rng: np.random.Generator, large: float = 0.3) -> list[Oscillation]:
    """Turns out of the picture plane, degrees. `large`: the probability of
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


@dataclass(frozen=True)
class Spared:
    """A time in which no confounder moves brows or mouth, if `units` (of the expression then) do: nobody could tell them apart."""

    units: frozenset[int]
    start_s: float
    end_s: float

    def covers(self, pulse: Pulse) -> bool:
        if pulse.envelope.offset_s < self.start_s or pulse.envelope.onset_s > self.end_s:
            return False
        regions = (region for region in (BROW_UNITS, MOUTH_UNITS) if self.units & region)
        return any(pulse.channel in (channel(n, "L"), channel(n, "R")) for region in regions for n in region)


@dataclass(frozen=True)
class Confounders:
    """Everything of a clip that is not its expression. `notes` says in short what was drawn."""

    motions: tuple[Motion, ...]
    sensor: Sensor
    notes: tuple[str, ...]


def draw_camera(rng: np.random.Generator) -> Camera:
    """Faces of 44 to 80 px between the eyes, as a webcam at arm's length shows them."""
    return Camera(
        iod_px=float(np.exp(rng.uniform(math.log(44), math.log(80)))),
        roll_deg=float(rng.normal(0, 3)),
        shift_iod=(float(rng.uniform(-0.08, 0.08)), float(rng.uniform(-0.06, 0.06))),
        blur_px=float(rng.uniform(0.2, 0.7)),
        body_follows=float(rng.uniform(0, 1)),
        mirrored=bool(rng.random() < 0.5),
    )


# Nodes between independent values, and how strong they are.
_TEXTURE = ((3, 0.18), (5, 0.24), (9, 0.22), (18, 0.14))


def draw_texture(rng: np.random.Generator, strength: float = 0.6) -> NDArray[np.float32]:
    """A matrix per field node (NODES, NODES, 2, 2) near the identity: real skin does not move as smoothly as a Gaussian.

    `strength` 1 is as rough as the motion of real micro-expressions is; motion above 3 px of the crop wants less, lest
    it tears.
    """
    texture = np.zeros((NODES, NODES, 4), np.float32)
    for nodes_apart, share in _TEXTURE:
        coarse = rng.standard_normal((NODES // nodes_apart + 2, NODES // nodes_apart + 2, 4), dtype=np.float32)
        texture += share * cv2.resize(coarse, (NODES, NODES), interpolation=cv2.INTER_CUBIC)
    return np.float32(strength) * texture.reshape(NODES, NODES, 2, 2) + np.eye(2, dtype=np.float32)


# In clips that are not hard, all but the most common confounders are this much rarer.
_CALM = 0.25


def draw_confounders(
    rng: np.random.Generator, frames: int, fps: float, spared: Spared | None = None, hard: bool = True
) -> Confounders:
    """The confounders of a clip of so many frames. What falls into the `spared` time is left out after it was drawn, so
    that the same generator gives the same confounders to every class. Blinks, looks, lids, sway, light and noise are as
    frequent in every clip; the rest (talking, quick and large head motion, bad focus, strong compression) is four times
    as frequent in a `hard` one."""
    duration_s = frames / fps
    pulses: list[Pulse] = []
    notes: list[str] = ["hard"] if hard else []
    often = 1.0 if hard else _CALM

    def perhaps(name: str, probability: float, drawn: Sequence[Pulse]) -> None:
        # Drawn before it is decided, so that every clip takes as many numbers from the generator's start.
        kept = [pulse for pulse in drawn if spared is None or not spared.covers(pulse)]
        if rng.random() < probability and kept:
            pulses.extend(kept)
            notes.append(name)

    def anywhen() -> float:
        return rng.uniform(0.1, duration_s)

    perhaps("blink", 0.3, blink(rng, anywhen()))
    perhaps("gaze", 0.35, gaze_shift(rng, anywhen()))
    perhaps("gaze", 0.2 * often, gaze_shift(rng, anywhen()))
    perhaps("lids", 0.3, lid_motion(rng, anywhen()))
    perhaps("lids", 0.15 * often, lid_motion(rng, anywhen()))
    starts_s, length_s = rng.uniform(-0.3, 0.7) * duration_s, rng.uniform(0.4, 2.0)
    talk = speech(rng, max(starts_s, 0.02), length_s)
    perhaps("speech", 0.3 * often, talk)
    perhaps("brows", 0.35 if "speech" in notes else 0.04 * often, speaking_brows(rng, anywhen()))
    perhaps("mouth", 0.12 * often, mouth_act(rng, anywhen()))
    perhaps("exposure_step", 0.15 * often, [_exposure_step(rng, anywhen(), duration_s)])
    perhaps("shadow", 0.06 * often, [_shadow(rng, anywhen())])
    quick = [quick_move(rng, anywhen(), duration_s), jolt(rng, anywhen(), duration_s, fps)]
    perhaps("quick_head", 0.25 * often, quick[0])
    perhaps("jolt", 0.05 * often, quick[1])
    swings: list[Oscillation] = sway(rng, slow=False)
    for name, probability, drawn in (
        ("slow_head", 0.4, sway(rng, slow=True)),
        ("head_turn", 0.4, turn(rng, large=0.3 * often)),
        ("flicker", 0.08 * often, [_flicker(rng)]),
    ):  # fmt: skip
        if rng.random() < probability:
            swings += drawn
            notes.append(name)
    swings += _light_drift(rng)
    moves = [pulse for name, move in zip(("quick_head", "jolt"), quick, strict=True) if name in notes for pulse in move]
    sensor, more = draw_sensor(rng, moves, frames, fps, often)
    return Confounders((*pulses, *swings), sensor, (*dict.fromkeys(notes), *more))


def draw_sensor(
    rng: np.random.Generator, moves: Sequence[Pulse], frames: int, fps: float, often: float = 1.0
) -> tuple[Sensor, tuple[str, ...]]:
    """The sensor of a clip whose head makes these quick moves, and what is notable about it. `often` is the frequency of
    faults, as a share of that in hard clips."""
    notes: list[str] = []

    def happens(name: str, probability: float) -> bool:
        if rng.random() >= probability:
            return False
        notes.append(name)
        return True

    noise = float(np.exp(rng.uniform(math.log(0.5), math.log(4.0))))
    quality = int(rng.integers(30, 60) if rng.random() < 0.25 * often else rng.integers(60, 96))
    video = happens("video", 0.25 * often)
    compressed = rng.random() < 0.85
    shutter_s = rng.uniform(0.005, 0.03)
    tones = [Tone(-1, 1, _white_balance(rng, 0.1, rng.uniform(0.6, 1.12)), float(np.exp(rng.normal(0, 0.2))))]
    tones = tones if happens("tone", 0.4 * often) else []
    if happens("white_balance_step", 0.12 * often):
        start, ramp = int(rng.integers(1, frames)), int(rng.integers(1, 16))
        tones.append(Tone(start, ramp, _white_balance(rng, 0.06, 1.0), float(np.exp(rng.normal(0, 0.05)))))
    hunt = FocusHunt(int(rng.integers(0, frames)), int(rng.integers(6, 30)), float(rng.uniform(0.5, 1.8)))
    return Sensor(
        noise=noise,
        jpeg_quality=quality if compressed or video else None,
        grain_px=float(rng.uniform(0.3, 0.8)) if rng.random() < 0.4 else 0.0,
        keyframe_every=int(rng.integers(8, 61)) if video else 1,
        keyframe_phase=int(rng.integers(0, 60)),
        defocus_px=float(rng.uniform(0.3, 1.1)) if happens("defocus", 0.25 * often) else 0.0,
        focus_hunt=hunt if happens("focus_hunt", 0.06 * often) else None,
        smears=smears(moves, min(shutter_s, 0.9 / fps), frames, fps) if moves else (),
        tones=tuple(tones),
    ), tuple(notes)


def draw_repeats(rng: np.random.Generator, frames: int) -> tuple[int, ...]:
    """Frames that a webcam which cannot keep up shows twice: a few, in one clip of twelve."""
    chosen = tuple(int(i) for i in np.flatnonzero(rng.random(frames) < rng.uniform(0.02, 0.2)) if i > 0)
    return chosen if rng.random() < 1 / 12 else ()


def _white_balance(rng: np.random.Generator, spread: float, gain: float) -> tuple[float, float, float]:
    blue, red = np.exp(rng.normal(0, spread, 2))
    return float(gain * blue), float(gain), float(gain * red)


def _light_drift(rng: np.random.Generator) -> list[Oscillation]:
    return [
        Oscillation(
            LIGHT, float(rng.uniform(0, 0.04)), float(rng.uniform(0.1, 1.0)), float(rng.uniform(0, 2 * math.pi))
        ),
        Oscillation(
            LIGHT_SLOPE, float(rng.normal(0, 0.02)), float(rng.uniform(0.1, 0.6)), float(rng.uniform(0, 2 * math.pi))
        ),
    ]


def _flicker(rng: np.random.Generator) -> Oscillation:
    """Mains light against the frame rate."""
    return Oscillation(
        LIGHT, float(rng.uniform(0.004, 0.02)), float(rng.uniform(3.0, 12.0)), float(rng.uniform(0, 2 * math.pi))
    )


def _exposure_step(rng: np.random.Generator, start_s: float, duration_s: float) -> Pulse:
    gain = rng.uniform(0.02, 0.12) * (1 if rng.random() < 0.5 else -1)
    ramp_s = rng.uniform(0.02, 0.25)
    return Pulse(
        LIGHT, float(gain), Envelope(start_s, start_s + ramp_s, start_s + duration_s + 1, start_s + duration_s + 2)
    )


def _shadow(rng: np.random.Generator, start_s: float) -> Pulse:
    """Somebody passes a lamp: one side of the face gets darker and light again."""
    rise_s, hold_s, fall_s = rng.uniform(0.1, 0.5), rng.uniform(0, 0.5), rng.uniform(0.1, 0.5)
    envelope = Envelope(start_s, start_s + rise_s, start_s + rise_s + hold_s, start_s + rise_s + hold_s + fall_s)
    return Pulse(LIGHT_SLOPE, float(rng.uniform(0.04, 0.15) * rng.choice([-1, 1])), envelope)
