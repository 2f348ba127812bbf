"""Whether an aligned crop still shows what it showed a moment ago: cuts, and tracks that slide onto somebody else."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image

_SIDE_PX = 24


def signature(crop: Image) -> NDArray[Any]:
    """The middle of an aligned crop (size, size[, 3]), from brow to chin, as a unit vector of coarse grey levels."""
    size_px = crop.shape[0]
    part = crop[round(0.11 * size_px) : round(0.89 * size_px), round(0.17 * size_px) : round(0.83 * size_px)]
    small = cv2.resize(part, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    values = (small.mean(axis=2) if small.ndim == 3 else small).ravel()
    values = values - values.mean()
    return values / max(float(np.sqrt(values @ values)), 1e-6)


class Likeness:
    """Compares signatures (n,) with the average of those of about the last `time_constant_s` seconds.

    Measured in time, not in frames, it does not depend on the frame rate. Brightness and contrast do not count.
    """

    def __init__(self, time_constant_s: float = 0.2) -> None:
        self._time_constant_s = time_constant_s
        self.reset()

    def reset(self) -> None:
        self._mean: NDArray[Any] | None = None
        self._newest: NDArray[Any] | None = None
        self._last_s = 0.0

    def of(self, values: NDArray[Any]) -> float:
        """Correlation with the average, -1 to 1; 1 while there is none."""
        if self._mean is None:
            return 1.0
        return float(values @ self._mean) / max(float(np.linalg.norm(self._mean)), 1e-6)

    def of_newest(self, values: NDArray[Any]) -> float:
        """Correlation with the signature that was added last, -1 to 1; 1 while there is none."""
        return 1.0 if self._newest is None else float(values @ self._newest)

    def add(self, values: NDArray[Any], time_s: float) -> None:
        weight = 1.0 - math.exp(-max(time_s - self._last_s, 0.0) / self._time_constant_s)
        self._mean = values if self._mean is None else self._mean + np.float32(weight) * (values - self._mean)
        self._newest, self._last_s = values, time_s
