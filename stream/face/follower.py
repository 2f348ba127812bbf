"""One followed face: landmarks place it in a first frame, motion ties the frames after that to it, and its likeness to
what it was a moment ago tells cuts, and tracks that slide onto somebody else. Lost from sight and found again, it is tied
to what it was before where that can be done."""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, Colour
from model.preprocess import Matrix, crop_face, eye_transform, scale_of
from model.types import FaceCrop, Image
from stream.face.align import Alignment, MotionAligner
from stream.face.head_shape import Turn
from stream.face.landmarks import FACE_OVAL, HeadTurn, eye_centres, head_turn
from stream.face.life import LifeWatch
from stream.face.light import LightKeeper
from stream.face.likeness import Acquaintance, Likeness, Looks, signature

_REMEMBER_EVERY_S = 0.25


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

    @cached_property
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
    """Follows one face. `place` first, then `step` for every frame that follows; `place` again where the face is found after
    it was lost from sight, or came off. `known`: how the person looks.
    """

    def __init__(self, contract: ClipContract, settings: FaceSettings | None = None) -> None:
        self._geometry = contract.crop
        self._colour: Colour = contract.input.colour
        self._settings = settings or FaceSettings()
        middle_px, half_px = contract.crop.size_px / 2, contract.crop.iod_px / 2
        self._eyes = np.array([(x, contract.crop.eye_line_px) for x in (middle_px - half_px, middle_px + half_px)])
        self._aligner = MotionAligner(contract.crop)
        # Keeps a key frame in which the face looked into the camera, for when it does so again.
        self._home = MotionAligner(contract.crop)
        self._likeness = Likeness()
        self.light, self.life, self.known = LightKeeper(), LifeWatch(), Acquaintance()
        self._crop: FaceCrop | None = None
        self._remembered_s = -math.inf
        self.placed_turned = False
        self.interrupted = False
        """Whether the newest crop was placed, so that it does not go on from the one before, be it tied to earlier ones."""
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
        return self._geometry.iod_px / scale_of(self.crop.transform)

    @property
    def roll_deg(self) -> float:
        """How far the eyes' line is turned, clockwise in the picture, -180 to 180."""
        across, down = self.crop.transform[0, :2]
        return math.degrees(math.atan2(down, across))

    def place(self, image: Image, grey: Image, face: FoundFace, time_s: float, turned: bool = False) -> None:
        """Follows a face that was found in this frame; where it was followed before, it is tied to what it was then if that
        is recognised, so that its neutral reference holds on. Else it starts anew (`rekeyed`).

        What is placed on a face that is `turned` away has not the right size: it is nothing to be tied to.
        """
        near = self.transform_of(face)
        for aligner in (self._home,) if self.placed_turned else (self._home, self._aligner):
            if not aligner.keyed:
                continue
            tied = aligner.step(grey, self.light.steadies, near)
            if tied.tracked and self._off_px(face, tied.transform) <= self._settings.max_drift_px:
                self.placed_turned = False
                self._begin(image, grey, face, tied, time_s)
                return
        self.placed_turned = turned
        if not turned:
            self._home.rekey(grey, face.points, near)
        self._begin(image, grey, face, near, time_s)

    def confirm(self, grey: Image, face: FoundFace, frontal: bool) -> None:
        """The face was found where it is followed; where it is `frontal`, it will be looked for as it is now."""
        if frontal and not self.placed_turned:
            self._home.rekey(grey, face.points, self.crop.transform, self._aligner.turn)

    def _begin(self, image: Image, grey: Image, face: FoundFace, at: Alignment | Matrix, time_s: float) -> None:
        """From an alignment that ties the face to what it was, or from a transform anew."""
        tied = at if isinstance(at, Alignment) else None
        transform = at.transform if isinstance(at, Alignment) else at
        self._aligner.rekey(grey, face.points, transform, tied.turn if tied else Turn())
        self._oval = face.outline.astype(np.float64) @ transform[:, :2].T + transform[:, 2]
        self._crop = self._cut(image, grey, transform, rekeyed=tied is None, shift_px=tied.shift_px if tied else None)
        self.interrupted = True
        self.light.reset()
        self.life.reset()
        self.steady_crop = self.light.step(self._crop.crop, time_s)
        self._likeness.reset()
        self._likeness.add(signature(self._crop.crop), time_s)
        self._remember(image, transform, time_s)

    def _remember(self, image: Image, transform: Matrix, time_s: float) -> None:
        self.known.add(Looks.of(crop_face(image, transform, self._geometry, "rgb")))
        self._remembered_s = time_s

    def step(self, image: Image, grey: Image, time_s: float) -> bool:
        """Follows the face into the next frame; False when it is lost, and `crop` is then that of the frame before."""
        alignment = self._aligner.step(grey, self.light.steadies)
        if not alignment.tracked:
            return False
        crop = self._cut(image, grey, alignment.transform, rekeyed=False, shift_px=alignment.shift_px)
        values = signature(crop.crop)
        if self._likeness.of(values) < self._settings.min_likeness:
            return False
        self._likeness.add(values, time_s)
        self._crop, self.interrupted = crop, False
        self.steady_crop = self.light.step(crop.crop, time_s)
        self.life.step(self._eyes_px(), self.steady_crop, time_s)
        if time_s - self._remembered_s >= _REMEMBER_EVERY_S:
            self._remember(image, crop.transform, time_s)
        return True

    def drifted(self, face: FoundFace) -> bool:
        """Whether the crop is off the face that was found in the same frame."""
        return self._off_px(face, self.crop.transform) > self._settings.max_drift_px

    def _off_px(self, face: FoundFace, transform: Matrix) -> float:
        """How far from their places in the crop a transform puts the eyes of a face."""
        eyes = np.column_stack([face.eyes, np.ones(2)])
        return float(np.abs(eyes @ (transform - self.transform_of(face)).T).max())

    def distance_iod(self, face: FoundFace) -> float:
        """How far the eyes of a face are from where these are, in distances between these."""
        eyes = self._eyes_px()
        return float(np.hypot(*(face.eyes - eyes).T).max()) / self.iod_px

    def _eyes_px(self) -> NDArray[np.float64]:
        """(2, 2) Where the crop's eyes are in the picture."""
        back = cv2.invertAffineTransform(self.crop.transform)
        return self._eyes @ back[:, :2].T + back[:, 2]

    def transform_of(self, face: FoundFace) -> Matrix:
        """(2, 3) From image to crop pixels, by the eyes of a face."""
        return eye_transform(face.eyes[0], face.eyes[1], self._geometry)

    def looks(self, image: Image, face: FoundFace) -> Looks:
        """What a face of some frame looks like."""
        return Looks.of(crop_face(image, self.transform_of(face), self._geometry, "rgb"))

    def _cut(
        self, image: Image, grey: Image, transform: Matrix, rekeyed: bool, shift_px: NDArray[np.float32] | None
    ) -> FaceCrop:
        back = cv2.invertAffineTransform(transform)
        outline = (self._oval @ back[:, :2].T + back[:, 2]).astype(np.float32)
        # The whole picture was made grey for the alignment: its part need not be once more.
        picture = grey if self._colour == "grey" else image
        crop = crop_face(picture, transform, self._geometry, self._colour, shift_px)
        return FaceCrop(crop, transform, outline, rekeyed)
