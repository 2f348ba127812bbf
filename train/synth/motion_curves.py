"""How motion goes over time, and from it the pose of a frame. All times are seconds.

Pulses and slow oscillations of named channels, with eased envelopes. Channels are the fields' names (`fields.channel`,
gaze, yaw, pitch) and those below, which are no fields.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from train.synth.render import HeadPose, Pose

# Onset→apex and apex→offset of real micro-expressions: lognormal, uncorrelated. Between the annotations of CASME II and SAMM
# (medians 150 and 160 ms, σ .47 and .60) and those of DFME (183 and 147 ms, σ .39 and .63).
_RISE_MEDIAN_S, _RISE_SIGMA = 0.165, 0.45
_FALL_MEDIAN_S, _FALL_SIGMA = 0.155, 0.62
MICRO_MIN_S, MICRO_MAX_S = 0.120, 0.500


@dataclass(frozen=True)
class Envelope:
    """0 until `onset_s`, eased up to 1 at `apex_s`, held until `release_s`, eased down to `residual` at `offset_s`."""

    onset_s: float
    apex_s: float
    release_s: float
    offset_s: float
    residual: float = 0.0

    def __post_init__(self) -> None:
        if not self.onset_s < self.apex_s <= self.release_s < self.offset_s:
            raise ValueError(
                "envelope: expected onset < apex <= release < offset, "
                f"found {self.onset_s:.3f}, {self.apex_s:.3f}, {self.release_s:.3f}, {self.offset_s:.3f} s"
            )
        if not 0.0 <= self.residual <= 1.0:
            raise ValueError(f"envelope: expected a residual in 0..1, found {self.residual}")

    @property
    def duration_s(self) -> float:
        return self.offset_s - self.onset_s

    def at(self, time_s: float) -> float:
        """The value in 0..1 at a time."""
        if time_s <= self.apex_s:
            return _ease((time_s - self.onset_s) / (self.apex_s - self.onset_s))
        fallen = _ease((time_s - self.release_s) / (self.offset_s - self.release_s))
        return 1.0 - (1.0 - self.residual) * fallen

    def scaled(self, by: float) -> "Envelope":
        """All times multiplied."""
        return Envelope(by * self.onset_s, by * self.apex_s, by * self.release_s, by * self.offset_s, self.residual)

    def shifted(self, by_s: float) -> "Envelope":
        return Envelope(
            self.onset_s + by_s, self.apex_s + by_s, self.release_s + by_s, self.offset_s + by_s, self.residual
        )


@dataclass(frozen=True)
class Pulse:
    """One rise and fall of a channel (a field's name, "blink_L", …) to `gain`."""

    channel: str
    gain: float
    envelope: Envelope

    def at(self, time_s: float) -> float:
        return self.gain * self.envelope.at(time_s)


@dataclass(frozen=True)
class Oscillation:
    """A slow swing of a channel around where it was at time 0."""

    channel: str
    amplitude: float
    frequency_hz: float
    phase: float

    def at(self, time_s: float) -> float:
        angle = 2 * math.pi * self.frequency_hz * time_s
        return self.amplitude * (math.sin(angle + self.phase) - math.sin(self.phase))


def micro_envelope(rng: np.random.Generator, apex_s: float) -> Envelope:
    """A micro-expression's timing around its apex: 120 to 500 ms in all, 40 % leave a residual of up to .25.

    In 40 % the face stays at the apex for up to two fifths of the way to the offset.
    """
    rise_s = _RISE_MEDIAN_S * math.exp(rng.normal(0, _RISE_SIGMA))
    fall_s = _FALL_MEDIAN_S * math.exp(rng.normal(0, _FALL_SIGMA))
    total_s = rise_s + fall_s
    stretch = min(max(total_s, MICRO_MIN_S), MICRO_MAX_S) / total_s
    residual = rng.uniform(0, 0.25) if rng.random() < 0.4 else 0.0
    held = rng.uniform(0, 0.4) if rng.random() < 0.4 else 0.0
    fall_s *= stretch
    return Envelope(apex_s - rise_s * stretch, apex_s, apex_s + held * fall_s, apex_s + fall_s, residual)


def macro_envelope(rng: np.random.Generator, apex_s: float) -> Envelope:
    """An ordinary expression's timing: 0.8 to 3 s, a slow rise, a hold, a slow fall."""
    total_s = rng.uniform(0.8, 3.0)
    rise, hold, fall = rng.dirichlet((6, 3, 6)) * total_s
    return Envelope(apex_s - rise, apex_s, apex_s + hold, apex_s + hold + fall)


def drift_envelope(rng: np.random.Generator, duration_s: float) -> Envelope:
    """What comes within 1.2 to 4 s from the first half of a clip on, and stays beyond its end."""
    onset_s, rise_s = rng.uniform(0, 0.5 * duration_s), rng.uniform(1.2, 4.0)
    release_s = max(onset_s + rise_s, duration_s) + 1.0
    return Envelope(onset_s, onset_s + rise_s, release_s, release_s + 1.0)


def _ease(share: float) -> float:
    """Half a cosine from 0 to 1."""
    return 0.5 - 0.5 * math.cos(math.pi * min(max(share, 0.0), 1.0))


# Closure 0..1 of the eye in the image's left and right half (before mirroring).
BLINK_LEFT, BLINK_RIGHT = "blink_left", "blink_right"
# IOD, IOD, degrees, share.
HEAD_X, HEAD_Y, HEAD_ROLL, HEAD_GROWTH = "head_x", "head_y", "head_roll", "head_growth"
# Shares of the light there is.
LIGHT, LIGHT_SLOPE = "light", "light_slope"

_HEAD = (HEAD_X, HEAD_Y, HEAD_ROLL, HEAD_GROWTH)
_NO_FIELDS = frozenset((BLINK_LEFT, BLINK_RIGHT, LIGHT, LIGHT_SLOPE, *_HEAD))

Motion = Pulse | Oscillation


def expression_pulses(gains: Mapping[str, float], envelope: Envelope) -> tuple[Pulse, ...]:
    """Fields that rise and fall together; `gains` are theirs at the apex."""
    return tuple(Pulse(name, gain, envelope) for name, gain in gains.items())


def pose_at(motions: Iterable[Motion], time_s: float) -> Pose:
    """What a frame at a time shows: motions of the same channel add up."""
    values: dict[str, float] = {}
    for motion in motions:
        values[motion.channel] = values.get(motion.channel, 0.0) + motion.at(time_s)

    def shut(name: str) -> float:
        return min(max(values.get(name, 0.0), 0.0), 1.0)

    return Pose(
        gains={name: value for name, value in values.items() if name not in _NO_FIELDS and value},
        head=HeadPose(*(values.get(name, 0.0) for name in _HEAD)),
        blink=(shut(BLINK_LEFT), shut(BLINK_RIGHT)),
        light=1.0 + values.get(LIGHT, 0.0),
        light_slope=values.get(LIGHT_SLOPE, 0.0),
    )
