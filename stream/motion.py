"""What moves in an aligned face, frame by frame: the input of the event detector."""

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, NetworkInput, Reference
from model.preprocess import Preprocessor
from model.types import FaceCrop, Image
from stream.regions import UNIT_IOD_PX, RegionMeter

_FLOW_SIZE_PX = 64
_FLOW_TIME_CONSTANT_S = 2.0


@dataclass(frozen=True, eq=False)
class Motion:
    """One frame of a face. Pixels are those of a crop with 44 between the eyes.

    `regions_px` (regions, 2): motion from the person's resting face, see `stream.regions`. `head_px_s`: speed of the head.
    `brightness`: mean grey level 0–255 of the face. `sharpness`: standard deviation of the crop's Laplacian in grey levels.
    """

    regions_px: NDArray[np.float32]
    head_px_s: float
    brightness: float
    sharpness: float

    def as_row(self) -> NDArray[np.float32]:
        """All values in one row, (2 · regions + 3,), as `EventDetector` keeps them and the time grid interpolates them."""
        return np.append(self.regions_px.ravel(), (self.head_px_s, self.brightness, self.sharpness)).astype(np.float32)


class MotionMeter:
    """Measures one face. The optical flow of a flow model is used as it is where its reference is a resting face; for other
    models it is computed here.

    `reset()` forgets the person's resting face.
    """

    def __init__(self, contract: ClipContract) -> None:
        self._flow: Preprocessor | None = None
        size_px = contract.input.size_px
        if not contract.input.has_flow or contract.reference.kind != "ema":
            size_px = min(_FLOW_SIZE_PX, contract.crop.size_px)
            recipe = NetworkInput("flow", size_px, contract.input.colour)
            reference = Reference("ema", time_constant_s=_FLOW_TIME_CONSTANT_S)
            self._flow = Preprocessor(replace(contract, input=recipe, reference=reference))
        self._regions = RegionMeter(contract.crop, size_px)
        self._unit = UNIT_IOD_PX / contract.crop.iod_px
        self.reset()

    def reset(self) -> None:
        self._last: tuple[float, NDArray[np.float64]] | None = None
        if self._flow is not None:
            self._flow.reset()

    def step(self, face: FaceCrop, features: NDArray[Any], time_s: float) -> Motion:
        """The next frame of the face; `features` is what the network sees of it, before scaling."""
        flow = features if self._flow is None else self._flow.step(face.crop, time_s)
        brightness, sharpness = light_and_detail(face.crop)
        motion = Motion(
            self._regions.motion_px(flow),
            self._head_px_s(face.transform, time_s, face.crop.shape[0]),
            brightness,
            sharpness,
        )
        self._last = (time_s, face.transform)
        return motion

    def _head_px_s(self, transform: NDArray[np.float64], time_s: float, size_px: int) -> float:
        """How fast the crop's centre moves over the picture."""
        if self._last is None or time_s <= self._last[0]:
            return 0.0
        last_s, before = self._last
        half = size_px / 2
        # Where the crop's centre was in the picture, and where in the crop that is now; by hand, as it is just a point.
        a, b, x_px, c, d, y_px = before.ravel().tolist()
        x, y, area = half - x_px, half - y_px, a * d - b * c
        there_x, there_y = (d * x - b * y) / area, (a * y - c * x) / area
        a, b, x_px, c, d, y_px = transform.ravel().tolist()
        moved = math.hypot(a * there_x + b * there_y + x_px - half, c * there_x + d * there_y + y_px - half)
        return self._unit * moved / (time_s - last_s)


def light_and_detail(crop: Image) -> tuple[float, float]:
    """`brightness` and `sharpness`, as `Motion` has them, of the middle of an aligned crop (size, size[, 3]): skin,
    whatever the background does."""
    size_px = crop.shape[0]
    inside = slice(size_px // 4, size_px - size_px // 4)
    middle = crop[inside, inside]
    if middle.ndim == 3:
        middle = cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY)
    deviation = cv2.meanStdDev(cv2.Laplacian(middle, cv2.CV_16S))[1]
    return float(cv2.mean(middle)[0]), float(deviation[0, 0])
