"""What happens in a long video, drawn from a seed: timed motions in continuous time, and what is true of them.

A script knows nothing of frames: sampled at 15, 30 or 120 fps it is the same performance. Micro-expressions come 4 to
12 s apart, never within talking or an ordinary expression; blinks, gaze, head motion and light take no notice of them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import get_args

import numpy as np

from model.types import EventKind
from train.synth.action_units import RECIPES, draw_expression
from train.synth.clip import MAX_INTENSITY, Expression
from train.synth.confounders import blink, gaze_shift
from train.synth.fields import PITCH, YAW, FaceFields, channel
from train.synth.motion_curves import (
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
    expression_pulses,
    micro_envelope,
    pose_at,
)
from train.synth.render import Pose

# Between an expression and whatever else may be taken for one.
_CLEAR_S = 0.8
_BUCKET_S = 1.0


@dataclass(frozen=True)
class TruthEvent:
    """An expression that is in a video. Seconds of the video's clock, `peak_px` in pixels of the aligned crop.

    `track` is the number of the person where a video shows several, from 0 on.
    """

    kind: EventKind
    label: str
    onset_s: float
    apex_s: float
    offset_s: float
    peak_px: float
    track: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(EventKind):
            raise ValueError(f"true event: expected kind micro or macro, found {self.kind!r}")
        if not self.onset_s < self.offset_s or not self.onset_s <= self.apex_s <= self.offset_s:
            times = f"{self.onset_s:.3f}, {self.apex_s:.3f}, {self.offset_s:.3f}"
            raise ValueError(f"true event: expected onset <= apex <= offset and some duration, found {times} s")


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


@dataclass(frozen=True)
class ScriptSettings:
    """What a script is drawn from. Peaks are pixels of a crop with `iod_px` between the eyes.

    `lead_s` of rest come first. Rates are per minute. `busy` scales all that moves besides expressions and blinks:
    head, gaze and light (0: a sitter who only breathes).
    """

    duration_s: float = 120.0
    lead_s: float = 5.0
    iod_px: float = 44.0
    gap_min_s: float = 4.0
    gap_max_s: float = 12.0
    peak_min_px: float = 0.8
    peak_max_px: float = 3.0
    talk_share: float = 0.3
    macro_share: float = 0.25
    rest_share: float = 0.1
    blinks_per_min: float = 16.0
    busy: float = 1.0
    expressions: bool = True

    def __post_init__(self) -> None:
        if not self.duration_s > self.lead_s > 0:
            raise ValueError(
                f"script: expected a duration above the lead, found {self.duration_s:g} and {self.lead_s:g} s"
            )
        if not 0 < self.gap_min_s <= self.gap_max_s or not 0 < self.peak_min_px <= self.peak_max_px:
            raise ValueError(
                "script: expected 0 < smallest <= largest, found gaps of "
                f"{self.gap_min_s:g} to {self.gap_max_s:g} s and peaks of {self.peak_min_px:g} to {self.peak_max_px:g} px"
            )
        shares = (self.talk_share, self.macro_share, self.rest_share)
        if min(*shares, self.blinks_per_min, self.busy) < 0 or self.talk_share + self.macro_share > 1:
            raise ValueError(f"script: expected shares from 0 to 1 together and rates of 0 or more, found {self}")


@dataclass(frozen=True)
class Distraction:
    """Something that is no expression: `kind` is blink, talk, gaze, head or light."""

    kind: str
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class Script:
    """A person's performance: `pose(time_s)` at any time, `events` and `distractions` in order of time."""

    duration_s: float
    motions: tuple[Motion, ...]
    events: tuple[TruthEvent, ...]
    distractions: tuple[Distraction, ...]

    def pose(self, time_s: float) -> Pose:
        """The pose at a time. Only what can act then is asked, so that the cost does not grow with the length."""
        bucket = min(max(int(time_s / _BUCKET_S), 0), len(self._buckets) - 1)
        return pose_at(self._buckets[bucket], time_s)

    @cached_property
    def _buckets(self) -> tuple[tuple[Motion, ...], ...]:
        count = math.ceil(self.duration_s / _BUCKET_S) + 1
        buckets: list[list[Motion]] = [[] for _ in range(count)]
        for motion in self.motions:
            first, last = 0, count - 1
            if isinstance(motion, Pulse) and motion.envelope.residual == 0:
                first = max(0, int(motion.envelope.onset_s / _BUCKET_S))
                last = min(last, int(motion.envelope.offset_s / _BUCKET_S))
            for bucket in buckets[first : last + 1]:
                bucket.append(motion)
        # Times before the first and after the last bucket are asked for too.
        buckets[0], buckets[-1] = list(self.motions), list(self.motions)
        return tuple(map(tuple, buckets))


@dataclass
class _Draft:
    """A script in the making."""

    motions: list[Motion] = field(default_factory=list)
    events: list[TruthEvent] = field(default_factory=list)
    distractions: list[Distraction] = field(default_factory=list)

    def distract(self, kind: str, pulses: list[Pulse]) -> None:
        self.motions += pulses
        starts, ends = zip(*((pulse.envelope.onset_s, pulse.envelope.offset_s) for pulse in pulses), strict=True)
        self.distractions.append(Distraction(kind, min(starts), max(ends)))


def draw_script(
    rng: np.random.Generator,
    fields: FaceFields,
    settings: ScriptSettings,
    blocked: Sequence[tuple[float, float]] = (),
) -> Script:
    """Draws a performance of a face. Micro-expressions keep out of `blocked` times (start, end).

    Every part has a generator of its own, so that one does not move the others.
    """
    expressions, blinks, rest = rng.spawn(3)
    draft = _Draft()
    if settings.expressions:
        _draw_expressions(expressions, fields, settings, blocked, draft)
    if settings.blinks_per_min > 0:
        for start_s in _moments(blinks, settings, 60 / settings.blinks_per_min, apart_s=0.6):
            draft.distract("blink", blink(blinks, start_s))
    if settings.busy > 0:
        _draw_background(rest, settings, draft)
    draft.events.sort(key=lambda event: event.onset_s)
    draft.distractions.sort(key=lambda span: span.start_s)
    return Script(settings.duration_s, tuple(draft.motions), tuple(draft.events), tuple(draft.distractions))


def _draw_expressions(
    rng: np.random.Generator,
    fields: FaceFields,
    settings: ScriptSettings,
    blocked: Sequence[tuple[float, float]],
    draft: _Draft,
) -> None:
    classes = _shuffled_classes(rng)
    free_s = settings.lead_s
    while True:
        spread_s = settings.gap_max_s - settings.gap_min_s
        gap_s = settings.gap_min_s + spread_s * rng.beta(1.3, 1.8)
        gap_s += rng.uniform(6, 10) if rng.random() < settings.rest_share else 0.0
        envelope = micro_envelope(rng, 0.0)
        envelope = envelope.shifted(free_s + gap_s - envelope.onset_s)
        if envelope.offset_s + 1.0 > settings.duration_s:
            return
        in_the_way = [end for start, end in blocked if start < envelope.offset_s and envelope.onset_s < end]
        if in_the_way:
            free_s = max(in_the_way)
            continue
        _fill_gap(rng, fields, settings, draft, (free_s + _CLEAR_S, envelope.onset_s - _CLEAR_S))
        peak_px = math.exp(rng.uniform(math.log(settings.peak_min_px), math.log(settings.peak_max_px)))
        label = next(classes)
        expression = Expression("micro", label, draw_expression(rng, label), envelope, peak_px, MAX_INTENSITY)
        _perform(rng, fields, settings.iod_px, expression, draft)
        free_s = envelope.offset_s


def _fill_gap(
    rng: np.random.Generator, fields: FaceFields, settings: ScriptSettings, draft: _Draft, gap_s: tuple[float, float]
) -> None:
    """Talking or an ordinary expression between two micro-expressions, or nothing."""
    start_s, end_s = gap_s
    kind, length_s = rng.random(), rng.uniform(0.7, 3.0)
    if kind < settings.talk_share:
        length_s = min(length_s * 1.7, end_s - start_s)
        if length_s > 1.0:
            start_s += rng.uniform(0, end_s - start_s - length_s)
            draft.distract("talk", list(talk(rng, start_s, start_s + length_s)))
    elif kind < settings.talk_share + settings.macro_share and length_s < end_s - start_s:
        start_s += rng.uniform(0, end_s - start_s - length_s)
        rise_s, hold_s, _ = rng.dirichlet((6, 3, 6)) * length_s
        envelope = Envelope(start_s, start_s + rise_s, start_s + rise_s + hold_s, start_s + length_s)
        label = str(rng.choice(list(RECIPES)))
        units = draw_expression(rng, label)
        expression = Expression("macro", label, units, envelope, float(rng.uniform(2.0, 6.0)), max_intensity=1.0)
        _perform(rng, fields, settings.iod_px, expression, draft)


def _perform(
    rng: np.random.Generator, fields: FaceFields, iod_px: float, expression: Expression, draft: _Draft
) -> None:
    envelope, gains = expression.envelope, expression.gains(fields, iod_px)
    if envelope.residual:
        # What stays after the offset goes within seconds: the expression is one part that ends at the offset and one
        # that is held until then.
        settled_s = envelope.offset_s + rng.uniform(1.0, 3.0)
        held = Envelope(envelope.onset_s, envelope.apex_s, envelope.offset_s, settled_s)
        draft.motions += expression_pulses({n: g * envelope.residual for n, g in gains.items()}, held)
        ended = Envelope(envelope.onset_s, envelope.apex_s, envelope.release_s, envelope.offset_s)
        draft.motions += expression_pulses({n: g * (1 - envelope.residual) for n, g in gains.items()}, ended)
    else:
        draft.motions += expression_pulses(gains, envelope)
    peak_px = fields.peak_iod(gains) * iod_px
    draft.events.append(
        TruthEvent(
            "macro" if expression.kind == "macro" else "micro",
            expression.class_name, envelope.onset_s, envelope.apex_s, envelope.offset_s, peak_px,
        )
    )  # fmt: skip


def _shuffled_classes(rng: np.random.Generator) -> Iterator[str]:
    """Every class as often as the others, in an order that cannot be foreseen."""
    names = list(RECIPES)
    while True:
        yield from (names[i] for i in rng.permutation(len(names)))


def _draw_background(rng: np.random.Generator, settings: ScriptSettings, draft: _Draft) -> None:
    """Gaze, lids, head and light, which go on whatever the face does."""
    busy = settings.busy
    for name, amplitude, low_hz, high_hz in (
        (HEAD_X, 0.006, 0.3, 1.4), (HEAD_Y, 0.006, 0.3, 1.4), (HEAD_ROLL, 0.2, 0.3, 1.2), (HEAD_GROWTH, 0.003, 0.2, 0.8),
        (HEAD_X, 0.03, 0.05, 0.2), (HEAD_Y, 0.02, 0.05, 0.2), (HEAD_ROLL, 0.8, 0.05, 0.2), (HEAD_GROWTH, 0.012, 0.04, 0.15),
        (YAW, 0.4, 0.1, 0.5), (PITCH, 0.4, 0.1, 0.5), (LIGHT, 0.015, 0.05, 0.6), (LIGHT_SLOPE, 0.012, 0.05, 0.4),
    ):  # fmt: skip
        amplitude *= busy * rng.uniform(0.4, 1.4)
        draft.motions.append(Oscillation(name, amplitude, rng.uniform(low_hz, high_hz), rng.uniform(0, 2 * math.pi)))
    for start_s in _moments(rng, settings, 5.0 / busy, apart_s=0.5):
        draft.distract("gaze", gaze_shift(rng, start_s))
    for start_s in _moments(rng, settings, 12.0 / busy, apart_s=1.0):
        draft.distract("head", list(posture(rng, start_s)))
    for start_s in _moments(rng, settings, 25.0 / busy, apart_s=1.0):
        draft.distract("head", list(nod(rng, start_s)))
    for start_s in _moments(rng, settings, 25.0 / busy, apart_s=2.0):
        draft.distract("light", [light_step(rng, start_s)])


def _moments(rng: np.random.Generator, settings: ScriptSettings, mean_s: float, apart_s: float) -> Iterator[float]:
    """Moments `mean_s` apart in the mean, and `apart_s` at the least."""
    time_s = rng.uniform(0, mean_s)
    while time_s < settings.duration_s - 0.5:
        yield time_s
        time_s += apart_s + rng.exponential(max(mean_s - apart_s, 0.1))
