"""Micro-expression events: onset, apex and offset of one face's movements, and why the others are none.

Every frame of the time grid brings the motion of the face's regions and the model's probabilities. A movement away from
rest and back (`stream.events.bumps`), of any part of the face, is a candidate; it is judged a little later, when it is known what
the face did afterwards and what the model makes of it (`stream.events.evidence`, `stream.events.judgement`). No rule throws a
candidate away that was seen whole: a learned decision weighs all of it, and of those at the same time the likeliest counts. The
model alone cannot say when something happened: its answer is about its whole window. The motion alone cannot say what happened.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.contract import ActionUnits
from model.types import Event, EventKind, Rejection, acting_units
from stream.events.bumps import BumpMeter, Bumps, NoiseFloor, UsualMotion
from stream.events.candidate import (
    APEX_SLACK_S,
    Candidate,
    Peak,
    artefact_of,
    going_on_px,
    label_of,
    measure,
    percentile_of,
)
from stream.events.evidence import LEAST_PX, Surroundings, evidence
from stream.events.judgement import Judge
from stream.events.motion import REGIONS, SKIN, Motion, MotionTrace
from stream.events.settings import EventSettings

_SKIN = np.array(SKIN)
_PARTS = tuple(
    np.array([index for index, name in enumerate(REGIONS) if any(word in name for word in words)])
    for words in (("brow",), ("cheek", "nostril"), ("mouth", "lip", "chin"), ("eye",))
)
"""Of the face, each with candidates of its own: what goes on in one does not hide the others."""


@dataclass(frozen=True, eq=False)
class _Parts:
    """Parts of the face side by side, looked at in one go: the indices of all their regions, and where each begins there."""

    regions: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, parts: Sequence[NDArray[np.intp]]) -> "_Parts":
        return cls(np.concatenate(parts), np.cumsum([0, *map(len, parts[:-1])]))


_EVERY_PART, _ALL_SKIN = _Parts.of(_PARTS), _Parts.of((_SKIN,))
_CROWD_S = 2.0
_REST_PX = 0.22
"""Shorter movements are rest, as far as the noise is concerned."""
_MACRO_STRIDE_S = 0.1
"""Long movements are looked for so often, not at every frame: their peaks are flat."""


@dataclass(frozen=True, eq=False)
class _Centre:
    """Bumps around frame `number`: of each of some parts of the face the largest, in units of the threshold, and its width."""

    number: int
    bumps: Bumps
    sizes: tuple[float, ...]
    widths: tuple[int, ...]

    @property
    def largest(self) -> float:
        return max(self.sizes)


@dataclass(frozen=True, eq=False)
class _Judged:
    """A candidate whose bump's centre is at frame `number`."""

    number: int
    candidate: Candidate
    evidence: Mapping[str, float]
    probability: float

    @property
    def rank(self) -> tuple[float, float]:
        """The likelier one counts; of equally likely ones that which stands out more."""
        return self.probability, self.evidence["over noise"]


class EventDetector:
    """Follows one face on the contract's time grid. `step` for every grid frame; `interrupt` when the face is out of sight
    for a moment, `finish` when it is gone.

    Args:
        class_names: of the probabilities, in the contract's order; with or without a neutral class.
        fps: of the grid. track: the face's number, which its events carry.
        units: the action units that the model tells, None where it tells none.
        judge: what decides which candidates are micro-expressions; by hand where there is none.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        fps: float,
        track: int = 1,
        settings: EventSettings | None = None,
        units: ActionUnits | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._names, self._fps, self._track = tuple(class_names), fps, track
        self._settings = settings = settings or EventSettings()
        self._units, self._judge = units, judge or Judge(None)
        shoulder = self._near = max(1, round(settings.shoulder_s * fps))
        self._micro = BumpMeter(_frames(settings.half_widths_s, fps), shoulder, settings.step_share)
        self._macro = BumpMeter(_frames(settings.macro_half_widths_s, fps), 2 * shoulder, settings.step_share)
        self._stride = max(1, round(_MACRO_STRIDE_S * fps))
        self._decide = max(round(settings.decide_s * fps), self._micro.reach + self._near)
        self._before = max(round((settings.habit_s + settings.max_s) * fps), self._micro.reach)
        behind = max(self._before + self._decide, 2 * self._macro.reach + self._stride)
        self._trace = MotionTrace(behind + 1, len(self._names), len(units.names) if units else 0)
        self._noise, self._usual = NoiseFloor(fps), UsualMotion(fps)
        # From the oldest centre beside one that is being decided to the newest.
        self._centres: deque[_Centre] = deque(maxlen=self._decide + self._near + 1 - self._micro.reach)
        # An apex may lie a little off the centre of its bump.
        self._rival = max(1, math.ceil((settings.rival_s + 2 * APEX_SLACK_S) * fps))
        self._lag = max(1, round(settings.quiet_lag_s * fps))
        # Those that have been measured, in order of their apexes' centres, until all their rivals are too.
        self._waiting: deque[_Judged] = deque()
        self._told: deque[_Judged] = deque(maxlen=64)
        self._crowd: deque[float] = deque(maxlen=256)
        self._long: deque[_Centre] = deque(maxlen=3)
        self._accepted: deque[Event] = deque(maxlen=32)
        self.reset()

    def reset(self) -> None:
        """Forgets the face."""
        self._noise.reset()
        self._usual.reset()
        self._accepted.clear()
        self._brightness: float | None = None
        # How long the face had been seen before it was interrupted, None where it never was.
        self._seen_before_s: float | None = None
        self._empty()

    def _empty(self) -> None:
        """Forgets what the face did, not how it is at rest."""
        self._trace.reset()
        self._centres.clear()
        self._long.clear()
        self._started_s, self._newest_s, self._end_s = np.inf, -np.inf, np.inf
        self._end_reason: Rejection | None = None
        self._waiting.clear()
        self._told.clear()
        self._crowd.clear()
        self._smallest_px: float | None = None

    @property
    def seen_s(self) -> float:
        """How long the face has been seen, without interruptions."""
        return (self._seen_before_s or 0.0) + max(self._newest_s - self._started_s, 0.0)

    @property
    def calibrated(self) -> bool:
        """Whether the face has been seen long enough for its movements to count."""
        return self.seen_s >= self._settings.calibration_s

    @property
    def smallest_px(self) -> float | None:
        """From this size on a micro-expression would rather be noticed now than not; None while it calibrates, for so long
        after an interruption as what was before an onset is not known, and where none would be."""
        known = self._newest_s - self._started_s >= self._settings.quiet_before_s
        return self._smallest_px if self.calibrated and known else None

    @property
    def watchable(self) -> bool:
        """Whether a micro-expression of the settings' size or less would be."""
        return self.smallest_px is not None and self.smallest_px <= self._settings.watchable_px

    def step(
        self,
        motion: Motion,
        probabilities: NDArray[np.float32] | None,
        action_units: NDArray[np.float32] | None = None,
    ) -> tuple[Event, ...]:
        """The events, and the rejected candidates, that are decided with this frame: those whose rivals have been judged too,
        about a second and a half after their apex, long ones later still.

        `probabilities` (classes,) of the window that ends here, if any, and `action_units` (2 units,) if the model tells
        them. Raises ValueError for motion that is not finite and for times that do not grow.
        """
        time_s = motion.time_s
        if not time_s > self._newest_s:
            raise ValueError(f"timestamps: expected more than {self._newest_s:.4f} s, found {time_s:.4f} s")
        if (value := motion.not_finite) is not None:
            raise ValueError(f"motion: expected finite values, found {value}")
        self._started_s, self._newest_s = min(self._started_s, time_s), time_s
        self._trace.append(motion, probabilities, action_units)
        self._watch_light(motion.brightness)
        found: list[Event] = []
        newest = self._trace.count - 1
        if newest % self._stride == 0:
            self._smallest_px = self._noticed_px()
        if newest >= 2 * self._micro.reach:
            self._look(newest - self._micro.reach)
            self._judge_peaks(newest - self._decide)
            found += self._decided(newest - self._decide)
        if newest >= 2 * self._macro.reach and newest % self._stride == 0:
            self._look_long(newest - self._macro.reach)
            found += self._decided_long()
        return tuple(found)

    def finish(self, reason: Rejection | None = None) -> tuple[Event, ...]:
        """Decides what is still open, for the reason why the face is gone (None: the video has ended), and resets.

        What comes after the last frame is not known: the face is taken to stay as it was.
        """
        found = self._decide_open(reason)
        self.reset()
        return found

    def interrupt(self, reason: Rejection) -> tuple[Event, ...]:
        """Decides what is still open, for the reason why the face cannot be seen just now. How it is at rest, and how long it
        was seen, stay known: where it was calibrated, it is so when it comes back."""
        seen_s, noise, usual, brightness = self.seen_s, copy(self._noise), copy(self._usual), self._brightness
        found = self._decide_open(reason)
        # What was made up for the time after the last frame is nothing that the face did.
        self._noise, self._usual, self._brightness, self._seen_before_s = noise, usual, brightness, seen_s
        self._empty()
        return found

    def _decide_open(self, reason: Rejection | None) -> tuple[Event, ...]:
        found: list[Event] = []
        if self._trace.count:
            self._end_s, self._end_reason = self._newest_s, reason
            last = self._trace.last()
            for ahead in range(1, max(self._decide + self._rival, self._macro.reach + 2 * self._stride) + 1):
                found += self.step(replace(last, time_s=self._end_s + ahead / self._fps), None)
        return tuple(found)

    def _noticed_px(self) -> float | None:
        """See `smallest_px`: by what the face does in the time that is looked at before an onset."""
        settings = self._settings
        behind = round(settings.quiet_before_s * self._fps)
        trace = self._trace.view(self._trace.count - behind - self._lag, self._trace.count)
        inside = np.arange(len(trace.times_s)) >= self._lag
        restless_px = going_on_px(trace.motion_px, inside, self._lag, settings.quiet_percentiles[0])
        noise_px = percentile_of(self._noise.mean_px[_SKIN], 50)
        px = self._judge.smallest_px(noise_px, restless_px, float(trace.head_px_s.max(initial=0.0)))
        return None if px is None else max(px, settings.min_peak_px, settings.micro_noise_factor * noise_px)

    def _look(self, number: int) -> None:
        """Measures the bumps around a frame, and learns the noise from those of a middle width."""
        reach = self._micro.reach
        bumps = self._micro.measure(self._trace.view(number - reach, number + reach + 1).motion_px)
        settings = self._settings
        floor_px = np.maximum(settings.micro_noise_factor * self._noise.mean_px, np.float32(settings.min_peak_px))
        self._centres.append(_centre(number, bumps, floor_px, _EVERY_PART))
        middle = bumps.vectors_px[len(bumps.half_widths) // 2]
        rest_px = np.maximum(settings.noise_factor * self._noise.mean_px, np.float32(_REST_PX))
        lengths_px = np.hypot(middle[:, 0], middle[:, 1])
        self._usual.update(lengths_px)
        self._noise.update(lengths_px, at_rest=bumps.largest(rest_px, _SKIN)[0] < 1.0)

    def _look_long(self, number: int) -> None:
        reach, settings = self._macro.reach, self._settings
        bumps = self._macro.measure(self._trace.view(number - reach, number + reach + 1).motion_px)
        floor_px = np.maximum(settings.noise_factor * self._noise.mean_px, np.float32(settings.macro_min_peak_px))
        self._long.append(_centre(number, bumps, floor_px, _ALL_SKIN))

    def _judge_peaks(self, number: int) -> None:
        """Measures and judges the short movements whose peak is at frame `number`, one for every part of the face."""
        place = number - self._centres[0].number
        if place < 0:
            return
        centre = self._centres[place]
        if centre.largest < 1.0:
            return
        centres = list(self._centres)
        earlier, later = centres[max(place - self._near, 0) : place], centres[place + 1 : place + self._near + 1]
        for part, (size, width) in enumerate(zip(centre.sizes, centre.widths, strict=True)):
            if _is_peak([o.sizes[part] for o in earlier], size, [o.sizes[part] for o in later]):
                self._measure_peak(centre, _PARTS[part], size, width)

    def _measure_peak(self, centre: _Centre, regions: NDArray[np.intp], size: float, width: int) -> None:
        peak, start = self._peak(centre, self._micro, width, regions, self._before)
        trace = self._trace.view(start, centre.number + self._decide + 1)
        candidate = measure(trace, peak, self._settings, self._fps, self._end_s)
        usual_px = np.maximum(self._usual.mean_px[regions], np.float32(LEAST_PX))
        seen = Surroundings(
            over_noise=size * self._settings.micro_noise_factor,
            over_usual=float((peak.sizes_px[regions] / usual_px).max()),
            crowding=sum(candidate.apex_s - _CROWD_S <= apex_s for apex_s in self._crowd),
        )
        values = evidence(trace, peak, candidate, seen, self._names)
        self._crowd.append(candidate.apex_s)
        self._waiting.append(_Judged(centre.number, candidate, values, self._judge.probability(values)))

    def _decided(self, number: int) -> list[Event]:
        """The candidates all of whose rivals have been judged, now that those with a peak at `number` are."""
        found: list[Event] = []
        while self._waiting and self._waiting[0].number + self._rival <= number:
            judged = self._waiting.popleft()
            rivals = [other for other in (*self._told, *self._waiting) if self._are_rivals(other, judged)]
            # Of equal ones the first counts.
            if any(other.rank > judged.rank or (other.rank == judged.rank and other in self._told) for other in rivals):
                rejected: Rejection | None = "overlap"
            else:
                rejected = self._judge.rejection(judged.evidence, judged.probability)
            self._told.append(judged)
            found.append(self._event(judged.candidate, "micro", rejected, judged))
        return found

    def _are_rivals(self, first: "_Judged", second: "_Judged") -> bool:
        return abs(first.candidate.apex_s - second.candidate.apex_s) <= self._settings.rival_s

    def _decided_long(self) -> list[Event]:
        """The long movement whose peak is at the last centre but one."""
        if len(self._long) < 3:
            return []
        earlier, centre, later = self._long
        if not _is_peak(earlier.sizes, centre.largest, later.sizes):
            return []
        peak, start = self._peak(centre, self._macro, centre.widths[0], _SKIN, self._macro.reach)
        trace = self._trace.view(start, centre.number + self._macro.reach + 1)
        candidate = measure(trace, replace(peak, macro=True), self._settings, self._fps, self._end_s)
        if candidate.duration_s <= self._settings.max_s:
            return []
        return [self._event(candidate, "macro", artefact_of(candidate, self._settings))]

    def _peak(
        self, centre: _Centre, meter: BumpMeter, width: int, regions: NDArray[np.intp], before: int
    ) -> tuple[Peak, int]:
        """The bump of some regions at a centre in a trace with so many frames before it, and the trace's first frame."""
        bumps, start = centre.bumps, max(centre.number - before, self._trace.first)
        vectors_px, sizes_px = bumps.vectors_px[width], bumps.sizes_px[width]
        half_width = bumps.half_widths[width]
        return Peak(centre.number - start, half_width, meter.shoulder, vectors_px, sizes_px, regions), start

    def _event(
        self, candidate: Candidate, kind: EventKind, rejected: Rejection | None, judged: "_Judged | None" = None
    ) -> Event:
        """The candidate's event. When it came (too early, too late, too close to another) goes before what it was."""
        settings = self._settings
        after_start_s = candidate.onset_s - self._started_s
        if after_start_s + (self._seen_before_s or 0.0) < settings.calibration_s:
            rejected = "calibrating"
        elif self._seen_before_s is not None and after_start_s < settings.quiet_before_s:
            rejected = "tracking_lost"
        elif self._end_reason is not None and candidate.after_s < settings.quiet_after_s:
            rejected = self._end_reason
        elif rejected is None and any(
            candidate.onset_s < other.offset_s + settings.refractory_s
            and other.onset_s < candidate.offset_s + settings.refractory_s
            for other in self._accepted
        ):
            rejected = "overlap"
        label, probability = label_of(candidate, self._names)
        confidence = probability * candidate.clarity
        units = self._acting(candidate)
        event = Event(
            track=self._track,
            kind=kind,
            label=label,
            onset_s=candidate.onset_s,
            apex_s=candidate.apex_s,
            offset_s=candidate.offset_s,
            confidence=confidence,
            peak_px=max(candidate.skin_px, candidate.eyes_px),
            rejected=rejected,
            action_units=tuple(units),
            action_unit_confidences=tuple(units.values()),
            probability=None if judged is None else judged.probability,
            evidence={} if judged is None else judged.evidence,
        )
        if rejected is None:
            self._accepted.append(event)
        return event

    def _acting(self, candidate: Candidate) -> dict[str, float]:
        """Action units with their confidence."""
        if self._units is None or candidate.action_units is None:
            return {}
        means = dict(zip(self._units.names, candidate.action_units.tolist(), strict=True))
        return acting_units(means, self._units.threshold)

    def _watch_light(self, brightness: float) -> None:
        """A change of light is a change of noise: the floor is learned anew."""
        if self._brightness is None:
            self._brightness = brightness
        elif abs(brightness - self._brightness) > 2.0 * self._settings.max_exposure:
            self._brightness = brightness
            self._noise.renew()


def _is_peak(earlier: Sequence[float], value: float, later: Sequence[float]) -> bool:
    """Whether it stands out (1 or more) and none of those around is larger; of equal ones the first is the peak."""
    return value >= 1.0 and all(other < value for other in earlier) and all(other <= value for other in later)


def _centre(number: int, bumps: Bumps, floor_px: NDArray[np.float32], parts: "_Parts") -> _Centre:
    regions, starts = parts.regions, parts.starts
    largest = np.maximum.reduceat(bumps.sizes_px[:, regions] / floor_px[regions], starts, axis=1)
    return _Centre(number, bumps, tuple(largest.max(axis=0).tolist()), tuple(largest.argmax(axis=0).tolist()))


def _frames(times_s: Sequence[float], fps: float) -> list[int]:
    """Different numbers of frames, at least one."""
    return sorted({max(1, round(time_s * fps)) for time_s in times_s})
