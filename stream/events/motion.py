"""What moves in an aligned face: measured frame by frame, brought onto the time grid, and kept for some seconds.

Regions of the face are given in the canonical frame of an aligned crop: origin between the eye centres, x to the right
and y down, in units of the distance between the eye centres (IOD). Since crops are aligned, a region is a fixed rectangle
of pixels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from model.preprocess import Preprocessor, TimeResampler
from model.types import FaceCrop, Image

REGIONS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "left inner brow": (-0.28, -0.38, 0.16, 0.16),
        "left outer brow": (-0.62, -0.36, 0.18, 0.16),
        "right inner brow": (0.28, -0.38, 0.16, 0.16),
        "right outer brow": (0.62, -0.36, 0.18, 0.16),
        "left eye": (-0.50, 0.00, 0.26, 0.13),
        "right eye": (0.50, 0.00, 0.26, 0.13),
        "left cheek": (-0.60, 0.55, 0.20, 0.20),
        "right cheek": (0.60, 0.55, 0.20, 0.20),
        "left nostril": (-0.22, 0.50, 0.12, 0.20),
        "right nostril": (0.22, 0.50, 0.12, 0.20),
        "left mouth corner": (-0.42, 1.02, 0.16, 0.16),
        "right mouth corner": (0.42, 1.02, 0.16, 0.16),
        "upper lip": (0.00, 0.88, 0.20, 0.10),
        "lower lip": (0.00, 1.20, 0.20, 0.12),
        "chin": (0.00, 1.48, 0.25, 0.14),
    }
)
"""Name → (x, y, half width, half height) in IOD; left and right are the picture's."""

EYES = tuple(index for index, name in enumerate(REGIONS) if name.endswith("eye"))
SKIN = tuple(index for index, name in enumerate(REGIONS) if not name.endswith("eye"))
"""Indices of the regions where expressions show; the lids move with every blink and glance."""

UNIT_IOD_PX = 44.0
"""Motion is given in pixels of a crop with so much between the eyes, whatever crop a model wants: thresholds hold for all."""

NOSE_BRIDGE = (0.0, 0.35, 0.14, 0.28)
"""What hardly moves by itself: its motion is what the alignment left of the head's."""
_FLOW_SIZE_PX = 64
_FLOW_TIME_CONSTANT_S = 2.0


@dataclass(frozen=True, eq=False)
class Motion:
    """One frame of a face at `time_s` of the source's clock. Pixels are those of a crop with 44 between the eyes.

    `regions_px` (regions, 2) float32: motion from the person's resting face, in the order of `REGIONS`. `head_px_s`: speed
    of the head. `brightness`: mean grey level 0–255 of the face. `sharpness`: standard deviation of the crop's Laplacian
    in grey levels.
    """

    time_s: float
    regions_px: NDArray[np.float32]
    head_px_s: float
    brightness: float
    sharpness: float

    @property
    def not_finite(self) -> float | None:
        """The first value that is no finite number; None when all of them are."""
        numbers = (self.head_px_s, self.brightness, self.sharpness)
        if np.isfinite(self.regions_px).all() and all(map(math.isfinite, numbers)):
            return None
        return next(float(value) for value in (*self.regions_px.flat, *numbers) if not math.isfinite(value))


class MotionMeter:
    """Measures one face. The optical flow of a flow model is used as it is where its reference is a resting face; for other
    models it is computed here.

    `reset()` forgets the person's resting face, `interrupt()` only where the face was.
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

    def interrupt(self) -> None:
        self._last: tuple[float, NDArray[np.float64]] | None = None

    def reset(self) -> None:
        self.interrupt()
        if self._flow is not None:
            self._flow.reset()

    def step(self, face: FaceCrop, features: NDArray[Any], time_s: float) -> Motion:
        """The next frame of the face; `features` is what the network sees of it, before scaling."""
        flow = features if self._flow is None else self._flow.step(face.crop, time_s)
        brightness, sharpness = light_and_detail(face.crop)
        motion = Motion(
            time_s,
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


class RegionMeter:
    """Mean motion of the regions of flow fields (size, size, 2 or more): u and v in crop pixels."""

    def __init__(self, geometry: CropGeometry, size_px: int) -> None:
        self._geometry, self._size_px = geometry, size_px
        self._unit = UNIT_IOD_PX / geometry.iod_px
        spans = [self._box(place) for place in (*REGIONS.values(), NOSE_BRIDGE)]
        top, bottom, left, right = np.array([(r.start, r.stop, c.start, c.stop) for r, c in spans]).T
        # The corners of the boxes in an integral image.
        self._rows = np.concatenate([bottom, top, bottom, top])
        self._columns = np.concatenate([right, right, left, left])
        self._areas = ((bottom - top) * (right - left))[:, np.newaxis]

    def motion_px(self, flow: NDArray[Any]) -> NDArray[np.float32]:
        """(regions, 2) in the order of `REGIONS`, relative to the bridge of the nose, in pixels (see `UNIT_IOD_PX`)."""
        sums = cv2.integral(np.ascontiguousarray(flow[..., :2]))[self._rows, self._columns].reshape(4, -1, 2)
        means = (sums[0] - sums[1] - sums[2] + sums[3]) / self._areas
        return (self._unit * (means[:-1] - means[-1])).astype(np.float32)

    def _box(self, place: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """Rows and columns of a region, at least a pixel of it inside the field."""
        scale = self._size_px / self._geometry.size_px
        iod_px, eye_line_px = self._geometry.iod_px * scale, self._geometry.eye_line_px * scale
        x, y, half_width, half_height = place
        return (
            self._span(eye_line_px + (y - half_height) * iod_px, eye_line_px + (y + half_height) * iod_px),
            self._span(self._size_px / 2 + (x - half_width) * iod_px, self._size_px / 2 + (x + half_width) * iod_px),
        )

    def _span(self, start_px: float, stop_px: float) -> slice:
        start = min(max(round(start_px), 0), self._size_px - 1)
        return slice(start, max(min(round(stop_px), self._size_px), start + 1))


class FlowBetween:
    """The motion from one aligned crop to another, by the recipe of the network's own flow, whatever a model takes."""

    def __init__(self, contract: ClipContract) -> None:
        geometry, size_px = contract.crop, contract.crop.size_px
        recipe, reference = NetworkInput("flow", size_px), Reference("ema", time_constant_s=1.0)
        self._flow = Preprocessor(replace(contract, input=recipe, reference=reference))
        x, y, half_width, half_height = NOSE_BRIDGE
        iod_px, middle = geometry.iod_px, size_px / 2
        self._columns = slice(round(middle + (x - half_width) * iod_px), round(middle + (x + half_width) * iod_px))
        top, bottom = (y - half_height) * iod_px, (y + half_height) * iod_px
        self._rows = slice(round(geometry.eye_line_px + top), round(geometry.eye_line_px + bottom))

    def px(self, first: Image, second: Image) -> NDArray[np.float32]:
        """(size, size, 2) crop pixels from one grey crop to the other, what the bridge of the nose moves taken off."""
        self._flow.reset()
        self._flow.step(first, 0.0)
        flow = self._flow.step(second, 1.0)[..., :2]
        return flow - flow[self._rows, self._columns].reshape(-1, 2).mean(axis=0)


class MotionResampler:
    """Brings the motion of one face onto a grid of `fps` frames a second, like `TimeResampler` the network's frames.

    The times are resampled with it, so that every grid frame carries its own instant.
    """

    def __init__(self, fps: float) -> None:
        self._values = TimeResampler(fps)

    def reset(self) -> None:
        self._values.reset()

    def step(self, motion: Motion) -> list[Motion]:
        """The grid frames, oldest first, that have become known with the next frame."""
        regions = motion.regions_px.size
        values = np.empty(regions + 4, np.float64)
        values[:regions] = motion.regions_px.ravel()
        values[regions:-1] = motion.head_px_s, motion.brightness, motion.sharpness
        values[-1] = motion.time_s
        return [_of_values(on_grid) for on_grid in self._values.step(values, motion.time_s)]


def _of_values(values: NDArray[np.float64]) -> Motion:
    head_px_s, brightness, sharpness, time_s = values[-4:].tolist()
    return Motion(time_s, values[:-4].astype(np.float32).reshape(-1, 2), head_px_s, brightness, sharpness)


@dataclass(frozen=True, eq=False)
class TraceView:
    """Consecutive grid frames: `times_s` (n,), `motion_px` (n, regions, 2), `head_px_s`, `brightness`, `sharpness` (n,),
    `probabilities` (n, classes) and `action_units` (n, 2 units), NaN where there was no answer. Views: not to be written
    to."""

    times_s: NDArray[np.float64]
    motion_px: NDArray[np.float32]
    head_px_s: NDArray[np.float32]
    brightness: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    action_units: NDArray[np.float32]


class MotionTrace:
    """A ring of the last `capacity` grid frames. Each is written twice, so that a stretch of them is one slice.

    `units`: how many values of action units an answer has.
    """

    def __init__(self, capacity: int, classes: int, units: int = 0) -> None:
        self._capacity = capacity
        slots = 2 * capacity
        self._all = TraceView(
            np.zeros(slots, np.float64),
            np.zeros((slots, len(REGIONS), 2), np.float32),
            np.zeros(slots, np.float32),
            np.zeros(slots, np.float32),
            np.zeros(slots, np.float32),
            np.zeros((slots, classes), np.float32),
            np.zeros((slots, units), np.float32),
        )
        self.reset()

    def reset(self) -> None:
        self.count = 0

    @property
    def first(self) -> int:
        """Number of the oldest frame that is still there; frames are counted from 0 since the reset."""
        return max(0, self.count - self._capacity)

    def append(
        self,
        motion: Motion,
        probabilities: NDArray[np.float32] | None,
        action_units: NDArray[np.float32] | None = None,
    ) -> None:
        """`probabilities` (classes,) and `action_units` (units,) of the window that ends with this frame, None without an
        answer."""
        kept, first = self._all, self.count % self._capacity
        for slot in (first, first + self._capacity):
            kept.times_s[slot] = motion.time_s
            kept.motion_px[slot] = motion.regions_px
            kept.head_px_s[slot] = motion.head_px_s
            kept.brightness[slot] = motion.brightness
            kept.sharpness[slot] = motion.sharpness
            kept.probabilities[slot] = np.nan if probabilities is None else probabilities
            kept.action_units[slot] = np.nan if action_units is None else action_units
        self.count += 1

    def time_s(self, number: int) -> float:
        """When a frame that is still there was."""
        return float(self._all.times_s[number % self._capacity])

    def last(self) -> Motion:
        """A copy of the newest frame."""
        kept, slot = self._all, (self.count - 1) % self._capacity
        numbers = (float(values[slot]) for values in (kept.head_px_s, kept.brightness, kept.sharpness))
        return Motion(float(kept.times_s[slot]), kept.motion_px[slot].copy(), *numbers)

    def view(self, start: int, stop: int) -> TraceView:
        """Frames `start` to `stop` (not included), by their numbers; what is not there any more, or not yet, is left out."""
        start, stop = max(start, self.first), min(stop, self.count)
        slot = start % self._capacity
        inside = slice(slot, slot + max(stop - start, 0))
        kept = self._all
        return TraceView(
            kept.times_s[inside],
            kept.motion_px[inside],
            kept.head_px_s[inside],
            kept.brightness[inside],
            kept.sharpness[inside],
            kept.probabilities[inside],
            kept.action_units[inside],
        )
