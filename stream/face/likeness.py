"""How much faces look alike: from one moment to the next, which tells cuts and tracks that slide onto somebody else, and
after a while out of sight, which tells who has come back."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image

_SIDE_PX = 24
"""Of a signature."""
_EDGES_PX = 64
_TINT_CELLS = 6
_FREE_TINT, _TINT_COST = 2.0, 0.1
_MOST_EXEMPLARS, _NEW_BELOW = 16, 0.9
_PLACE_PX, _SEARCH_PX, _DETAIL_PX = 48, 6, 8.0


class Likeness:
    """Compares signatures (n,) with the average of those of about the last `time_constant_s` seconds.

    Measured in time, not in frames, it does not depend on the frame rate. Brightness and contrast do not count.
    """

    def __init__(self, time_constant_s: float = 0.2) -> None:
        self._time_constant_s = time_constant_s
        self.reset()

    def reset(self) -> None:
        self._mean: NDArray[Any] | None = None
        self._last_s = 0.0

    def of(self, values: NDArray[Any]) -> float:
        """Correlation with the average, -1 to 1; 1 while there is none."""
        if self._mean is None:
            return 1.0
        return float(values @ self._mean) / max(float(np.linalg.norm(self._mean)), 1e-6)

    def add(self, values: NDArray[Any], time_s: float) -> None:
        weight = 1.0 - math.exp(-max(time_s - self._last_s, 0.0) / self._time_constant_s)
        self._mean = values if self._mean is None else self._mean + np.float32(weight) * (values - self._mean)
        self._last_s = time_s


def signature(crop: Image) -> NDArray[Any]:
    """The middle of an aligned crop (size, size[, 3]), from brow to chin, as a unit vector of coarse grey levels."""
    small = cv2.resize(_middle(crop), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    return _unit(small.mean(axis=2) if small.ndim == 3 else small)


@dataclass(frozen=True, eq=False)
class Looks:
    """What one picture of a face shows: `pattern` (n,), a unit vector of its coarse grey levels and the directions of its
    edges, and `tint` (cells, 2), its colour in CIE a and b (0 to 255), in which a grey picture has none."""

    pattern: NDArray[np.float32]
    tint: NDArray[np.float32]

    @classmethod
    def of(cls, crop: Image) -> "Looks":
        """Of an aligned crop (size, size, 3) RGB."""
        middle = _middle(crop)
        grey = cv2.resize(cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY), (_EDGES_PX,) * 2, interpolation=cv2.INTER_AREA)
        pattern = np.concatenate([signature(crop), _unit(np.asarray(_EDGES.compute(grey)))]) * math.sqrt(0.5)
        small = cv2.resize(middle, (_TINT_CELLS,) * 2, interpolation=cv2.INTER_AREA)
        tint = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)[..., 1:].reshape(-1, 2)
        return cls(pattern.astype(np.float32), tint.astype(np.float32))

    def likeness(self, other: "Looks") -> float:
        """Correlation of the patterns, -1 to 1, less where the tints differ.

        One person's tint stays within 1.8 of what it was (95 %; 2.3 at most) in one video. Of seven people who came
        before one camera in turn, no two are closer than 3.0.
        """
        apart = float(np.abs(self.tint - other.tint).mean())
        return float(self.pattern @ other.pattern) - _TINT_COST * max(apart - _FREE_TINT, 0.0)


class Acquaintance:
    """How one person looked, in several poses: a few pictures that differ. The newest of those that are alike stays."""

    def __init__(self) -> None:
        self._exemplars: list[Looks] = []

    def add(self, looks: Looks) -> None:
        alike = [looks.likeness(other) for other in self._exemplars]
        if alike and (max(alike) > _NEW_BELOW or len(alike) == _MOST_EXEMPLARS):
            del self._exemplars[int(np.argmax(alike))]
        self._exemplars.append(looks)

    def likeness(self, looks: Looks) -> float:
        """With the exemplar that is most alike, -1 to 1; -1 while there is none."""
        return max((looks.likeness(other) for other in self._exemplars), default=-1.0)


def continuity(before: Image, now: Image) -> float:
    """Whether two grey crops (size, size), a frame apart, show the same thing, -1 to 1: correlation of their detail at the
    best of the places around.

    At 25 and 30 frames a second it is .82 and more of faces that talk, act, nod and turn (.76 while a hand passes, .61 where
    one shakes its head till it blurs). Where somebody else follows at the very same place and size it is .75 (99 %), .80
    at most.
    """
    side_px = _PLACE_PX + 2 * _SEARCH_PX
    views = [
        cv2.resize(crop, (side_px, side_px), interpolation=cv2.INTER_AREA).astype(np.float32) for crop in (before, now)
    ]
    then, there = (view - cv2.GaussianBlur(view, (0, 0), _DETAIL_PX) for view in views)
    inside = slice(_SEARCH_PX, -_SEARCH_PX)
    return float(cv2.matchTemplate(there, then[inside, inside], cv2.TM_CCOEFF_NORMED).max())


_EDGES = cv2.HOGDescriptor((_EDGES_PX, _EDGES_PX), (16, 16), (8, 8), (8, 8), 9)


def _middle(crop: Image) -> Image:
    """From brow to chin."""
    size_px = crop.shape[0]
    return crop[round(0.11 * size_px) : round(0.89 * size_px), round(0.17 * size_px) : round(0.83 * size_px)]


def _unit(values: NDArray[Any]) -> NDArray[Any]:
    values = values.ravel() - values.mean()
    return values / max(float(np.sqrt(values @ values)), 1e-6)
