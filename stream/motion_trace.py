"""The last seconds of a face on the time grid: what the event detector looks back on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.regions import REGIONS


@dataclass(frozen=True, eq=False)
class TraceView:
    """Consecutive grid frames: `times_s` (n,), `motion_px` (n, regions, 2), `head_px_s`, `brightness`, `sharpness` (n,),
    and `probabilities` (n, classes), NaN where there was no answer. Views: not to be written to."""

    times_s: NDArray[np.float64]
    motion_px: NDArray[np.float32]
    head_px_s: NDArray[np.float32]
    brightness: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    probabilities: NDArray[np.float32]


class MotionTrace:
    """A ring of the last `capacity` grid frames. Each is written twice, so that a stretch of them is one slice."""

    def __init__(self, capacity: int, classes: int) -> None:
        self._capacity = capacity
        self._times_s: NDArray[np.float64] = np.zeros(2 * capacity, np.float64)
        self._rows: NDArray[np.float32] = np.zeros((2 * capacity, 2 * len(REGIONS) + 3), np.float32)
        self._answers: NDArray[np.float32] = np.zeros((2 * capacity, classes), np.float32)
        self.reset()

    def reset(self) -> None:
        self.count = 0

    @property
    def first(self) -> int:
        """Number of the oldest frame that is still there; frames are counted from 0 since the reset."""
        return max(0, self.count - self._capacity)

    def append(self, time_s: float, row: NDArray[np.float32], probabilities: NDArray[np.float32] | None) -> None:
        """`row` as `Motion.as_row` gives it."""
        for slot in (self.count % self._capacity, self.count % self._capacity + self._capacity):
            self._times_s[slot] = time_s
            self._rows[slot] = row
            self._answers[slot] = np.nan if probabilities is None else probabilities
        self.count += 1

    def time_s(self, number: int) -> float:
        """When a frame that is still there was."""
        return float(self._times_s[number % self._capacity])

    def last_row(self) -> NDArray[np.float32]:
        """A copy of the newest frame's row."""
        return self._rows[(self.count - 1) % self._capacity].copy()

    def view(self, start: int, stop: int) -> TraceView:
        """Frames `start` to `stop` (not included), by their numbers; what is not there any more, or not yet, is left out."""
        start, stop = max(start, self.first), min(stop, self.count)
        slot = start % self._capacity
        inside = slice(slot, slot + max(stop - start, 0))
        rows = self._rows[inside]
        regions = 2 * len(REGIONS)
        return TraceView(
            self._times_s[inside],
            rows[:, :regions].reshape(-1, len(REGIONS), 2),
            rows[:, regions],
            rows[:, regions + 1],
            rows[:, regions + 2],
            self._answers[inside],
        )
