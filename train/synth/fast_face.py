"""A face made ready for drawing aligned crops directly: what depends on the face and the crop's geometry alone."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import Colour, CropGeometry
from model.types import Image
from stream.face.landmarks import FACE_OVAL, LEFT_EYE_RING, RIGHT_EYE_RING
from train.synth.faces import PICTURE_IOD_PX, PICTURE_ORIGIN_IOD
from train.synth.layers import OVERSAMPLING, sampled
from train.synth.render import Camera, FaceModel

# As the live alignment does: so many corners of the face, a little away from its edge, the eyes left out.
_CORNERS, _CORNER_QUALITY, _CORNERS_APART_PX, _EROSION_PX = 250, 0.001, 4, 5


@dataclass(frozen=True, eq=False)
class FastFace:
    """A face's fields, and its picture at `OVERSAMPLING` times the crop's resolution, grey or BGR."""

    model: FaceModel
    geometry: CropGeometry
    colour: Colour

    @property
    def scale(self) -> float:
        """Pixels of `picture` between the eyes."""
        return PICTURE_IOD_PX * self.picture.shape[0] / self.model.picture.shape[0]

    @cached_property
    def picture(self) -> Image:
        """The canonical picture at the crop's scale."""
        picture = self.model.picture
        if self.colour == "grey":
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        side = round(picture.shape[0] * self.geometry.iod_px * OVERSAMPLING / PICTURE_IOD_PX)
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)

    def to_picture(self, canonical: NDArray[np.floating]) -> NDArray[np.float32]:
        """Canonical points in pixels of `picture`."""
        # Resizing keeps the outer edge of the first pixel in place, not its centre.
        half_px = (self.scale / PICTURE_IOD_PX - 1) / 2
        return ((canonical - np.array(PICTURE_ORIGIN_IOD, np.float32)) * self.scale + half_px).astype(np.float32)

    @cached_property
    def lip_channels(self) -> frozenset[str]:
        """Channels that move the lips apart."""
        fields = self.model.fields
        apart = np.abs(fields.upper - fields.lower).max(axis=(1, 2, 3)) > 0
        return frozenset(name for name, parts in zip(fields.channels, apart, strict=True) if parts)

    @cached_property
    def corners(self) -> NDArray[np.float32]:
        """Canonical points (n, 2) that an alignment would track on the face at rest."""
        iod_px = self.geometry.iod_px
        side, origin = round(3.4 * iod_px), np.array([1.7, 1.1]) * iod_px
        to_crop = np.column_stack([iod_px * np.eye(2), origin])
        landmarks = self.model.camera_landmarks(Camera())
        canonical = cv2.transform(
            landmarks[np.newaxis].astype(np.float64), cv2.invertAffineTransform(Camera().from_canonical())
        )[0]
        points = canonical @ to_crop[:, :2].T + origin
        mask = np.zeros((side, side), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[list(FACE_OVAL)]).astype(np.int32)), (255,))
        reach = np.ones((2 * _EROSION_PX + 1, 2 * _EROSION_PX + 1), np.uint8)
        mask = cv2.erode(mask, reach)
        for ring in (LEFT_EYE_RING, RIGHT_EYE_RING):
            eye = np.zeros_like(mask)
            cv2.fillConvexPoly(eye, cv2.convexHull(np.rint(points[list(ring)]).astype(np.int32)), (255,))
            mask[cv2.dilate(eye, reach) > 0] = 0
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1)
        view = sampled(self.picture, self.to_picture((grid - origin) / iod_px))
        view = view if view.ndim == 2 else cv2.cvtColor(view, cv2.COLOR_BGR2GRAY)
        found = cv2.goodFeaturesToTrack(view, _CORNERS, _CORNER_QUALITY, _CORNERS_APART_PX, mask=mask, blockSize=5)
        return ((found[:, 0] - origin) / iod_px).astype(np.float32)
