"""Whether a followed face is alive: a poster or a photo before a fixed camera never moves, a resting person sways and blinks."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image

_UNIT_IOD_PX = 44.0
_SIDE_PX, _EDGE_PX = 32, 4


@dataclass(frozen=True)
class LifeSettings:
    """Means over `block_s` are compared, in which noise nearly vanishes. A face whose eyes stay within `still_px` (of a crop
    with 44 px between them) and no part of which changes by more than `still_levels` grey levels for `still_s` is none:
    people at rest sway by 1.3 px and change by 20 levels at least. What was none is a face when the last `wake_blocks`
    each differ from the one before; a camera that was knocked against does not wake it.
    """

    block_s: float = 0.5
    still_px: float = 0.2
    still_levels: float = 2.5
    still_s: float = 8.0
    wake_blocks: int = 4


class LifeWatch:
    """Of one face. `step` for every frame, then `alive`."""

    def __init__(self, settings: LifeSettings | None = None) -> None:
        self._settings = settings or LifeSettings()
        self.alive = True
        self.reset()

    def reset(self) -> None:
        """The same face is aligned anew; what it was found to be stays."""
        self._began_s: float | None = None
        self._count = 0
        self._eyes: NDArray[Any] = np.zeros((2, 2))
        self._picture: NDArray[Any] = np.zeros((_SIDE_PX, _SIDE_PX), np.float32)
        blocks = round(self._settings.still_s / self._settings.block_s)
        self._blocks: deque[tuple[NDArray[Any], NDArray[Any]]] = deque(maxlen=blocks)

    def step(self, eyes: NDArray[Any], crop: Image, time_s: float) -> None:
        """The next frame: `eyes` (2, 2) in image pixels, the aligned crop uint8 (size, size[, 3])."""
        if self._began_s is None:
            self._began_s = time_s
        elif time_s - self._began_s >= self._settings.block_s - 1e-6:
            self._end_block()
            self._began_s = time_s
        small = cv2.resize(crop, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        self._picture += small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        self._eyes += eyes
        self._count += 1

    def _end_block(self) -> None:
        picture = self._picture[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX] / self._count
        # Light that changes is no life.
        self._blocks.append((self._eyes / self._count, picture - picture.mean()))
        self._count, self._eyes, self._picture = 0, np.zeros_like(self._eyes), np.zeros_like(self._picture)
        blocks, wake = list(self._blocks), self._settings.wake_blocks
        if self.alive:
            self.alive = len(blocks) < (self._blocks.maxlen or 0) or self._moved(blocks)
        elif len(blocks) > wake:
            self.alive = all(self._moved(blocks[n - 1 : n + 1]) for n in range(len(blocks) - wake, len(blocks)))

    def _moved(self, blocks: list[tuple[NDArray[Any], NDArray[Any]]]) -> bool:
        eyes, pictures = (np.array(values) for values in zip(*blocks, strict=True))
        iod_px = float(np.hypot(*(eyes[-1, 1] - eyes[-1, 0])))
        sway_px = float(np.ptp(eyes, axis=0).max()) / max(iod_px, 1e-6) * _UNIT_IOD_PX
        change = float(np.percentile(np.ptp(pictures, axis=0), 99))
        return sway_px > self._settings.still_px or change > self._settings.still_levels
