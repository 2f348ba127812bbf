"""A head in three dimensions: the depth of a face over its crop, what a turn of it does to the picture, and the turn that
tracked points tell.

Weak perspective: a point X = (x, y, z) of the face, pixels of a crop, z towards the camera, is seen after a turn at the first
two coordinates of R X, and a similarity does the rest. z comes from Face Mesh's landmarks of the key frame.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.preprocess import Matrix
from stream.face.landmarks import FACE_OVAL

_GRID = 40
"""Nodes a side that the depth is reckoned at; a face's depth is smooth."""
_REACH_PX = 6.0
_FAR = 1e-4
_RIDGE = 1e-3
"""Holds the fit where corners say nothing of a turn, e.g. all at one depth."""


@dataclass(frozen=True)
class Turn:
    """Of a head away from its key frame, in radians: `yaw_rad` takes what is near to the picture's right, `pitch_rad` up."""

    yaw_rad: float = 0.0
    pitch_rad: float = 0.0

    @property
    def is_none(self) -> bool:
        return self.yaw_rad == 0.0 and self.pitch_rad == 0.0


class HeadShape:
    """A face's depth in a square crop. Points are (n, 2), in crop pixels."""

    def __init__(self, landmarks: NDArray[Any], depths_px: NDArray[Any], size_px: int) -> None:
        """From landmarks (468, 2) and their depths towards the camera (468,), crop pixels, any origin."""
        oval = list(FACE_OVAL)
        self._centre = landmarks[oval].mean(axis=0)
        depth = _over_grid(landmarks, depths_px, float(depths_px[oval].mean()), size_px)
        # A turn about the middle of the face's depth moves the face as little as can be.
        depth -= np.float32(depths_px.mean())
        self._depth: NDArray[Any] = cv2.resize(depth, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
        steps = np.arange(size_px, dtype=np.float32)
        self._x, self._y = np.meshgrid(steps - np.float32(self._centre[0]), steps - np.float32(self._centre[1]))

    def shift_px(self, turn: Turn) -> NDArray[np.float32] | None:
        """(size, size, 2) How far from its place each pixel of the key frame's crop is seen after a turn; None without one."""
        if turn.is_none:
            return None
        yaw_cos, yaw_sin, pitch_cos, pitch_sin = _parts(turn)
        shift = np.empty((*self._depth.shape, 2), np.float32)
        shift[..., 0] = (yaw_cos - 1) * self._x + yaw_sin * self._depth
        shift[..., 1] = (pitch_cos - 1) * self._y - pitch_sin * (yaw_cos * self._depth - yaw_sin * self._x)
        return shift

    @staticmethod
    def at(field: NDArray[np.float32], points: NDArray[Any]) -> NDArray[np.float32]:
        """Values (n, k) of a field (size, size, k) at points."""
        places = np.ascontiguousarray(points, np.float32).reshape(-1, 1, 2)
        found = cv2.remap(field, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        return found.reshape(len(places), -1)

    def fit(
        self, points: NDArray[Any], seen: NDArray[Any], start: Matrix, turn: Turn, outlier_px: float, steps: int
    ) -> tuple[Matrix, Turn]:
        """The similarity (2, 3) that takes what is `seen` to where the turned key frame's `points` would be, and that turn.

        Gauss–Newton from a similarity and a turn. Tukey's weights leave out points that move by themselves, `outlier_px` and
        more off.
        """
        depth = self.at(self._depth[..., np.newaxis], points)[:, 0].astype(np.float64)
        x, y = (points - self._centre).astype(np.float64).T
        u, v = seen.astype(np.float64).T
        ones, zeros = np.ones_like(u), np.zeros_like(u)
        # M(seen) = (a u - b v + s, b u + a v + t), so that the rows of the unknowns a, b, s, t are:
        linear = np.concatenate([np.stack([u, -v, ones, zeros], 1), np.stack([v, u, zeros, ones], 1)])
        known = np.array([start[0, 0], start[1, 0], start[0, 2], start[1, 2]])
        yaw, pitch = turn.yaw_rad, turn.pitch_rad
        # The turn's unknowns are pixels at the depth's own spread, so that one ridge fits all.
        spread_px = max(float(np.std(depth)), 1.0)
        ridge = np.diag([0.0, 0.0, 0.0, 0.0, _RIDGE, _RIDGE]) * len(u)
        for _ in range(steps):
            yaw_cos, yaw_sin, pitch_cos, pitch_sin = _parts(Turn(yaw, pitch))
            across = x * yaw_cos + depth * yaw_sin
            near = depth * yaw_cos - x * yaw_sin
            wanted = np.concatenate([across + self._centre[0], y * pitch_cos - near * pitch_sin + self._centre[1]])
            by_yaw = np.concatenate([near, across * pitch_sin])
            by_pitch = np.concatenate([zeros, -y * pitch_sin - near * pitch_cos])
            rest = wanted - linear @ known
            off = np.hypot(rest[: len(u)], rest[len(u) :]) / outlier_px
            weight = np.where(off < 1, (1 - off**2) ** 2, 0.0)
            if weight.sum() < 12:
                break
            both = np.concatenate([weight, weight])[:, np.newaxis]
            rows = np.column_stack([linear, -by_yaw / spread_px, -by_pitch / spread_px])
            weighted = rows * both
            change = np.linalg.solve(rows.T @ weighted + ridge, weighted.T @ rest)
            known = known + change[:4]
            yaw, pitch = yaw + float(change[4]) / spread_px, pitch + float(change[5]) / spread_px
        a, b, s, t = known
        return np.array([[a, -b, s], [b, a, t]]), Turn(yaw, pitch)


def turned_back(points: NDArray[Any], depths_px: NDArray[Any], turn: Turn) -> tuple[NDArray[Any], NDArray[Any]]:
    """Landmarks (468, 2) and depths (468,) of a head that has turned, as they were before."""
    if turn.is_none:
        return points, depths_px
    yaw_cos, yaw_sin, pitch_cos, pitch_sin = _parts(turn)
    yaw = np.array([[yaw_cos, 0.0, yaw_sin], [0.0, 1.0, 0.0], [-yaw_sin, 0.0, yaw_cos]])
    pitch = np.array([[1.0, 0.0, 0.0], [0.0, pitch_cos, -pitch_sin], [0.0, pitch_sin, pitch_cos]])
    centre = np.array([*points[list(FACE_OVAL)].mean(axis=0), depths_px.mean()])
    # A rotation's transpose undoes it; rows of points are multiplied from the other side.
    before = (np.column_stack([points, depths_px]) - centre) @ (pitch @ yaw) + centre
    return before[:, :2], before[:, 2]


def _parts(turn: Turn) -> tuple[float, float, float, float]:
    return math.cos(turn.yaw_rad), math.sin(turn.yaw_rad), math.cos(turn.pitch_rad), math.sin(turn.pitch_rad)


def _over_grid(
    landmarks: NDArray[Any], depths_px: NDArray[Any], outside_px: float, size_px: int
) -> NDArray[np.float32]:
    """(nodes, nodes) Depth between landmarks: a Gaussian-weighted average of theirs; far from all of them `outside_px`."""
    places = (np.arange(_GRID) + 0.5) * size_px / _GRID - 0.5
    # A Gaussian of the distance is a product of one of x and one of y, so sums over landmarks are matrix products.
    across, down = (
        np.exp(-np.square(places[:, np.newaxis] - landmarks[:, axis]) / (2 * _REACH_PX**2)) for axis in (0, 1)
    )
    return (((down * depths_px) @ across.T + _FAR * outside_px) / (down @ across.T + _FAR)).astype(np.float32)
