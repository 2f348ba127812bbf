"""Alignment by motion: Lucas–Kanade tracks from a key frame, and the rigid motion of a head that most of them agree on.

Aligning every frame by its landmarks takes the small motion out that is looked for (and adds the landmarks' jitter).
Here the face's landmarks place the key frame only; every later frame is tied to it by about 250 tracked corners, eyes
left out, and what moves by itself is left out of the fit: brows, cheeks, mouth. A head turns in three dimensions: the fit
has a similarity (place, scale, roll), and yaw and pitch, by the depth that Face Mesh gave the key frame. Frames are looked
at as from the key frame (`HeadShape.shift_px`), so that a turn leaves no parallax that would look like an expression. When the
head has turned so far that few corners agree, the frame before becomes the key frame at the pose it had, so the crop does
not jump.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import CropGeometry
from model.preprocess import Matrix, crop_face
from model.types import Image
from stream.face.head_shape import HeadShape, Turn, turned_back
from stream.face.landmarks import FACE_OVAL, LEFT_EYE_RING, RIGHT_EYE_RING
from stream.face.light import in_light_of


@dataclass(frozen=True)
class AlignSettings:
    """Lengths in crop pixels. `margin_px`: what the tracking sees around the crop.

    `ransac_px`: distances at which corners agree with a motion; the second is for heads that turn, where no similarity
    fits well. `renew_share`: share of agreeing corners under which the key frame is renewed.

    `rigid_px`: corners that are so far off the head's rigid motion have no say in it. `max_turn_deg`: farther than that from
    the key frame's pose a turn is not taken out.
    """

    corners: int = 250
    corner_quality: float = 0.001
    min_corner_distance_px: int = 4
    margin_px: int = 16
    mask_erosion_px: int = 5
    ransac_px: tuple[float, float] = (0.5, 1.5)
    min_inliers: int = 25
    min_inlier_share: float = 0.3
    renew_share: float = 0.5
    rigid_px: float = 0.7
    rigid_steps: int = 3
    max_turn_deg: float = 30.0


@dataclass(frozen=True, eq=False)
class Alignment:
    """`transform` (2, 3) from image to crop pixels; `inlier_share` 0–1 of the key frame's corners that agree with it.

    `shift_px` (size, size, 2) float32: from where each pixel of the crop is to be taken so that the head looks as in the key
    frame, None while it has not turned (`crop_face`); `turn` is how far it has. `tracked` is False when too few corners
    agree: the others are then those of the frame before.
    """

    transform: Matrix
    inlier_share: float
    tracked: bool
    turn: Turn
    shift_px: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class _KeyFrame:
    """What frames are tied to: the view, where in it the face is (255), and its corners (n, 1, 2)."""

    view: Image
    mask: Image
    corners: NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Motion:
    """`similarity` (2, 3) from a view's pixels to the key frame's; `moved` (n, 2) is where the `corners` (n, 2) of the key frame
    are in the view."""

    similarity: Matrix
    moved: NDArray[np.float32]
    corners: NDArray[np.float32]


class MotionAligner:
    """Ties frames to a key frame. `rekey` first, then `step` for every frame that follows.

    The tracking works on a crop at the last known transform, so its cost does not depend on the camera's resolution.
    """

    def __init__(self, geometry: CropGeometry, settings: AlignSettings | None = None) -> None:
        self._settings = settings or AlignSettings()
        margin = self._settings.margin_px
        self._geometry = CropGeometry(geometry.size_px + 2 * margin, geometry.iod_px, geometry.eye_line_px + margin)
        self._shift = np.array([[0.0, 0.0, margin], [0.0, 0.0, margin]])
        self.reset()

    def reset(self) -> None:
        self._key: _KeyFrame | None = None
        self._last_grey: Image | None = None
        self._transform: Matrix = np.eye(2, 3)
        self._turn = Turn()
        self._shape: HeadShape | None = None
        self._shift_px: NDArray[np.float32] | None = None

    @property
    def keyed(self) -> bool:
        return self._key is not None

    @property
    def turn(self) -> Turn:
        """Of the head in the last frame, away from where it looks straight on in the crop."""
        return self._turn

    def rekey(self, grey: Image, landmarks: NDArray[Any], transform: Matrix, turn: Turn | None = None) -> None:
        """Makes a grey picture (height, width) the key frame; landmarks (468, 3) in its pixels say where the face is, and how
        far each point is from the camera (any origin). `turn`: how far the head has already turned in it."""
        self._transform, self._turn = transform, turn or Turn()
        self._last_grey = grey
        into_view = transform + self._shift
        seen = _apply(into_view, landmarks[:, :2])
        depths_px = -landmarks[:, 2].astype(np.float64) * float(np.hypot(*transform[0, :2]))
        points, depths_px = turned_back(seen, depths_px, self._turn)
        self._shape = HeadShape(points, depths_px, self._geometry.size_px)
        self._shift_px = self._shape.shift_px(self._turn)
        self._key = self._key_frame(self._view(grey, transform), self._mask(points))

    def step(self, grey: Image, flickers: bool = False, near: Matrix | None = None) -> Alignment:
        """The alignment of the next grey picture (height, width). Where it `flickers`, corners would seem to move with
        the light: it is looked at in the key frame's. `near`: the transform (2, 3) to look at first, for a face that was
        lost from sight; that of the frame before where there is none."""
        if self._key is None or self._last_grey is None or self._shape is None:
            raise ValueError("alignment: expected a key frame, found none (call rekey first)")
        before = self._transform if near is None else near
        view = self._view(grey, before)
        if flickers:
            view = in_light_of(self._key.view, view)
        near_px, far_px = self._settings.ransac_px
        motion, share = self._motion(self._key, view, near_px)
        if near is None and (motion is None or share < self._settings.renew_share):
            renewed = self._key_frame(self._view(self._last_grey, self._transform), self._key.mask)
            if flickers:
                view = in_light_of(renewed.view, view)
            again, again_share = self._motion(renewed, view, near_px)
            if again is None:
                again, again_share = self._motion(renewed, view, far_px)
            if again is not None and again_share > share:
                self._key, motion, share = renewed, again, again_share
        if motion is None:
            return self._alignment(share, tracked=False)
        self._pose(motion, before)
        self._last_grey = grey
        return self._alignment(share, tracked=True)

    def _pose(self, motion: "_Motion", before: Matrix) -> None:
        """The head's similarity and turn from where the key frame's corners are now."""
        assert self._shape is not None
        # The view was taken as from the key frame: where its points really are, in the crop at the transform before.
        seen = motion.moved if self._shift_px is None else motion.moved + self._shape.at(self._shift_px, motion.moved)
        back, turn = self._shape.fit(
            motion.corners, seen, motion.similarity, self._turn, self._settings.rigid_px, self._settings.rigid_steps
        )
        limit = np.radians(self._settings.max_turn_deg)
        if not _plausible(back) or max(abs(turn.yaw_rad), abs(turn.pitch_rad)) > limit:
            back, turn = motion.similarity, self._turn
        # `back` takes the view's pixels to the key frame's; both are those of the crop shifted by the margin.
        self._transform = _compose(back, before + self._shift) - self._shift
        self._turn = turn
        self._shift_px = self._shape.shift_px(turn)

    def _alignment(self, share: float, tracked: bool) -> Alignment:
        margin = self._settings.margin_px
        inner = None if self._shift_px is None else self._shift_px[margin:-margin, margin:-margin]
        return Alignment(self._transform, share, tracked, self._turn, inner)

    def _key_frame(self, view: Image, mask: Image) -> "_KeyFrame":
        corners = cv2.goodFeaturesToTrack(
            view,
            self._settings.corners,
            self._settings.corner_quality,
            self._settings.min_corner_distance_px,
            mask=mask,
            blockSize=5,
        )
        return _KeyFrame(view, mask, np.empty((0, 1, 2), np.float32) if corners is None else corners)

    def _motion(self, key: "_KeyFrame", view: Image, ransac_px: float) -> "tuple[_Motion | None, float]":
        """How the view's pixels go back to the key frame's (None when too few corners agree), and the share that does."""
        if len(key.corners) < self._settings.min_inliers:
            return None, 0.0
        moved, found, _ = cv2.calcOpticalFlowPyrLK(
            key.view, view, key.corners, key.corners.copy(), winSize=(15, 15), maxLevel=2,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01), flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        kept = found.ravel() == 1
        back, forth = key.corners[kept], moved[kept]
        if len(back) < self._settings.min_inliers:
            return None, 0.0
        motion, inliers = cv2.estimateAffinePartial2D(forth, back, method=cv2.RANSAC, ransacReprojThreshold=ransac_px)
        if motion is None:
            return None, 0.0
        count = cv2.countNonZero(inliers)
        share = count / len(key.corners)
        agreed = count >= self._settings.min_inliers and share >= self._settings.min_inlier_share and _plausible(motion)
        if not agreed:
            return None, share
        return _Motion(motion, *(np.asarray(points.reshape(-1, 2), np.float32) for points in (forth, back))), share

    def _view(self, grey: Image, transform: Matrix) -> Image:
        return crop_face(grey, transform + self._shift, self._geometry, "grey", self._shift_px)

    def _mask(self, points: Matrix) -> Image:
        """255 inside the face oval, a little away from its edge, and outside the eyes."""
        mask = np.zeros((self._geometry.size_px, self._geometry.size_px), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[list(FACE_OVAL)]).astype(np.int32)), (255,))
        reach = 2 * self._settings.mask_erosion_px + 1
        mask = cv2.erode(mask, np.ones((reach, reach), np.uint8))
        for ring in (LEFT_EYE_RING, RIGHT_EYE_RING):
            eye = np.zeros_like(mask)
            cv2.fillConvexPoly(eye, cv2.convexHull(np.rint(points[list(ring)]).astype(np.int32)), (255,))
            mask[cv2.dilate(eye, np.ones((reach, reach), np.uint8)) > 0] = 0
        return mask


def _apply(matrix: Matrix, points: NDArray[Any]) -> Matrix:
    return points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]


def _compose(outer: Matrix, inner: Matrix) -> Matrix:
    """outer ∘ inner, both (2, 3)."""
    return outer @ np.vstack([inner, [0.0, 0.0, 1.0]])


def _plausible(motion: Matrix) -> bool:
    """A head between two frames: no collapse and no flip of scale."""
    scale = float(np.hypot(motion[0, 0], motion[1, 0]))
    return bool(np.isfinite(motion).all()) and 0.7 < scale < 1.4
