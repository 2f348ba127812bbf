"""Full camera pictures of one person in front of what the photo shows behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image
from train.synth.faces import PICTURE_IOD_PX, PICTURE_ORIGIN_IOD, PICTURE_SIDE_IOD
from train.synth.render import Camera, FaceModel, FaceRenderer, Pose

# Over so much of the drawn square's edge it passes into the still picture around it.
_FEATHER_PX = 12


@dataclass(frozen=True)
class View:
    """The size of a video's pictures."""

    width_px: int = 640
    height_px: int = 480


@dataclass(frozen=True)
class Whereabouts:
    """Where a person is: the middle between the eyes and their distance, pixels; `shown` is the share of the face in sight."""

    person: int
    eyes_px: tuple[float, float]
    iod_px: float
    shown: float


class Scene(Protocol):
    """What a camera sees. Poses, one for every person, come with neutral light."""

    def draw(self, poses: Sequence[Pose], time_s: float) -> Image:
        """The picture BGR uint8 (height, width, 3) without light changes and noise; the caller may write to it."""
        ...

    def whereabouts(self, time_s: float) -> tuple[Whereabouts, ...]:
        """Where everybody in the picture is, head motion left aside."""
        ...


class SoloScene:
    """One person; what is not the head is drawn once."""

    def __init__(
        self,
        model: FaceModel,
        camera: Camera,
        view: View,
        eyes_px: tuple[float, float],
        texture: NDArray[np.float32] | None,
        shading: float,
    ) -> None:
        self._renderer = FaceRenderer(model, camera, texture, shading)
        corner = _corner(camera, view, eyes_px)
        self._rows = slice(corner[1], corner[1] + camera.side_px)
        self._columns = slice(corner[0], corner[0] + camera.side_px)
        self._still = _still_picture(model, camera, corner, view)
        self._share = feather(camera.side_px, _FEATHER_PX)
        self._rest = 1 - self._share
        self._where = (Whereabouts(0, eyes_px, camera.iod_px, 1.0),)

    def draw(self, poses: Sequence[Pose], time_s: float) -> Image:
        picture = self._still.copy()
        view = picture[self._rows, self._columns]
        view[:] = cv2.blendLinear(self._renderer.render(poses[0]), view, self._share, self._rest)
        return picture

    def whereabouts(self, time_s: float) -> tuple[Whereabouts, ...]:
        return self._where


def _corner(camera: Camera, view: View, eyes_px: tuple[float, float]) -> NDArray[np.int_]:
    """The picture's pixel (x, y) at which the camera's square frame begins; ValueError when it does not fit in."""
    corner = np.rint(np.array(eyes_px) - camera.from_canonical()[:, 2]).astype(int)
    if (corner < 0).any() or (corner + camera.side_px > (view.width_px, view.height_px)).any():
        raise ValueError(
            f"view: expected room for a face of {camera.side_px} px in {view.width_px} x {view.height_px}, "
            f"found it at {corner.tolist()}"
        )
    return corner


def _still_picture(model: FaceModel, camera: Camera, corner: NDArray[np.int_], view: View) -> Image:
    """The person at rest in a picture of the view's size. Beyond the photo its border goes on, far out of focus."""
    to_camera = camera.from_canonical()
    to_camera[:, 2] += corner
    size = (view.width_px, view.height_px)
    far = to_camera @ np.vstack([model.face.canonical_transform(), [0, 0, 1]])
    far_picture = _warped(model.face.image, far, size)
    inside = cv2.warpAffine(np.full(model.face.image.shape[:2], 255, np.uint8), far, size, flags=cv2.INTER_NEAREST)
    inside_iod = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / camera.iod_px
    small = cv2.resize(far_picture, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 0.5 * camera.iod_px / 8, borderType=cv2.BORDER_REPLICATE)
    far_picture = _mixed(far_picture, cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), inside_iod / 0.4)

    # The camera's frame must show just what the renderer draws; around it there is a ring to pass over in.
    near = picture_to(to_camera)
    side = model.picture.shape[0]
    within = cv2.warpAffine(np.full((side, side), 255, np.uint8), near, size, flags=cv2.INTER_NEAREST)
    # The frame's edges are this far inside the canonical picture's, or farther.
    ring_px = (PICTURE_SIDE_IOD * camera.iod_px - camera.side_px) / 2 * 0.85
    share = cv2.distanceTransform(within, cv2.DIST_L2, 5) / ring_px
    picture = _mixed(_warped(model.picture, near, size), far_picture, share)
    return cv2.GaussianBlur(picture, (0, 0), camera.blur_px) if camera.blur_px > 0 else picture


def picture_to(from_canonical: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transform (2, 3) from a face model's picture, given that from the canonical frame."""
    canonical = np.column_stack([np.eye(2) / PICTURE_IOD_PX, PICTURE_ORIGIN_IOD])
    return from_canonical @ np.vstack([canonical, [0, 0, 1]])


def _warped(image: Image, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image:
    """`warpAffine` that averages where the picture shrinks; its border goes on beyond it."""
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    while shrink < 0.5:
        image, matrix, shrink = cv2.pyrDown(image), matrix * (2.0, 2.0, 1.0), shrink * 2
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _mixed(first: Image, second: Image, share: NDArray[np.floating]) -> Image:
    """`first` where share is 1 or more, `second` where it is 0."""
    share = np.clip(share, 0, 1).astype(np.float32)
    return cv2.blendLinear(first, second, share, 1 - share)


def feather(side_px: int, width_px: int) -> NDArray[np.float32]:
    """1 inside a square (side, side), falling to 0 over `width_px` at its edges."""
    ramp = np.minimum(np.arange(side_px) + 1, np.arange(side_px)[::-1] + 1) / width_px
    edge = np.clip(ramp, 0, 1).astype(np.float32)
    return np.minimum(edge[:, np.newaxis], edge)
