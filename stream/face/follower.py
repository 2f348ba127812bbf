"""One followed face: landmarks place it in a first frame, motion ties the frames after that to it, and its likeness to
what it was a moment ago tells cuts, and tracks that slide onto somebody else."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, Colour
from model.preprocess import Matrix, crop_face, eye_transform
from model.types import FaceCrop, Image
from stream.face.align import MotionAligner
from stream.face.landmarks import FACE_OVAL, HeadTurn, eye_centres, head_turn
from stream.face.life import LifeWatch
from stream.face.light import LightKeeper

_SIDE_PX = 24
"""Of a signature."""


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face as Face Mesh sees it: `points` (468, 3) in image pixels, the third is the distance from the camera; `eyes` (2, 2)
    the image's left and right one."""

    points: NDArray[np.float32]
    eyes: NDArray[np.float64]

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> "FoundFace":
        return cls(points, np.vstack(eye_centres(points[:, :2])))

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """(468, 2)"""
        return self.points[:, :2]

    @property
    def iod_px(self) -> float:
        return float(np.hypot(*(self.eyes[1] - self.eyes[0])))

    @property
    def outline(self) -> NDArray[np.float32]:
        """The face oval (n, 2)."""
        return self.landmarks[list(FACE_OVAL)]

    @property
    def turn(self) -> HeadTurn:
        return head_turn(self.landmarks)


@dataclass(frozen=True)
class FaceSettings:
    """`max_drift_px`: distance in crop pixels between the eyes as followed and as found over which alignment starts anew.

    `min_likeness`: a crop that is less like those of the last moments has come off its face, or another face has come
    before it. Over clips of talking and acting people it stays above .79; a face that another one passes in front of
    falls below .7 while a tenth of it is hidden.
    """

    max_drift_px: float = 6.0
    min_likeness: float = 0.75


class FaceFollower:
    """Follows one face. `place` first, then `step` for every frame that follows.

    `light`, `life`: those of the same face, where it was followed before.
    """

    def __init__(
        self,
        contract: ClipContract,
        settings: FaceSettings | None = None,
        light: LightKeeper | None = None,
        life: LifeWatch | None = None,
    ) -> None:
        self._geometry = contract.crop
        self._colour: Colour = contract.input.colour
        self._settings = settings or FaceSettings()
        self._aligner = MotionAligner(contract.crop)
        self._likeness = Likeness()
        self.light, self.life = light or LightKeeper(), life or LifeWatch()
        self._crop: FaceCrop | None = None
        self.steady_crop: Image = np.empty((0, 0), np.uint8)
        """That of `crop` in steady light; the same one while nothing flickers."""
        # The face oval in crop pixels, as it was in the key frame.
        self._oval = np.empty((0, 2), np.float64)

    @property
    def crop(self) -> FaceCrop:
        """The newest one; ValueError before `place`."""
        if self._crop is None:
            raise ValueError("face: expected one that was placed, found none (call place first)")
        return self._crop

    @property
    def iod_px(self) -> float:
        """The distance between the eyes in image pixels."""
        return self._geometry.iod_px / float(np.sqrt(abs(np.linalg.det(self.crop.transform[:, :2]))))

    @property
    def roll_deg(self) -> float:
        """How far the eyes' line is turned, clockwise in the picture, -180 to 180."""
        across, down = self.crop.transform[0, :2]
        return math.degrees(math.atan2(down, across))

    def place(self, image: Image, grey: Image, face: FoundFace, time_s: float) -> None:
        """Starts anew from a face that was found in this frame, with no tie to the frames before."""
        transform = eye_transform(face.eyes[0], face.eyes[1], self._geometry)
        self._aligner.rekey(grey, face.points, transform)
        self._oval = face.outline.astype(np.float64) @ transform[:, :2].T + transform[:, 2]
        self._crop = self._cut(image, transform, rekeyed=True)
        self.light.reset()
        self.life.reset()
        self.steady_crop = self.light.step(self._crop.crop, time_s)
        self._likeness.reset()
        self._likeness.add(signature(self._crop.crop), time_s)

    def step(self, image: Image, grey: Image, time_s: float) -> bool:
        """Follows the face into the next frame; False when it is lost, and `crop` is then that of the frame before."""
        alignment = self._aligner.step(grey, self.light.steadies)
        if not alignment.tracked:
            return False
        crop = self._cut(image, alignment.transform, rekeyed=False, shift_px=alignment.shift_px)
        values = signature(crop.crop)
        if self._likeness.of(values) < self._settings.min_likeness:
            return False
        self._likeness.add(values, time_s)
        self._crop = crop
        self.steady_crop = self.light.step(crop.crop, time_s)
        self.life.step(self._eyes_px(), self.steady_crop, time_s)
        return True

    def drifted(self, face: FoundFace) -> bool:
        """Whether the crop is off the face that was found in the same frame."""
        eyes = np.column_stack([face.eyes, np.ones(2)])
        wanted = eye_transform(face.eyes[0], face.eyes[1], self._geometry)
        return float(np.abs(eyes @ self.crop.transform.T - eyes @ wanted.T).max()) > self._settings.max_drift_px

    def distance_iod(self, face: FoundFace) -> float:
        """How far the eyes of a face are from where these are, in distances between these."""
        eyes = self._eyes_px()
        return float(np.hypot(*(face.eyes - eyes).T).max()) / self.iod_px

    def _eyes_px(self) -> NDArray[np.float64]:
        """(2, 2) Where the crop's eyes are in the picture."""
        back = cv2.invertAffineTransform(self.crop.transform)
        half = np.array([self._geometry.iod_px / 2, 0.0])
        middle = np.array([self._geometry.size_px / 2, self._geometry.eye_line_px])
        return np.vstack([middle - half, middle + half]) @ back[:, :2].T + back[:, 2]

    def likeness(self, image: Image, face: FoundFace) -> float:
        """How much a face of another frame looks like the newest crop, -1 to 1."""
        there = crop_face(
            image, eye_transform(face.eyes[0], face.eyes[1], self._geometry), self._geometry, self._colour
        )
        return self._likeness.of_newest(signature(there))

    def _cut(
        self, image: Image, transform: Matrix, rekeyed: bool, shift_px: NDArray[np.float32] | None = None
    ) -> FaceCrop:
        back = cv2.invertAffineTransform(transform)
        outline = (self._oval @ back[:, :2].T + back[:, 2]).astype(np.float32)
        crop = crop_face(image, transform, self._geometry, self._colour, shift_px)
        return FaceCrop(crop, transform, outline, rekeyed)


class Likeness:
    """Compares signatures (n,) with the average of those of about the last `time_constant_s` seconds.

    Measured in time, not in frames, it does not depend on the frame rate. Brightness and contrast do not count.
    """

    def __init__(self, time_constant_s: float = 0.2) -> None:
        self._time_constant_s = time_constant_s
        self.reset()

    def reset(self) -> None:
        self._mean: NDArray[Any] | None = None
        self._newest: NDArray[Any] | None = None
        self._last_s = 0.0

    def of(self, values: NDArray[Any]) -> float:
        """Correlation with the average, -1 to 1; 1 while there is none."""
        if self._mean is None:
            return 1.0
        return float(values @ self._mean) / max(float(np.linalg.norm(self._mean)), 1e-6)

    def of_newest(self, values: NDArray[Any]) -> float:
        """Correlation with the signature that was added last, -1 to 1; 1 while there is none."""
        return 1.0 if self._newest is None else float(values @ self._newest)

    def add(self, values: NDArray[Any], time_s: float) -> None:
        weight = 1.0 - math.exp(-max(time_s - self._last_s, 0.0) / self._time_constant_s)
        self._mean = values if self._mean is None else self._mean + np.float32(weight) * (values - self._mean)
        self._newest, self._last_s = values, time_s


def signature(crop: Image) -> NDArray[Any]:
    """The middle of an aligned crop (size, size[, 3]), from brow to chin, as a unit vector of coarse grey levels."""
    size_px = crop.shape[0]
    part = crop[round(0.11 * size_px) : round(0.89 * size_px), round(0.17 * size_px) : round(0.83 * size_px)]
    small = cv2.resize(part, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    values = (small.mean(axis=2) if small.ndim == 3 else small).ravel()
    values = values - values.mean()
    return values / max(float(np.sqrt(values @ values)), 1e-6)
