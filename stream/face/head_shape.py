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

_REST = slice(6, 8)
"""Of the terms of a point (`HeadShape._terms`), what is left between where it is and where it would be, across and down."""


def _equations() -> NDArray[np.float64]:
    """(2, 7, 8) Which terms, with their signs, the rows of the unknowns a, b, s, t, yaw and pitch and of the rest have,
    across and down. The terms are u, v, 1, by yaw across, by yaw down, by pitch down, and the rest across and down."""
    found = np.zeros((2, 7, 8))
    across = {0: (0, 1.0), 1: (1, -1.0), 2: (2, 1.0), 4: (3, 1.0), 6: (6, 1.0)}
    down = {0: (1, 1.0), 1: (0, 1.0), 3: (2, 1.0), 4: (4, 1.0), 5: (5, 1.0), 6: (7, 1.0)}
    for which, rows in enumerate((across, down)):
        for row, (term, sign) in rows.items():
            found[which, row, term] = sign
    return found


_EQUATIONS = _equations()
_EQUATIONS_T = _EQUATIONS.transpose(0, 2, 1)


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
        self._x = (steps - np.float32(self._centre[0]))[np.newaxis]
        self._y = (steps - np.float32(self._centre[1]))[:, np.newaxis]
        self._near = np.empty_like(self._depth)

    def shift_px(self, turn: Turn) -> NDArray[np.float32] | None:
        """(size, size, 2) How far from its place each pixel of the key frame's crop is seen after a turn; None without one."""
        if turn.is_none:
            return None
        yaw_cos, yaw_sin, pitch_cos, pitch_sin = _parts(turn)
        # For (cos - 1) x + sin depth across, and for what is near after the yaw down: without arrays in between.
        across = np.multiply(self._depth, yaw_sin)
        across += (yaw_cos - 1) * self._x
        near = np.multiply(self._depth, yaw_cos, out=self._near)
        near -= yaw_sin * self._x
        near *= pitch_sin
        return cv2.merge([across, np.subtract((pitch_cos - 1) * self._y, near, out=near)])  # type: ignore[return-value]

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
        # All that a step needs of a point is linear in these, with the same few numbers for all points.
        known = np.ones((6, len(points)))
        known[:2] = (points - self._centre).T
        known[2] = depth = self.at(self._depth[..., np.newaxis], points)[:, 0]
        known[4:] = seen.T
        # The turn's unknowns are pixels at the depth's own spread, so that one ridge fits all.
        spread_px = max(float(cv2.meanStdDev(depth)[1][0, 0]), 1.0)
        ridge = np.diag([0.0, 0.0, 0.0, 0.0, _RIDGE, _RIDGE]) * len(points)
        (a, _, s), (b, _, t) = start.tolist()
        yaw, pitch = turn.yaw_rad, turn.pitch_rad
        for _ in range(steps):
            terms = self._terms(a, b, s, t, Turn(yaw, pitch), spread_px) @ known
            off = np.square(terms[_REST])
            weight = np.maximum(1.0 - (off[0] + off[1]) / outlier_px**2, 0.0)
            weight *= weight
            if weight.sum() < 12:
                break
            # Sums of weighted products of all pairs of terms; normal equations are made of these.
            sums = _EQUATIONS @ ((terms * weight) @ terms.T) @ _EQUATIONS_T
            equations = sums[0] + sums[1]
            solved, change = cv2.solve(equations[:6, :6] + ridge, equations[:6, 6], flags=cv2.DECOMP_LU)
            if not solved:
                break
            by_a, by_b, by_s, by_t, by_yaw, by_pitch = change.ravel().tolist()
            a, b, s, t = a + by_a, b + by_b, s + by_s, t + by_t
            yaw, pitch = yaw + by_yaw / spread_px, pitch + by_pitch / spread_px
        return np.array([[a, -b, s], [b, a, t]]), Turn(yaw, pitch)

    def _terms(self, a: float, b: float, s: float, t: float, turn: Turn, spread_px: float) -> NDArray[np.float64]:
        """(8, 6) What makes the terms of the equations (see `_EQUATIONS`) of x, y, depth, 1, u and v of a point.

        A point that is seen at (u, v) is taken to (a u - b v + s, b u + a v + t), and would be at
        (x cos yaw + depth sin yaw, y cos pitch - near sin pitch) from the centre, near = depth cos yaw - x sin yaw.
        """
        (yaw_cos, yaw_sin, pitch_cos, pitch_sin), (across_px, down_px) = _parts(turn), self._centre.tolist()
        by_px = -1.0 / spread_px
        return np.array(
            [
                [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
                [0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
                [-by_px * yaw_sin, 0.0, by_px * yaw_cos, 0.0, 0.0, 0.0],
                [by_px * yaw_cos * pitch_sin, 0.0, by_px * yaw_sin * pitch_sin, 0.0, 0.0, 0.0],
                [by_px * yaw_sin * pitch_cos, -by_px * pitch_sin, -by_px * yaw_cos * pitch_cos, 0.0, 0.0, 0.0],
                [yaw_cos, 0.0, yaw_sin, across_px - s, -a, b],
                [yaw_sin * pitch_sin, pitch_cos, -yaw_cos * pitch_sin, down_px - t, -b, -a],
            ]
        )


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
