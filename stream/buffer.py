"""The sliding window: network frames on the contract's time grid, the newest `frames` of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract


class ClipBuffer:
    """A ring of the last `contract.frames` network frames, in one array of twice the length.

    Every frame is written twice, half the array apart, so that a window is always one contiguous slice: no copy.
    """

    def __init__(self, contract: ClipContract) -> None:
        self._frames = contract.frames
        self._ring = np.zeros((2 * contract.frames, *contract.input_shape[1:]), contract.input.dtype)
        self.reset()

    def reset(self) -> None:
        self._written = 0

    @property
    def filled(self) -> int:
        """Frames in the window, 0 to the contract's `frames`."""
        return min(self._written, self._frames)

    def append(self, features: NDArray[Any]) -> None:
        """Adds a frame (input size, input size, channels)."""
        slot = self._written % self._frames
        self._ring[slot] = features
        self._ring[slot + self._frames] = features
        self._written += 1

    def window(self) -> NDArray[Any] | None:
        """(frames, size, size, channels), oldest first; a view that the next `append` changes. None until full."""
        if self._written < self._frames:
            return None
        start = self._written % self._frames
        return self._ring[start : start + self._frames]
