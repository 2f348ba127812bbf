"""Drawn faces: portraits made of polygons and noise, for tests and for machines without photos.

The landmarks are known by construction, and Face Mesh finds the face too.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.face.landmarks import FACE_OVAL
from train.synth.action_units import LOWER_LID, LOWER_LIP_EDGE, UPPER_LID, UPPER_LIP_EDGE
from train.synth.faces import FaceSource, mean_shape, mirror_map

_SIDE_PX = 480
_IOD_PX = 96.0
_CENTRE_PX = (240.0, 200.0)
_SUPERSAMPLING = 2

_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
_UPPER_LIP_TOP = (61, 185, 40, 39, 37, 0)
_LOWER_LIP_BOTTOM = (61, 146, 91, 181, 84, 17)

Colour = tuple[float, float, float]


def drawn_face(seed: int) -> FaceSource:
    """A drawn portrait, 480 x 480 px with 96 px between the eyes; build, colours and texture vary with the seed."""
    rng = np.random.default_rng([0xFACE, seed])
    shape = _varied_shape(rng)
    landmarks = (shape * _IOD_PX + _CENTRE_PX).astype(np.float32)
    name = f"drawn{seed:02d}"
    return FaceSource(name, name, _Portrait(rng, landmarks).draw(), landmarks)


def _varied_shape(rng: np.random.Generator) -> NDArray[np.float64]:
    """The mean face with other proportions; the eyes' distance stays 1."""
    shape = mean_shape().copy()
    y = shape[:, 1].copy()
    widths = 1 + rng.normal(0, 0.03, 3)
    shape[:, 0] *= np.interp(y, [-0.8, 0.1, 0.3, 1.0, 1.7], [widths[0], 1.0, 1.0, widths[1], widths[2]])
    shape[:, 1] = np.interp(
        y,
        [-0.9, 0.0, 0.6, 1.05, 1.8],
        np.cumsum([-0.9, *np.array([0.9, 0.6, 0.45, 0.75]) * (1 + rng.normal(0, 0.04, 4))]),
    )
    brows = [*_BROW, *mirror_map()[list(_BROW)]]
    shape[brows, 1] += rng.normal(0, 0.03)
    return shape


class _Portrait:
    def __init__(self, rng: np.random.Generator, landmarks: NDArray[np.float32]) -> None:
        self._rng = rng
        self._points = landmarks * _SUPERSAMPLING
        side = _SIDE_PX * _SUPERSAMPLING
        self._canvas = np.empty((side, side, 3), np.float32)

    def draw(self) -> NDArray[np.uint8]:
        rng, canvas = self._rng, self._canvas
        skin = np.array([120, 150, 195]) * rng.uniform(0.6, 1.15) + rng.normal(0, 6, 3)
        hair = np.array([35, 45, 60]) * rng.uniform(0.4, 2.0)
        canvas[:] = rng.uniform(60, 200, 3)
        canvas *= np.linspace(rng.uniform(0.8, 1), rng.uniform(1, 1.2), canvas.shape[0], dtype=np.float32)[
            :, np.newaxis, np.newaxis
        ]
        oval = self._outline(FACE_OVAL)
        centre = oval.mean(axis=0)
        self._fill(centre + (oval - centre) * [1.22, 1.2] - [0, 40], hair)
        jaw = self._points[[172, 397]]
        self._fill(np.array([jaw[0] + [20, 0], jaw[1] - [20, 0], jaw[1] + [0, 420], jaw[0] + [0, 420]]), 0.82 * skin)
        shoulders = self._points[152] + np.array([[-420, 600], [-330, 190], [0, 110], [330, 190], [420, 600]])
        self._fill(shoulders, rng.uniform(20, 160, 3))
        self._fill(oval, skin)
        self._shade(oval)
        for right in (False, True):
            self._eye(right, skin, hair)
        self._nose(skin)
        self._mouth(skin)
        canvas[:] = cv2.GaussianBlur(canvas, (0, 0), 1.6)
        self._texture()
        picture = cv2.resize(canvas, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

    def _outline(self, ids: Sequence[int], right: bool = False) -> NDArray[np.float64]:
        return self._points[mirror_map()[list(ids)] if right else list(ids)].astype(np.float64)

    def _fill(self, polygon: NDArray[np.float64], colour: NDArray[np.float64]) -> None:
        cv2.fillPoly(self._canvas, [np.rint(polygon).astype(np.int32)], colour.tolist(), lineType=cv2.LINE_AA)

    def _spot(self, centre: NDArray[np.floating], radius_px: float, gain: float, stretch: float = 1.0) -> None:
        """Lightens (gain above 0) or darkens softly around a point."""
        rows, columns = np.mgrid[0 : self._canvas.shape[0], 0 : self._canvas.shape[1]].astype(np.float32)
        squared = ((columns - centre[0]) / stretch) ** 2 + (rows - centre[1]) ** 2
        self._canvas *= (1 + gain * np.exp(-squared / (2 * radius_px**2)))[..., np.newaxis]

    def _shade(self, oval: NDArray[np.float64]) -> None:
        mask = np.zeros(self._canvas.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.rint(oval).astype(np.int32)], (1,))
        depth = np.clip(cv2.distanceTransform(mask, cv2.DIST_L2, 5) / 110, 0, 1)
        self._canvas *= np.where(mask > 0, 0.72 + 0.28 * np.sqrt(depth), 1)[..., np.newaxis].astype(np.float32)
        for landmark, gain in ((50, 0.12), (280, 0.12), (151, 0.1), (199, 0.08)):
            self._spot(self._points[landmark], 60, gain, 1.3)

    def _eye(self, right: bool, skin: NDArray[np.float64], hair: NDArray[np.float64]) -> None:
        ring = self._outline([*UPPER_LID, *LOWER_LID[-2:0:-1]], right)
        centre = ring.mean(axis=0)
        self._spot(centre, 46, -0.22, 1.5)
        self._fill(centre + (ring - centre) * [1.02, 1.25], np.array([225, 228, 230]))
        white = np.zeros(self._canvas.shape[:2], np.uint8)
        cv2.fillPoly(white, [np.rint(centre + (ring - centre) * [1.02, 1.25]).astype(np.int32)], (1,))
        iris = self._canvas.copy()
        at = (int(centre[0]), int(centre[1] - 1))
        cv2.circle(iris, at, 20, (np.array([60, 75, 85]) * self._rng.uniform(0.6, 1.3)).tolist(), -1, cv2.LINE_AA)
        cv2.circle(iris, at, 9, (15, 15, 15), -1, cv2.LINE_AA)
        cv2.circle(iris, (at[0] - 6, at[1] - 7), 4, (250, 250, 250), -1, cv2.LINE_AA)
        self._canvas[white > 0] = iris[white > 0]
        for ids, thickness, tone in ((UPPER_LID, 6, 0.25), (LOWER_LID, 2, 0.6)):
            edge = centre + (self._outline(ids, right) - centre) * [1.02, 1.25]
            cv2.polylines(
                self._canvas, [np.rint(edge).astype(np.int32)], False, (tone * skin).tolist(), thickness, cv2.LINE_AA
            )
        self._fill(self._outline(_BROW, right), 0.9 * hair)

    def _nose(self, skin: NDArray[np.float64]) -> None:
        for landmark in (6, 197, 5):
            self._spot(self._points[landmark], 16, 0.12)
        self._spot(self._points[4], 24, 0.14)
        for wing, nostril in ((129, 98), (358, 327)):
            self._spot(self._points[wing], 16, -0.25)
            cv2.ellipse(
                self._canvas,
                np.rint(self._points[nostril]).astype(int).tolist(),
                (11, 6),
                0,
                0,
                360,
                (0.35 * skin).tolist(),
                -1,
                cv2.LINE_AA,
            )
        self._spot(self._points[164], 18, -0.1)

    def _mouth(self, skin: NDArray[np.float64]) -> None:
        lips = skin * [0.75, 0.68, 0.9]
        seam_top, seam_bottom = self._half_and_mirror(UPPER_LIP_EDGE), self._half_and_mirror(LOWER_LIP_EDGE)
        self._fill(np.vstack([self._half_and_mirror(_UPPER_LIP_TOP), seam_bottom[::-1]]), 0.88 * lips)
        self._fill(np.vstack([self._half_and_mirror(_LOWER_LIP_BOTTOM), seam_top[::-1]]), lips)
        middle = np.rint((seam_top + seam_bottom) / 2).astype(np.int32)
        cv2.polylines(self._canvas, [middle], False, (0.35 * lips).tolist(), 5, cv2.LINE_AA)
        self._spot(self._points[18], 18, -0.15, 2.5)

    def _half_and_mirror(self, half: Sequence[int]) -> NDArray[np.float64]:
        """A line of the image's left half, up to the midline, and its reflection, from left to right."""
        return np.vstack([self._outline(half), self._outline(half, right=True)[-2::-1]])

    def _texture(self) -> None:
        """Pores and blotches: something for the alignment to hold on to."""
        side = self._canvas.shape[0]
        for coarseness, strength in ((3, 0.05), (8, 0.035), (30, 0.03)):
            noise = self._rng.standard_normal((side // coarseness + 1,) * 2, dtype=np.float32)
            self._canvas *= (1 + strength * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC))[
                ..., np.newaxis
            ]
