"""Bumps: movements away from rest and back. A step (a new pose, a gaze shift) or a slow drift is none.

At a frame c and a half width w, the bump of a region is how far it is from the mean of where it was just before c - w and
where it will be just after c + w; the step between those two is what did not come back, and part of it is taken off.
The bumps of a resting face are its noise: what a movement has to stand out from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.events.motion import REGIONS


@dataclass(frozen=True, eq=False)
class Bumps:
    """Around one frame, for every half width: `vectors_px` (widths, regions, 2) says where the regions are, seen from
    both sides; `sizes_px` (widths, regions) how long those are after the step was taken off."""

    half_widths: tuple[int, ...]
    vectors_px: NDArray[np.float32]
    sizes_px: NDArray[np.float32]

    def largest(self, floor_px: NDArray[np.float32], regions: NDArray[np.intp]) -> tuple[float, int]:
        """The size of the largest bump of some regions in units of their floors (regions,), and which width it has."""
        ratios = self.sizes_px[:, regions] / floor_px[regions]
        best = int(ratios.argmax())
        return float(ratios.flat[best]), best // len(regions)


class BumpMeter:
    """Bumps of several half widths (frames); `shoulder` frames on either side say where a region rests."""

    def __init__(self, half_widths: Sequence[int], shoulder: int, step_share: float) -> None:
        if shoulder < 1 or not half_widths or min(half_widths) < 1:
            raise ValueError(f"bumps: expected frames of 1 or more, found {list(half_widths)} and {shoulder}")
        self._widths = tuple(half_widths)
        self.shoulder, self._step_share = shoulder, step_share
        self._weights = self._make_weights()

    @property
    def reach(self) -> int:
        """Frames needed before and after a frame."""
        return max(self._widths) + self.shoulder - 1

    def measure(self, motion_px: NDArray[np.float32]) -> Bumps:
        """Around the middle frame of (2 · reach + 1, regions, 2)."""
        centre = self.reach
        if len(motion_px) != 2 * centre + 1:
            raise ValueError(f"motion: expected {2 * centre + 1} frames, found {len(motion_px)}")
        both = (self._weights @ motion_px.reshape(len(motion_px), -1)).reshape(-1, *motion_px.shape[1:])
        lengths = np.hypot(both[..., 0], both[..., 1])
        count = len(self._widths)
        sizes = lengths[:count] - self._step_share * lengths[count:]
        return Bumps(self._widths, both[:count], np.maximum(sizes, 0.0))

    def _make_weights(self) -> NDArray[np.float32]:
        """(2 · widths, 2 · reach + 1): what frames count for the vectors, and below for the steps. Sums of a few frames
        for many widths cost less as one product."""
        centre, count = self.reach, len(self._widths)
        weights = np.zeros((2 * count, 2 * centre + 1), np.float32)
        weights[:count, centre] = 1.0
        for place, width in enumerate(self._widths):
            before = slice(centre - width - self.shoulder + 1, centre - width + 1)
            after = slice(centre + width, centre + width + self.shoulder)
            for side, sign in ((before, -1.0), (after, 1.0)):
                weights[place, side] -= 0.5 / self.shoulder
                weights[count + place, side] += sign / self.shoulder
        return weights


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


class UsualMotion:
    """Mean length of a face's bumps whatever it does, region by region: talking lips move more than brows that rest.

    The plain mean until `memory_s` have passed, then an exponential average.
    """

    def __init__(self, fps: float, memory_s: float = 10.0) -> None:
        self._frames = max(1.0, fps * memory_s)
        self.reset()

    def reset(self) -> None:
        self._count = 0
        self.mean_px: NDArray[np.float32] = np.zeros(len(REGIONS), np.float32)
        """(regions,) in pixels."""

    def update(self, bump_px: NDArray[np.float32]) -> None:
        """The next frame's bump of each region (regions,)."""
        self._count += 1
        weight = np.float32(max(1.0 / self._count, 1.0 / self._frames))
        self.mean_px = self.mean_px + weight * (bump_px - self.mean_px)
