"""Frozen values that cross folders. Times are seconds of the source's own clock; coordinates are pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
"""A picture or crop, uint8. OpenCV's type stubs do not keep dtypes, so docstrings and checks at the seams do."""

Pace = Literal["realtime", "fast"]
"""How fast a file's frames are given out: at the speed they were taken, or as soon as they are wanted."""

Status = Literal[
    "ok",
    "filling",
    "no_face",
    "tracking_lost",
    "face_too_small",
    "face_turned",
    "blurred",
    "insufficient_rate",
]
"""Why a face has an answer (`ok`) or has none. `tracking_lost`: a face broke off, or two overlap in the picture.
`insufficient_rate`: too few frames a second to see a micro-expression."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source: `image` is BGR uint8 (height, width, 3), `time_s` the source's own timestamp.

    `captured_s` is the monotonic clock at the moment the frame was in hand; latency is counted from it. `decode_ms` is
    what reading it from a file took (0 for live sources, where reading is mostly waiting). `restart`: with this frame
    the faces are forgotten, because somebody asked for it.
    """

    index: int
    time_s: float
    image: Image
    captured_s: float
    decode_ms: float = 0.0
    restart: bool = False


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """An aligned face: `crop` uint8 (size, size) grey or (size, size, 3) RGB.

    `transform` is the 2x3 matrix from image to crop pixels, `outline` the face oval (n, 2) in image pixels.
    `rekeyed` says that the alignment started anew with no tie to the frames before.
    """

    crop: Image
    transform: NDArray[np.float64]
    outline: NDArray[np.float32]
    rekeyed: bool


@dataclass(frozen=True)
class Prediction:
    """Probabilities by class, in the contract's order, and the most likely label."""

    probabilities: Mapping[str, float]

    def __post_init__(self) -> None:
        total = sum(self.probabilities.values())
        if not abs(total - 1.0) < 1e-3:
            raise ValueError(f"probabilities: expected a sum of 1, found {total:.4f}")

    @property
    def label(self) -> str:
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def confidence(self) -> float:
        return self.probabilities[self.label]


EventKind = Literal["micro", "macro"]
"""micro: 40 to 500 ms from onset to offset. macro: longer."""

Rejection = Literal[
    "blink",
    "head_motion",
    "speech",
    "exposure",
    "blur",
    "face_too_small",
    "face_turned",
    "tracking_lost",
    "insufficient_rate",
    "calibrating",
    "too_short",
    "overlap",
    "no_expression",
]
"""Why a movement is no event. `overlap`: a clearer one at the same time. `no_expression`: the model says neutral,
or is not sure enough of any class."""


@dataclass(frozen=True)
class Event:
    """A movement of a face, from onset over apex to offset in seconds of the source's clock.

    `label` is the model's class for it. `confidence` 0–1 is that class's mean probability after the apex, times the
    share of the movement that stands out of what the face moves before and after it. `peak_px` is the longest movement of
    a region in pixels of a crop with 44 between the eyes, `track` the face. `rejected` is None for an event that counts,
    else the reason why it does not.
    """

    track: int
    kind: EventKind
    label: str
    onset_s: float
    apex_s: float
    offset_s: float
    confidence: float
    peak_px: float
    rejected: Rejection | None = None

    def __post_init__(self) -> None:
        if not self.onset_s <= self.apex_s <= self.offset_s:
            times = f"{self.onset_s:.3f}, {self.apex_s:.3f}, {self.offset_s:.3f}"
            raise ValueError(f"event: expected onset <= apex <= offset, found {times}")

    @property
    def duration_s(self) -> float:
        return self.offset_s - self.onset_s


@dataclass(frozen=True, eq=False)
class FaceResult:
    """What the live loop says of one followed face in one frame.

    `track` is the face's number: 1, 2, … in the order of appearance, never used again. `filled` counts the frames in its
    window (0 to the contract's `frames`); `prediction` is None unless status is `ok`. `calibrated`: seen for long enough
    that its movements count as events. `rate_hz` is the source's effective frame rate, 0 while it is not known.
    """

    track: int
    status: Status
    filled: int
    prediction: Prediction | None
    face: FaceCrop
    calibrated: bool = False
    rate_hz: float = 0.0


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What the live loop says of one frame: the rows of the CSV and what the overlay draws.

    `faces` has the largest face first; `absence` says why there is none and counts only then. `events` are those that
    were decided with this frame, accepted and rejected, of all faces, also of those that are gone. `stages_ms` gives the
    time of every stage this frame went through.

    `status`, `filled`, `prediction` and `face` are those of the first face.
    """

    frame: Frame
    faces: tuple[FaceResult, ...]
    absence: Status
    events: tuple[Event, ...]
    latency_ms: float
    stages_ms: Mapping[str, float]

    @property
    def status(self) -> Status:
        return self.faces[0].status if self.faces else self.absence

    @property
    def filled(self) -> int:
        return self.faces[0].filled if self.faces else 0

    @property
    def prediction(self) -> Prediction | None:
        return self.faces[0].prediction if self.faces else None

    @property
    def face(self) -> FaceCrop | None:
        return self.faces[0].face if self.faces else None
