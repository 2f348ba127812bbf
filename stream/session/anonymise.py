"""Landmarks in place of people: nothing of the camera's picture is kept."""

import threading
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import FrameResult, Image
from stream.face.landmarks import FACE_OVAL, LEFT_EYE_RING, RIGHT_EYE_RING, FaceMeshDetector
from stream.health import Health
from stream.history import LiveHistory
from stream.screen.overlay import Overlay
from stream.screen.paint import CALM

# Face Mesh ids of closed (rings) and open lines, in drawing order; left and right are the picture's.
_LIPS = (
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
_BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
_NOSE = ((168, 6, 197, 195, 5, 4, 1), (98, 97, 2, 326, 327))
_RINGS = (FACE_OVAL, LEFT_EYE_RING, RIGHT_EYE_RING, *_LIPS, *_BROWS)


class Anonymiser:
    """Draws a frame's landmarks on black. The whole picture is replaced, not only the faces that are followed: a face that
    nobody found would otherwise be kept.

    Any thread may ask; the newest drawing is kept for the next one who asks for the same frame. A context manager.
    """

    def __init__(self, max_faces: int) -> None:
        self._mesh = FaceMeshDetector(max_faces=max_faces)
        self._lock = threading.Lock()
        self._newest: tuple[Image, Image] | None = None

    def picture(self, image: Image) -> Image:
        """A new BGR picture of the same size."""
        with self._lock:
            if self._newest is None or self._newest[0] is not image:
                self._newest = (image, landmark_picture(image.shape, self._mesh.detect(image)))
            return self._newest[1].copy()

    def result(self, result: FrameResult) -> FrameResult:
        """The same result with the drawing for a picture."""
        return replace(result, frame=replace(result.frame, image=self.picture(result.frame.image)))

    def close(self) -> None:
        with self._lock:
            self._mesh.close()

    def __enter__(self) -> "Anonymiser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def landmark_picture(shape: tuple[int, ...], faces: list[NDArray[np.float32]]) -> Image:
    """Contours of faces (468, 2) in pixels on black, of a picture's shape (height, width, 3)."""
    picture: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    for landmarks in faces:
        points = np.rint(landmarks).astype(np.int32)
        cv2.polylines(picture, [points[list(ring)] for ring in _RINGS], True, CALM, 1, cv2.LINE_AA)
        cv2.polylines(picture, [points[list(line)] for line in _NOSE], False, CALM, 1, cv2.LINE_AA)
    return picture


class FacelessOverlay(Overlay):
    """The overlay on landmarks instead of the picture."""

    def __init__(self, anonymiser: Anonymiser, *args: Any) -> None:
        super().__init__(*args)
        self._anonymiser = anonymiser

    def draw(self, result: FrameResult, history: LiveHistory, health: Health) -> Image:
        return super().draw(self._anonymiser.result(result), history, health)
