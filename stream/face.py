"""One followed face: landmarks place it in a first frame, motion ties the frames after that to it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, Colour
from model.preprocess import Matrix, crop_face, eye_transform
from model.types import FaceCrop, Image
from stream.align import MotionAligner
from stream.landmarks import FACE_OVAL, HeadTurn, eye_centres, head_turn
from stream.likeness import Likeness, signature


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face as Face Mesh sees it: `landmarks` (468, 2) in image pixels, `eyes` (2, 2) the image's left and right one."""

    landmarks: NDArray[np.float32]
    eyes: NDArray[np.float64]

    @classmethod
    def of(cls, landmarks: NDArray[np.float32]) -> "FoundFace":
        return cls(landmarks, np.vstack(eye_centres(landmarks)))

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
    """Follows one face. `place` first, then `step` for every frame that follows."""

    def __init__(self, contract: ClipContract, settings: FaceSettings | None = None) -> None:
        self._geometry = contract.crop
        self._colour: Colour = contract.input.colour
        self._settings = settings or FaceSettings()
        self._aligner = MotionAligner(contract.crop)
        self._likeness = Likeness()
        self._crop: FaceCrop | None = None
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

    def place(self, image: Image, grey: Image, face: FoundFace, time_s: float) -> None:
        """Starts anew from a face that was found in this frame, with no tie to the frames before."""
        transform = eye_transform(face.eyes[0], face.eyes[1], self._geometry)
        self._aligner.rekey(grey, face.landmarks, transform)
        self._oval = face.outline.astype(np.float64) @ transform[:, :2].T + transform[:, 2]
        self._crop = self._cut(image, transform, rekeyed=True)
        self._likeness.reset()
        self._likeness.add(signature(self._crop.crop), time_s)

    def step(self, image: Image, grey: Image, time_s: float) -> bool:
        """Follows the face into the next frame; False when it is lost, and `crop` is then that of the frame before."""
        alignment = self._aligner.step(grey)
        if not alignment.tracked:
            return False
        crop = self._cut(image, alignment.transform, rekeyed=False)
        values = signature(crop.crop)
        if self._likeness.of(values) < self._settings.min_likeness:
            return False
        self._likeness.add(values, time_s)
        self._crop = crop
        return True

    def drifted(self, face: FoundFace) -> bool:
        """Whether the crop is off the face that was found in the same frame."""
        eyes = np.column_stack([face.eyes, np.ones(2)])
        wanted = eye_transform(face.eyes[0], face.eyes[1], self._geometry)
        return float(np.abs(eyes @ self.crop.transform.T - eyes @ wanted.T).max()) > self._settings.max_drift_px

    def distance_iod(self, face: FoundFace) -> float:
        """How far the eyes of a face are from where these are, in distances between these."""
        back = cv2.invertAffineTransform(self.crop.transform)
        half = np.array([self._geometry.iod_px / 2, 0.0])
        middle = np.array([self._geometry.size_px / 2, self._geometry.eye_line_px])
        eyes = np.vstack([middle - half, middle + half]) @ back[:, :2].T + back[:, 2]
        return float(np.hypot(*(face.eyes - eyes).T).max()) / self.iod_px

    def likeness(self, image: Image, face: FoundFace) -> float:
        """How much a face of another frame looks like the newest crop, -1 to 1."""
        there = crop_face(
            image, eye_transform(face.eyes[0], face.eyes[1], self._geometry), self._geometry, self._colour
        )
        return self._likeness.of_newest(signature(there))

    def _cut(self, image: Image, transform: Matrix, rekeyed: bool) -> FaceCrop:
        back = cv2.invertAffineTransform(transform)
        outline = (self._oval @ back[:, :2].T + back[:, 2]).astype(np.float32)
        return FaceCrop(crop_face(image, transform, self._geometry, self._colour), transform, outline, rekeyed)
