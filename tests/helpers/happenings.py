"""Made-up events and faces with the real types, for what draws and counts them."""

from dataclasses import replace

import numpy as np

from model.types import Event, EventKind, FaceCrop, FaceResult, Frame, FrameResult, Prediction, Rejection, Status
from stream.history import LiveHistory
from tests.helpers.results import CLASSES, face, prediction

AT_REST = prediction(0.03, 0.91, 0.04, 0.02)


def event(
    apex_s: float,
    label: str = "surprise",
    lasts_s: float = 0.2,
    kind: EventKind = "micro",
    rejected: Rejection | None = None,
    track: int = 1,
    confidence: float = 0.87,
    probability: float | None = None,
) -> Event:
    """Its apex is in its middle."""
    onset_s, offset_s = apex_s - lasts_s / 2, apex_s + lasts_s / 2
    return Event(track, kind, label, onset_s, apex_s, offset_s, confidence, 1.3, rejected, probability=probability)


def seen(
    track: int = 1,
    status: Status = "ok",
    at: FaceCrop | None = None,
    answer: Prediction | None = AT_REST,
    calibrated: bool = True,
    filled: int = 30,
    rate_hz: float = 30.0,
    smallest_px: float | None = 0.6,
    watchable: bool = True,
) -> FaceResult:
    """A face at rest, watchable where it is calibrated and has an answer, unless told otherwise."""
    answer = answer if status == "ok" else None
    watchable = watchable and calibrated and status == "ok"
    return FaceResult(track, status, filled, answer, at or face(), calibrated, rate_hz, smallest_px, watchable)


def moment(
    time_s: float = 0.0,
    *faces: FaceResult,
    events: tuple[Event, ...] = (),
    image: np.ndarray | None = None,
    absence: Status = "no_face",
) -> FrameResult:
    image = np.full((48, 64, 3), 90, np.uint8) if image is None else image
    return FrameResult(Frame(round(30 * time_s), time_s, image, 0.0), faces, absence, events, 12.3, {})


def watched(*events: Event, until_s: float = 12.0, fps: float = 10.0, track: int = 1) -> LiveHistory:
    """A face at rest all the time, whose events are decided a second after their apex."""
    history = LiveHistory(CLASSES)
    waiting = sorted(events, key=lambda one: one.apex_s)
    for number in range(round(until_s * fps) + 1):
        now_s = number / fps
        decided = tuple(one for one in waiting if one.apex_s + 1.0 <= now_s)
        waiting = waiting[len(decided) :]
        history.record(moment(now_s, seen(track), events=decided))
    return history


def rekeyed(at: FaceCrop) -> FaceCrop:
    return replace(at, rekeyed=True)
