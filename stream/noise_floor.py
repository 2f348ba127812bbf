"""How much the regions of a resting face seem to move: what a movement has to stand out from."""

import numpy as np
from numpy.typing import NDArray

from stream.regions import REGIONS


class NoiseFloor:
    """Mean length of the bumps of a face at rest, region by region.

    First it settles: for `settle_s` it is the mean of all frames, since without a floor nothing can be told from noise.
    From then on it is an exponential average over the frames at rest. When conditions change (`renew`), or nothing was at
    rest for `settle_s`, it settles again, starting from twice what it was.
    """

    def __init__(self, fps: float, settle_s: float = 3.0) -> None:
        self._frames = max(1.0, fps * settle_s)
        self.reset()

    def reset(self) -> None:
        self._count = 0
        self._restless = 0
        self._mean_px: NDArray[np.float32] = np.zeros(len(REGIONS), np.float32)

    @property
    def mean_px(self) -> NDArray[np.float32]:
        """(regions,) in pixels."""
        return self._mean_px

    def renew(self) -> None:
        if self._count >= self._frames:
            self._mean_px = self._mean_px * 2.0
        self._count = min(self._count, round(self._frames / 6))
        self._restless = 0

    def update(self, bump_px: NDArray[np.float32], at_rest: bool) -> None:
        """The next frame's bump of each region (regions,), and whether none of them stands out."""
        self._restless = 0 if at_rest else self._restless + 1
        if self._restless > self._frames:
            self.renew()
        if not at_rest and self._count >= self._frames:
            return
        self._count += 1
        weight = max(1.0 / self._count, 1.0 / self._frames)
        self._mean_px = self._mean_px + np.float32(weight) * (bump_px - self._mean_px)
