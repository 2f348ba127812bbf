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

Status = Literal["ok", "filling", "no_face", "tracking_lost", "face_too_small"]
"""Why a frame has an answer (`ok`) or has none."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source: `image` is BGR uint8 (height, width, 3), `time_s` the source's own timestamp.

    `captured_s` is the monotonic clock at the moment the frame was in hand; latency is counted from it. `decode_ms` is
    what reading it from a file took (0 for live sources, where reading is mostly waiting).
    """

    index: int
    time_s: float
    image: Image
    captured_s: float
    decode_ms: float = 0.0


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


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What the live loop says of one frame: the row of the CSV and what the overlay draws.

    `filled` counts the frames in the window (0 to the contract's `frames`); `prediction` is None unless status is `ok`.
    `stages_ms` gives the time of every stage this frame went through.
    """

    frame: Frame
    status: Status
    filled: int
    prediction: Prediction | None
    face: FaceCrop | None
    latency_ms: float
    stages_ms: Mapping[str, float]
