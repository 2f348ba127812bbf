"""Micro-expression events: onset, apex and offset of one face's movements, and why the others are none.

Every frame of the time grid brings the motion of the face's regions and the model's probabilities. A movement away from
rest and back (`stream.events.bumps`) that stands out from the face's own noise is a candidate; it is decided a little later, when
it is known what the face did afterwards and what the model makes of it. The model alone cannot say when something happened:
its answer is about its whole window. The motion alone cannot say what happened.
"""

from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.contract import ActionUnits
from model.types import Event, EventKind, Rejection, acting_units
from stream.events.bumps import BumpMeter, Bumps, NoiseFloor
from stream.events.candidate import Candidate, Peak, artefact_of, label_of, measure, reject_micro
from stream.events.motion import EYES, SKIN, Motion, MotionTrace
from stream.events.settings import EventSettings

_SKIN, _EYES = np.array(SKIN), np.array(EYES)
_MACRO_STRIDE_S = 0.1
"""Long movements are looked for so often, not at every frame: their peaks are flat."""


@dataclass(frozen=True, eq=False)
class _Centre:
    """Bumps around frame `number`: sizes in units of the threshold, of the skin and of the lids."""

    number: int
    bumps: Bumps
    skin: float
    skin_width: int
    eyes: float
    eyes_width: int


class EventDetector:
    """Follows one face on the contract's time grid. `step` for every grid frame; `interrupt` when the face is out of sight
    for a moment, `finish` when it is gone.

    Args:
        class_names: of the probabilities, in the contract's order; with or without a neutral class.
        fps: of the grid. track: the face's number, which its events carry.
        units: the action units that the model tells, None where it tells none.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        fps: float,
        track: int = 1,
        settings: EventSettings | None = None,
        units: ActionUnits | None = None,
    ) -> None:
        self._names, self._fps, self._track = tuple(class_names), fps, track
        self._settings = settings = settings or EventSettings()
        self._units = units
        shoulder = self._near = max(1, round(settings.shoulder_s * fps))
        self._micro = BumpMeter(_frames(settings.half_widths_s, fps), shoulder, settings.step_share)
        self._macro = BumpMeter(_frames(settings.macro_half_widths_s, fps), 2 * shoulder, settings.step_share)
        self._stride = max(1, round(_MACRO_STRIDE_S * fps))
        self._decide = max(round(settings.decide_s * fps), self._micro.reach + self._near)
        self._before = max(round((settings.quiet_before_s + settings.max_s) * fps), self._micro.reach)
        behind = max(self._before + self._decide, 2 * self._macro.reach + self._stride)
        self._trace = MotionTrace(behind + 1, len(self._names), len(units.names) if units else 0)
        self._noise = NoiseFloor(fps)
        # From the oldest centre within a movement that is being decided to the newest.
        within = max(self._near, round(settings.max_s * fps))
        self._centres: deque[_Centre] = deque(maxlen=self._decide + within + 1 - self._micro.reach)
        self._long: deque[_Centre] = deque(maxlen=3)
        self._accepted: deque[Event] = deque(maxlen=32)
        self.reset()

    def reset(self) -> None:
        """Forgets the face."""
        self._noise.reset()
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

    @property
    def seen_s(self) -> float:
        """How long the face has been seen, without interruptions."""
        return (self._seen_before_s or 0.0) + max(self._newest_s - self._started_s, 0.0)

    @property
    def calibrated(self) -> bool:
        """Whether the face has been seen long enough for its movements to count."""
        return self.seen_s >= self._settings.calibration_s

    def step(
        self,
        motion: Motion,
        probabilities: NDArray[np.float32] | None,
        action_units: NDArray[np.float32] | None = None,
    ) -> tuple[Event, ...]:
        """The events, and the rejected candidates, that are decided with this frame: `decide_s` after their apex, long ones
        later still.

        `probabilities` (classes,) of the window that ends here, if any, and `action_units` (2 units,) if the model tells
        them. Raises ValueError for motion that is not finite
        and for times that do not grow.
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
        if newest >= 2 * self._micro.reach:
            self._look(newest - self._micro.reach)
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
        seen_s, noise, brightness = self.seen_s, copy(self._noise), self._brightness
        found = self._decide_open(reason)
        # What was made up for the time after the last frame is nothing that the face did.
        self._noise, self._brightness, self._seen_before_s = noise, brightness, seen_s
        self._empty()
        return found

    def _decide_open(self, reason: Rejection | None) -> tuple[Event, ...]:
        found: list[Event] = []
        if self._trace.count:
            self._end_s, self._end_reason = self._newest_s, reason
            last = self._trace.last()
            for ahead in range(1, max(self._decide, self._macro.reach + 2 * self._stride) + 1):
                found += self.step(replace(last, time_s=self._end_s + ahead / self._fps), None)
        return tuple(found)

    def _look(self, number: int) -> None:
        """Measures the bumps around a frame, and learns the noise from those of a middle width."""
        reach = self._micro.reach
        bumps = self._micro.measure(self._trace.view(number - reach, number + reach + 1).motion_px)
        centre = self._centre(number, bumps, self._floor_px())
        self._centres.append(centre)
        middle = bumps.vectors_px[len(bumps.half_widths) // 2]
        self._noise.update(np.hypot(middle[:, 0], middle[:, 1]), at_rest=centre.skin < 1.0)

    def _look_long(self, number: int) -> None:
        reach = self._macro.reach
        bumps = self._macro.measure(self._trace.view(number - reach, number + reach + 1).motion_px)
        floor_px = np.maximum(self._floor_px(), np.float32(self._settings.macro_min_peak_px))
        self._long.append(self._centre(number, bumps, floor_px))

    def _centre(self, number: int, bumps: Bumps, floor_px: NDArray[np.float32]) -> _Centre:
        return _Centre(number, bumps, *bumps.largest(floor_px, _SKIN), *bumps.largest(floor_px, _EYES))

    def _floor_px(self) -> NDArray[np.float32]:
        """(regions,) What a movement has to be longer than."""
        return np.maximum(self._settings.noise_factor * self._noise.mean_px, np.float32(self._settings.min_peak_px))

    def _decided(self, number: int) -> list[Event]:
        """The short movement whose peak is at frame `number`, if there is one."""
        place = number - self._centres[0].number
        if place < 0 or max(self._centres[place].skin, self._centres[place].eyes) < 1.0:
            return []
        centre = self._centres[place]
        centres = list(self._centres)
        earlier, later = centres[max(place - self._near, 0) : place], centres[place + 1 : place + self._near + 1]
        rejected: Rejection | None
        if _is_peak([other.skin for other in earlier], centre.skin, [other.skin for other in later]):
            candidate = self._measured(centre, self._micro, self._before, self._decide)
            rejected = reject_micro(candidate, self._names, self._settings)
            if rejected is None and self._is_side_of_another(centre, candidate):
                rejected = "overlap"
        elif _is_peak([other.eyes for other in earlier], centre.eyes, [other.eyes for other in later]):
            if any(other.skin >= 1.0 for other in (*earlier, centre, *later)):
                return []
            candidate = self._measured(centre, self._micro, self._before, self._decide, lids=True)
            rejected = "blink"
        else:
            return []
        # What is longer is a shoulder of something that the wide bumps see as a whole.
        return [self._event(candidate, "micro", rejected)] if candidate.duration_s <= self._settings.max_s else []

    def _is_side_of_another(self, centre: _Centre, candidate: Candidate) -> bool:
        """Whether something at least twice as clear happens within the candidate."""
        return any(
            candidate.onset_s <= self._trace.time_s(other.number) <= candidate.offset_s
            for other in self._centres
            if other.skin >= 2 * centre.skin
        )

    def _decided_long(self) -> list[Event]:
        """The long movement whose peak is at the last centre but one."""
        if len(self._long) < 3:
            return []
        earlier, centre, later = self._long
        if not _is_peak([earlier.skin], centre.skin, [later.skin]):
            return []
        candidate = self._measured(centre, self._macro, self._macro.reach, self._macro.reach)
        if candidate.duration_s <= self._settings.max_s:
            return []
        return [self._event(candidate, "macro", artefact_of(candidate, self._settings))]

    def _measured(self, centre: _Centre, meter: BumpMeter, before: int, after: int, lids: bool = False) -> Candidate:
        """The movement of the skin (or the lids) at a centre, seen with so many frames on either side."""
        regions, width = (_EYES, centre.eyes_width) if lids else (_SKIN, centre.skin_width)
        bumps, start = centre.bumps, max(centre.number - before, self._trace.first)
        place = centre.number - start
        vectors_px, sizes_px = bumps.vectors_px[width], bumps.sizes_px[width]
        peak = Peak(place, bumps.half_widths[width], meter.shoulder, vectors_px, sizes_px, regions)
        trace = self._trace.view(start, centre.number + after + 1)
        return measure(trace, peak, self._settings, self._fps, self._end_s)

    def _event(self, candidate: Candidate, kind: EventKind, rejected: Rejection | None) -> Event:
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
        if rejected is None and kind == "micro" and confidence < settings.min_confidence:
            rejected = "no_expression"
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


def _frames(times_s: Sequence[float], fps: float) -> list[int]:
    """Different numbers of frames, at least one."""
    return sorted({max(1, round(time_s * fps)) for time_s in times_s})
