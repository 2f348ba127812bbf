"""Regions of the aligned face, and the mean motion in each of them.

Places are given in the canonical frame of an aligned crop: origin between the eye centres, x to the right and y down, in
units of the distance between the eye centres (IOD). Since crops are aligned, a region is a fixed rectangle of pixels.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import CropGeometry

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
