"""Made-up results with the real types, for what comes after the live loop."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from model.types import Event, EventKind, FaceCrop, FaceResult, Frame, FrameResult, Prediction, Rejection, Status
from stream.health import Health

CLASSES = ("negative", "neutral", "positive", "surprise")
HEALTH = Health("camera 0", "CUDA", "streaming", 30.0, 29.8, 12.4, {"late": 3}, 327, 900, "2 threads")

SIZES = [
    (320, 240),
    (640, 480),
    (480, 480),
    (1280, 720),
    (1080, 1920),
    (3840, 2160),
    (1920, 300),
    (240, 900),
    (641, 359),
]
"""Width and height of pictures from small to 4K, landscape, portrait, strips."""


def picture(width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack((rows % 256, columns % 256, (rows + columns) % 256), axis=-1).astype(np.uint8)


def prediction(*values: float, names: Sequence[str] = CLASSES) -> Prediction:
    return Prediction(dict(zip(names, values, strict=True)))


def face(x: float = 100, y: float = 60, width: float = 80, height: float = 110) -> FaceCrop:
    """A face whose oval fills the given box."""
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    oval = np.column_stack((x + width / 2 * (1 + np.sin(angle)), y + height / 2 * (1 - np.cos(angle))))
    return FaceCrop(np.zeros((128, 128), np.uint8), np.eye(2, 3), oval.astype(np.float32), False)


def result(
    index: int = 0,
    time_s: float = 0.0,
    status: Status = "no_face",
    image: np.ndarray | None = None,
    answer: Prediction | None = None,
    filled: int = 0,
    at: FaceCrop | None = None,
    latency_ms: float = 12.3,
    events: tuple[Event, ...] = (),
    smallest_px: float | None = None,
    **stages_ms: float,
) -> FrameResult:
    """A frame with one face, number 1, or without any: with a face where `at` says, or when it has an answer. The face is
    watchable where a movement of `smallest_px` would be noticed."""
    image = np.full((48, 64, 3), 90, np.uint8) if image is None else image
    frame = Frame(index, time_s, image, captured_s=0.0)
    if at is None and answer is None and status != "filling":
        return FrameResult(frame, (), status, events, latency_ms, stages_ms)
    watchable = smallest_px is not None
    where = face() if at is None else at
    seen = FaceResult(1, status, filled, answer, where, smallest_px=smallest_px, watchable=watchable)
    return FrameResult(frame, (seen,), "no_face", events, latency_ms, stages_ms)


def event(
    rejected: Rejection | None = None,
    kind: EventKind = "micro",
    label: str = "surprise",
    at_s: float = 1.0,
    track: int = 1,
) -> Event:
    return Event(track, kind, label, at_s, at_s + 0.15, at_s + 0.34, 0.81234567, 1.23456, rejected)


@st.composite
def results(draw: st.DrawFn, names: Sequence[str] = CLASSES) -> list[FrameResult]:
    """A run of results with answers and without, times going up."""
    made: list[FrameResult] = []
    time_s = draw(st.floats(0, 1e5))
    for index in range(draw(st.integers(0, 12))):
        time_s += draw(st.floats(0.001, 1.0))
        status = draw(st.sampled_from(("ok", "filling", "no_face", "tracking_lost", "face_too_small")))
        weights = draw(st.lists(st.floats(0.001, 1), min_size=len(names), max_size=len(names)))
        answer = prediction(*(w / sum(weights) for w in weights), names=names) if status == "ok" else None
        at = face() if status in ("ok", "filling") else None
        latency_ms = draw(st.floats(0, 1e4))
        smallest_px = draw(st.none() | st.floats(0.05, 20)) if status == "ok" else None
        seen = {"answer": answer, "filled": index, "at": at, "smallest_px": smallest_px}
        made.append(result(index, time_s, status, latency_ms=latency_ms, **seen))
    return made
