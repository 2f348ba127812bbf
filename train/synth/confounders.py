"""What moves or changes in a picture without being an expression; drawn alike for every class, so that none gives a class away.

Blinks, gaze, lids, speech, head motion, light, sensor noise and compression.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image
from train.synth.fields import GAZE_X, GAZE_Y, NODES, PITCH, YAW, channel
from train.synth.motion import (
    BLINK_LEFT,
    BLINK_RIGHT,
    HEAD_GROWTH,
    HEAD_ROLL,
    HEAD_X,
    HEAD_Y,
    LIGHT,
    LIGHT_SLOPE,
    Motion,
)
from train.synth.render import Camera
from train.synth.timeline import Envelope, Oscillation, Pulse


@dataclass(frozen=True)
class Sensor:
    """`noise` is σ in grey levels, `jpeg_quality` 1..100 or None for no compression."""

    noise: float
    jpeg_quality: int | None


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


def draw_texture(rng: np.random.Generator) -> NDArray[np.float32]:
    """A matrix per field node (NODES, NODES, 2, 2) near the identity: real skin does not move as smoothly as a Gaussian."""
    texture = np.zeros((2, 2, NODES, NODES), np.float32)
    for nodes_apart, strength in ((4, 0.16), (9, 0.14)):
        coarse = rng.standard_normal((2, 2, NODES // nodes_apart + 2, NODES // nodes_apart + 2), dtype=np.float32)
        for row in range(2):
            for column in range(2):
                texture[row, column] += strength * cv2.resize(
                    coarse[row, column], (NODES, NODES), interpolation=cv2.INTER_CUBIC
                )
    return np.ascontiguousarray(
        (texture + np.eye(2, dtype=np.float32)[..., np.newaxis, np.newaxis]).transpose(2, 3, 0, 1)
    )


def draw_confounders(rng: np.random.Generator, duration_s: float) -> Confounders:
    """A clip's confounders."""
    pulses: list[Pulse] = []
    oscillations: list[Oscillation] = list(_head_motion(rng, slow=False))
    notes: list[str] = []

    def perhaps(name: str, probability: float, drawn: list[Pulse]) -> None:
        # Drawn before it is decided, so that every clip takes as many numbers from the generator's start.
        if rng.random() < probability:
            pulses.extend(drawn)
            notes.append(name)

    perhaps("blink", 0.3, blink(rng, rng.uniform(0.1, duration_s)))
    perhaps("gaze", 0.3, gaze_shift(rng, rng.uniform(0.1, duration_s)))
    perhaps("lids", 0.3, lid_motion(rng, rng.uniform(0.1, duration_s)))
    perhaps("speech", 0.15, speech(rng, rng.uniform(0.0, 0.6 * duration_s), rng.uniform(0.4, 1.2)))
    perhaps("exposure_step", 0.12, [_exposure_step(rng, rng.uniform(0.1, duration_s), duration_s)])
    if rng.random() < 0.4:
        oscillations += _head_motion(rng, slow=True)
        notes.append("slow_head")
    if rng.random() < 0.35:
        oscillations += _head_turn(rng)
        notes.append("head_turn")
    oscillations += _light_drift(rng)
    noise = float(np.exp(rng.uniform(math.log(0.5), math.log(4.0))))
    quality = int(rng.integers(60, 96)) if rng.random() < 0.8 else None
    return Confounders((*pulses, *oscillations), Sensor(noise, quality), tuple(notes))


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
    """Lids that narrow or widen a little, for as long as a micro-expression or longer."""
    rise, hold, fall = rng.uniform(0.07, 0.4), rng.uniform(0, 0.6), rng.uniform(0.07, 0.5)
    envelope = Envelope(start_s, start_s + rise, start_s + rise + hold, start_s + rise + hold + fall)
    unit = 5 if rng.random() < 0.5 else 7
    gain = rng.uniform(0.08, 0.3) * (1 if rng.random() < 0.7 else -1)
    return [Pulse(channel(unit, side), float(gain * rng.uniform(0.8, 1.2)), envelope) for side in "LR"]


def speech(rng: np.random.Generator, start_s: float, length_s: float) -> list[Pulse]:
    """A few syllables: jaw and lips, 100 to 250 ms each, mostly symmetrical."""
    pulses: list[Pulse] = []
    end_s = start_s + length_s
    while start_s < end_s:
        rise, fall = rng.uniform(0.05, 0.12), rng.uniform(0.05, 0.13)
        envelope = Envelope(start_s, start_s + rise, start_s + rise, start_s + rise + fall)
        jaw = rng.uniform(0.02, 0.12)
        gains = [(26, jaw), (25, 2 * jaw)]
        if rng.random() < 0.5:
            gains.append((int(rng.choice([17, 20, 24])), rng.uniform(0.05, 0.25)))
        pulses += [Pulse(channel(number, side), float(gain), envelope) for number, gain in gains for side in "LR"]
        start_s += (rise + fall) * rng.uniform(0.7, 1.2)
    return pulses


def _head_motion(rng: np.random.Generator, slow: bool) -> list[Oscillation]:
    """Sway that everybody has, or the larger and slower motion of somebody who changes posture."""
    low_hz, high_hz = (0.08, 0.35) if slow else (0.3, 1.6)
    size = rng.uniform(0.3, 1.0)
    spread = {HEAD_X: 0.12, HEAD_Y: 0.08, HEAD_ROLL: 3.0, HEAD_GROWTH: 0.035} if slow else {
        HEAD_X: 0.012, HEAD_Y: 0.012, HEAD_ROLL: 0.4, HEAD_GROWTH: 0.004}  # fmt: skip
    return [
        Oscillation(
            name,
            float(size * rng.normal(0, amplitude)),
            float(rng.uniform(low_hz, high_hz)),
            float(rng.uniform(0, 2 * math.pi)),
        )
        for name, amplitude in spread.items()
    ]


def _head_turn(rng: np.random.Generator) -> list[Oscillation]:
    """Small turns out of the picture plane, degrees: a similarity cannot take their parallax out."""
    return [
        Oscillation(
            name,
            float(np.clip(rng.normal(0, 0.7), -1.5, 1.5)),
            float(rng.uniform(0.1, 0.8)),
            float(rng.uniform(0, 2 * math.pi)),
        )
        for name in (YAW, PITCH)
    ]


def _light_drift(rng: np.random.Generator) -> list[Oscillation]:
    return [
        Oscillation(
            LIGHT, float(rng.uniform(0, 0.04)), float(rng.uniform(0.1, 1.0)), float(rng.uniform(0, 2 * math.pi))
        ),
        Oscillation(
            LIGHT_SLOPE, float(rng.normal(0, 0.02)), float(rng.uniform(0.1, 0.6)), float(rng.uniform(0, 2 * math.pi))
        ),
    ]


def _exposure_step(rng: np.random.Generator, start_s: float, duration_s: float) -> Pulse:
    gain = rng.uniform(0.02, 0.08) * (1 if rng.random() < 0.5 else -1)
    ramp_s = rng.uniform(0.02, 0.12)
    return Pulse(
        LIGHT, float(gain), Envelope(start_s, start_s + ramp_s, start_s + duration_s + 1, start_s + duration_s + 2)
    )


class SensorModel:
    """What a sensor and its compression make of the pictures of one clip, all of one shape; `seed` gives the noise."""

    def __init__(self, sensor: Sensor, shape: tuple[int, ...], seed: int) -> None:
        self._sensor, self._shape, self._seed = sensor, shape, seed
        # A sheet four times as large as a frame, read at another place each time: no two frames get the same noise,
        # at a tenth of the cost of drawing it anew.
        sheet = np.random.default_rng(seed).standard_normal((2 * shape[0], 2 * shape[1], *shape[2:]), dtype=np.float32)
        self._sheet = sheet * np.float32(sensor.noise)

    def photograph(self, image: Image, index: int) -> Image:
        """Picture `index` of the clip as it arrives, same shape."""
        if self._sensor.noise > 0:
            height, width = self._shape[:2]
            top, left = np.random.default_rng((self._seed, index)).integers(0, (height, width))
            noise = self._sheet[top : top + height, left : left + width]
            image = cv2.add(image, noise, dtype=cv2.CV_8U)
        if self._sensor.jpeg_quality is None:
            return image
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._sensor.jpeg_quality])
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if image.ndim == 2 else cv2.IMREAD_COLOR)
