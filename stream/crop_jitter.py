"""How much the crop of a face shakes by itself."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from model.types import FaceResult

_SPAN_FRAMES = 60
_FEWEST = 10


class CropJitter:
    """Root mean square, in crop pixels, of what is not smooth in where the alignment places a face's middle.

    The second difference of three places a frame apart takes out rest and even motion; of independent errors of
    variance s² it has the variance 6 s². On a face at rest this is the alignment's own error; a head that shakes adds to
    it. Over the last 60 frames of one face, 10 at least.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._track = 0
        self._squares_px2: deque[float] = deque(maxlen=_SPAN_FRAMES)
        self._transforms: deque[NDArray[np.float64]] = deque(maxlen=3)

    def step(self, face: FaceResult | None) -> None:
        """The next frame's first face, None without one."""
        if face is None or face.track != self._track:
            self.reset()
            if face is None:
                return
            self._track = face.track
        if face.face.rekeyed:
            self._transforms.clear()
        self._transforms.append(face.face.transform)
        if len(self._transforms) < 3 or not len(face.face.outline):
            return
        middle = np.append(face.face.outline.mean(axis=0), 1.0)
        before, between, now = (transform @ middle for transform in self._transforms)
        self._squares_px2.append(float(np.square(now - 2 * between + before).sum()) / 2)

    @property
    def px(self) -> float | None:
        """Of one coordinate; None while too little has been seen."""
        squares_px2 = tuple(self._squares_px2)
        if len(squares_px2) < _FEWEST:
            return None
        return math.sqrt(sum(squares_px2) / len(squares_px2) / 6)
