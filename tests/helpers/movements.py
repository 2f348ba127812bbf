"""Made-up motion of a face, in the form in which the motion meter gives it, for the tests of the event detector."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model.types import Event, Rejection
from stream.events.detector import EventDetector
from stream.events.motion import REGIONS, Motion
from stream.events.settings import EventSettings

CLASSES = ("negative", "neutral", "positive", "surprise")
UNSURE = EventSettings()
"""Takes events of which the model, or what goes on around them, leaves some doubt."""
SURPRISED = (0.1, 0.1, 0.1, 0.7)
BROWS = ("left inner brow", "right inner brow")
LIDS = ("left eye", "right eye")
MOUTH = ("upper lip", "lower lip", "chin", "left mouth corner", "right mouth corner")


@dataclass(frozen=True)
class Movement:
    """Some regions go away from rest and back, with ease, as far as `size_px`; `back` False: they stay."""

    onset_s: float
    apex_s: float
    offset_s: float
    size_px: float = 1.5
    regions: tuple[str, ...] = BROWS
    back: bool = True

    def share(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        rise = np.clip((times_s - self.onset_s) / (self.apex_s - self.onset_s), 0, 1)
        fall = np.clip((self.offset_s - times_s) / (self.offset_s - self.apex_s), 0, 1)
        return 0.5 - 0.5 * np.cos(np.pi * (np.minimum(rise, fall) if self.back else rise))

    def later(self, after_s: float, **changes: object) -> "Movement":
        times = {name: getattr(self, name) + after_s for name in ("onset_s", "apex_s", "offset_s")}
        return replace(self, **times, **changes)  # type: ignore[arg-type]


def grid(seconds: float, fps: float = 30.0) -> NDArray[np.float64]:
    return np.arange(round(seconds * fps)) / fps


MICRO = Movement(5.0, 5.15, 5.35)
LONG = Movement(5.0, 5.5, 6.1)
TIMES_S = grid(9.0)
HEAD, LIGHT, SHARPNESS = -3, -2, -1
"""Columns of the rows."""


def face_rows(
    times_s: NDArray[np.float64], movements: Sequence[Movement] = (), noise_px: float = 0.02, seed: int = 0
) -> NDArray[np.float32]:
    """(n, 2 · regions + 3) what a frame's `Motion` has, regions first: movements upwards, white noise, hardly any head motion."""
    rng = np.random.default_rng(seed)
    regions_px = rng.normal(0, noise_px, (len(times_s), len(REGIONS), 2))
    for movement in movements:
        for region in movement.regions:
            regions_px[:, list(REGIONS).index(region), 1] -= movement.size_px * movement.share(times_s)
    head_px_s, brightness, sharpness = rng.normal((2.0, 120.0, 9.0), (0.5, 0.2, 0.1), (len(times_s), 3)).T
    return np.column_stack(
        [regions_px.reshape(len(times_s), 2 * len(REGIONS)), head_px_s, brightness, sharpness]
    ).astype(np.float32)


def motion_of(time_s: float, row: NDArray[np.float32]) -> Motion:
    """One of the rows as the motion meter gives it."""
    return Motion(float(time_s), row[:HEAD].reshape(-1, 2), *row[HEAD:].tolist())


def step_all(
    detector: EventDetector,
    times_s: NDArray[np.float64],
    rows: NDArray[np.float32],
    answer: Sequence[float] | None = SURPRISED,
) -> list[Event]:
    """The events of consecutive grid frames; the model gives the same answer at every one."""
    probabilities = None if answer is None else np.array(answer, np.float32)
    return [
        event
        for time_s, row in zip(times_s, rows, strict=True)
        for event in detector.step(motion_of(time_s, row), probabilities)
    ]


def events_of(
    times_s: NDArray[np.float64],
    rows: NDArray[np.float32],
    answer: Sequence[float] | None = SURPRISED,
    reason: Rejection | None = None,
    detector: EventDetector | None = None,
) -> list[Event]:
    """All events of a face, those that are decided at its end too."""
    detector = detector or EventDetector(CLASSES, 30.0, settings=UNSURE)
    return step_all(detector, times_s, rows, answer) + list(detector.finish(reason))


def accepted(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.rejected is None]


def apart(events: Sequence[Event]) -> list[Event]:
    """Without those that a likelier one at the same time, of another part of the face, has put out."""
    return [event for event in events if event.rejected != "overlap"]


def only(events: Sequence[Event]) -> Event:
    (event,) = apart(events)
    return event


def assert_timed(event: Event, movement: Movement, within_s: float = 0.05) -> None:
    found, true = ((e.onset_s, e.apex_s, e.offset_s) for e in (event, movement))
    assert found == pytest.approx(true, abs=within_s)


def about(events: Sequence[Event], movement: Movement) -> list[Event]:
    return [e for e in events if e.onset_s < movement.offset_s and e.offset_s > movement.onset_s]


def talking(onset_s: float, seconds: float) -> list[Movement]:
    """The mouth opens and closes four times a second."""
    starts = np.arange(onset_s, onset_s + seconds, 0.25)
    sizes = np.random.default_rng(5).uniform(1.0, 2.5, len(starts))
    return [Movement(s, s + 0.12, s + 0.25, size, MOUTH) for s, size in zip(starts, sizes, strict=True)]
