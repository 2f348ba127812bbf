"""Made pictures of several people at places that are known, quickly drawn: photos cut out along the face, moved about."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.face.landmarks import FACE_OVAL, eye_centres
from train.synth.drawn import drawn_face
from train.synth.faces import FaceSource, astronaut

WIDTH_PX, HEIGHT_PX = 640, 360
IOD_PX = 50.0


@dataclass(frozen=True)
class At:
    """A person and where the middle between the eyes is, in pixels; `iod_px` between the eyes."""

    person: "Person"
    x_px: float
    y_px: float = 150.0
    iod_px: float = IOD_PX


class Person:
    """A face with its hair, cut out of a photo."""

    def __init__(self, face: FaceSource) -> None:
        self._image = face.image
        oval = face.landmarks[list(FACE_OVAL)]
        mask = np.zeros(face.image.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(oval).astype(np.int32)), (255,))
        left, right = eye_centres(face.landmarks)
        self._eyes, self._iod_px = (left + right) / 2, float(np.hypot(*(right - left)))
        reach = 2 * round(0.3 * self._iod_px) + 1
        self._mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))

    def put(self, picture: NDArray[np.uint8], at: At) -> None:
        scale = at.iod_px / self._iod_px
        matrix = np.array([[scale, 0, at.x_px - scale * self._eyes[0]], [0, scale, at.y_px - scale * self._eyes[1]]])
        size = (picture.shape[1], picture.shape[0])
        drawn = cv2.warpAffine(self._image, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.warpAffine(self._mask, matrix, size, flags=cv2.INTER_LINEAR) > 127
        picture[inside] = drawn[inside]


def two_people() -> tuple[Person, Person]:
    return Person(astronaut()), Person(drawn_face(0))


def picture(people: Sequence[At], noise_seed: int | None = None) -> NDArray[np.uint8]:
    """BGR uint8 (HEIGHT_PX, WIDTH_PX, 3); later people are in front of earlier ones."""
    made = _room().copy()
    for at in people:
        at.person.put(made, at)
    if noise_seed is not None:
        noise = np.random.default_rng(noise_seed).integers(0, 4, made.shape, np.uint8)
        made = cv2.add(made, noise)
    return made


@cache
def _room() -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    bands = [110 + 20 * np.sin(columns / 37 + k) + 15 * np.cos(rows / 53) for k in range(3)]
    return np.dstack(bands).astype(np.uint8)
