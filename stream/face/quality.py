"""Which faces can be read at all (large enough, turned to the camera, sharp), and how much the crop of one shakes."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.types import FaceResult, Status
from stream.face.landmarks import HeadTurn

_SPAN_FRAMES, _FEWEST_FRAMES = 60, 10
"""That the jitter is measured over."""


@dataclass(frozen=True)
class ValiditySettings:
    """`min_iod_px`: smaller faces (between the eyes, image pixels) are not followed; a followed one may shrink to
    `shrink_share` of it. `max_yaw` (about 29 degrees to either side) and `pitch` (about 20 up to 33 degrees down) limit
    `HeadTurn`; photos of people who look into a camera stay within .25 and .42 to .77.

    `max_roll_deg`: a head aslant is upright up to there; people who tilt their heads stay within 40.

    `min_sharpness_share`: less sharpness for its brightness than so much of the face's own is blur; acting and talking
    people stay above .57. `own_s`: over how long a face's own sharpness is learned, and, since light and focus may have
    changed for good, `relearn_s` while it is blurred. `settle_s`: blur shorter than about this is none.
    """

    min_iod_px: float = 18.0
    shrink_share: float = 0.9
    max_yaw: float = 0.36
    pitch: tuple[float, float] = (0.35, 0.9)
    max_roll_deg: float = 60.0
    min_sharpness_share: float = 0.5
    own_s: float = 3.0
    relearn_s: float = 10.0
    settle_s: float = 0.1

    def is_turned(self, turn: HeadTurn) -> bool:
        return abs(turn.yaw) > self.max_yaw or not self.pitch[0] <= turn.pitch <= self.pitch[1]

    def of_place(self, iod_px: float, turned: bool, roll_deg: float = 0.0) -> Status:
        """`ok`, or what is wrong with where a face is."""
        if abs(roll_deg) > self.max_roll_deg:
            return "not_upright"
        if iod_px < self.shrink_share * self.min_iod_px:
            return "face_too_small"
        return "face_turned" if turned else "ok"


class BlurGate:
    """Compares the sharpness of one face with its own."""

    def __init__(self, settings: ValiditySettings) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        self._own: float | None = None
        self._now = 0.0
        self._last_s = 0.0

    def step(self, sharpness: float, brightness: float, time_s: float) -> bool:
        """Whether the next frame, of that sharpness and mean grey level, is blurred."""
        # Detail goes with the light; a darker face is not a blurred one.
        value = sharpness / max(brightness, 1.0)
        passed_s, self._last_s = max(time_s - self._last_s, 0.0), time_s
        if self._own is None:
            self._own = self._now = value
            return False
        self._now += _weight(passed_s, self._settings.settle_s) * (value - self._now)
        blurred = self._now < self._settings.min_sharpness_share * self._own
        constant_s = self._settings.relearn_s if blurred else self._settings.own_s
        self._own += _weight(passed_s, constant_s) * (value - self._own)
        return blurred


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
        before, between, now = self._transforms
        (a, b, x_px), (c, d, y_px) = (now - 2 * between + before).tolist()
        middle_x, middle_y = face.face.outline.mean(axis=0).tolist()
        across, down = a * middle_x + b * middle_y + x_px, c * middle_x + d * middle_y + y_px
        self._squares_px2.append((across**2 + down**2) / 2)

    @property
    def px(self) -> float | None:
        """Of one coordinate; None while too little has been seen."""
        squares_px2 = tuple(self._squares_px2)
        if len(squares_px2) < _FEWEST_FRAMES:
            return None
        return math.sqrt(sum(squares_px2) / len(squares_px2) / 6)


def _weight(passed_s: float, time_constant_s: float) -> float:
    return 1.0 - math.exp(-passed_s / time_constant_s)
