"""Face landmarks by MediaPipe Face Mesh: 468 points a face, in image pixels, and what they say of the eyes and the turn
of a head."""

import importlib
import importlib.util
import math
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from model.errors import MicroliveError
from model.quiet import native_log_held_back
from model.types import Image

# Face Mesh ids: eye corners (outer, inner) of the image's left and right eye, and the face oval in drawing order.
LEFT_EYE_CORNERS = (33, 133)
RIGHT_EYE_CORNERS = (263, 362)
LEFT_EYE_RING = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
RIGHT_EYE_RING = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
MOUTH_CORNERS = (61, 291)
NOSE_TIP = 1
_SIDEWAYS_PX = 256
"""Of the picture in which a face is turned on its side."""
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_LOADING = threading.Lock()
_EAGER_PACKAGES = ("mediapipe", "mediapipe.tasks", "mediapipe.python.solutions")
"""Those whose `__init__` imports more than is needed."""


def eye_centres(landmarks: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres of the image's left and right eye, (2,) px each: midpoints of the eye corners, which a blink leaves in place."""
    points = landmarks.astype(np.float64)
    return points[list(LEFT_EYE_CORNERS)].mean(axis=0), points[list(RIGHT_EYE_CORNERS)].mean(axis=0)


@dataclass(frozen=True)
class HeadTurn:
    """How far a face looks away from the camera, from where the tip of the nose is seen. Roll and size do not count.

    `yaw`: its way sideways from the middle between the eyes, in distances between the eyes; about .66 tan(yaw), 0 is
    frontal. `pitch`: its way down, in distances from the eyes to the mouth; about .56 + .01 a degree downwards. Measured
    on photos and videos against the depth that Face Mesh gives (correlations .97 and .9). People differ in pitch by
    ±.1, so only a clear one tells; of a full profile Face Mesh makes something frontal, which this cannot tell.
    """

    yaw: float
    pitch: float


def head_turn(landmarks: NDArray[np.float32]) -> HeadTurn:
    """From landmarks (468, 2); the eyes must not coincide."""
    left, right = eye_centres(landmarks)
    points = landmarks.astype(np.float64)
    across = right - left
    iod_px = float(np.hypot(*across))
    across = across / iod_px
    down = np.array([-across[1], across[0]])
    nose = points[NOSE_TIP] - (left + right) / 2
    mouth = points[list(MOUTH_CORNERS)].mean(axis=0) - (left + right) / 2
    return HeadTurn(float(nose @ across) / iod_px, float(nose @ down) / max(float(mouth @ down), 1e-6 * iod_px))


def roll_deg(landmarks: NDArray[np.float32]) -> float:
    """How far the eyes' line of landmarks (468, 2) is turned, clockwise in the picture, -180 to 180."""
    left, right = eye_centres(landmarks)
    across = right - left
    return math.degrees(math.atan2(across[1], across[0]))


class FaceMeshDetector:
    """Face Mesh on BGR pictures. `static` treats every picture on its own (photos); else faces are followed (video).

    `refine_landmarks` stays off: it jitters a third more and costs more. MediaPipe does not outlive a fork: in a process
    forked after its first use, `require_own_process` raises MicroliveError instead of waiting for threads that are not there.
    """

    _process: int | None = None

    @classmethod
    def require_own_process(cls) -> None:
        if cls._process not in (None, os.getpid()):
            raise MicroliveError(
                "faces have been looked for before this process was forked, and MediaPipe cannot go on in a fork: start "
                'processes before the first frame, or with multiprocessing.get_context("spawn")'
            )

    def __init__(self, static: bool = False, max_faces: int = 1, min_confidence: float = 0.5) -> None:
        self.require_own_process()
        FaceMeshDetector._process = os.getpid()
        face_mesh = load_face_mesh_class()
        with native_log_held_back(shown_on_error=True):
            self._mesh: Any = face_mesh(
                static_image_mode=static,
                max_num_faces=max_faces,
                refine_landmarks=False,
                min_detection_confidence=min_confidence,
                min_tracking_confidence=min_confidence,
            )
            # The first face is what makes the native code load its models and speak of them; an empty picture after it
            # leaves nothing to be followed.
            for picture in (drawn_face(), np.zeros((240, 200, 3), np.uint8)):
                self._mesh.process(picture)

    def detect(self, image: Image) -> list[NDArray[np.float32]]:
        """Landmarks (468, 2) float32 in pixels for every face of a BGR picture (height, width, 3), largest face first."""
        return [points[:, :2] for points in self.detect_with_depth(image)]

    def detect_with_depth(self, image: Image) -> list[NDArray[np.float32]]:
        """As `detect`, (468, 3): with each point's distance from the camera in pixels, from the middle of the head."""
        self.require_own_process()
        height, width = image.shape[:2]
        found = self._mesh.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).multi_face_landmarks or []
        faces = [
            np.array([(p.x * width, p.y * height, p.z * width) for p in face.landmark], np.float32) for face in found
        ]
        return sorted(faces, key=_box_area, reverse=True)

    def is_upside_down(self, image: Image, landmarks: NDArray[np.float32]) -> bool:
        """Whether a face that was found in a BGR picture, landmarks (468, 2), is the other way round.

        On a face that stands on its head Face Mesh puts a mesh that does not. One that lies on its side it sees as it is,
        so the picture is turned until the face lies on the one side, then on the other, and both are asked. Of 42 photos
        none was taken for one upside down, and of 153 turned by 120 to 180 degrees all but 6 were told.
        """
        middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2
        face_px = float(np.ptp(landmarks, axis=0).max())
        scale, differences_deg = _SIDEWAYS_PX / (2 * face_px), list[float]()
        for side_deg in (90.0, -90.0):
            turn = cv2.getRotationMatrix2D(middle.tolist(), roll_deg(landmarks) - side_deg, scale)
            turn[:, 2] += _SIDEWAYS_PX / 2 - middle
            size = (_SIDEWAYS_PX, _SIDEWAYS_PX)
            found = self.detect(
                cv2.warpAffine(image, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            )
            off_px = [float(np.hypot(*(face.mean(axis=0) - _SIDEWAYS_PX / 2))) for face in found]
            if found and min(off_px) < 0.5 * scale * face_px:
                nearest = found[int(np.argmin(off_px))]
                differences_deg.append(abs((roll_deg(nearest) - side_deg + 180) % 360 - 180))
        # Of an upright face one of the two may be wrong, but not both.
        return bool(differences_deg) and (sum(differences_deg) / len(differences_deg) > 90 or min(differences_deg) > 28)

    def close(self) -> None:
        if self._process == os.getpid():
            self._mesh.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _box_area(landmarks: NDArray[np.float32]) -> float:
    width, height = np.ptp(landmarks[:, :2], axis=0)
    return float(width * height)


def drawn_face() -> Image:
    """A face of a few ellipses that Face Mesh takes for one, (240, 200, 3); not square, which it remarks on once."""
    picture = np.full((240, 200, 3), 200, np.uint8)
    cv2.ellipse(picture, (100, 120), (62, 84), 0, 0, 360, (150, 170, 215), -1)
    for x in (76, 124):
        cv2.ellipse(picture, (x, 100), (12, 6), 0, 0, 360, (245, 245, 245), -1)
        cv2.circle(picture, (x, 100), 5, (60, 40, 30), -1)
        cv2.ellipse(picture, (x, 84), (16, 4), 0, 180, 360, (50, 40, 40), 3)
    cv2.line(picture, (100, 104), (96, 134), (120, 140, 185), 2)
    cv2.ellipse(picture, (100, 136), (12, 5), 0, 0, 180, (110, 130, 175), 2)
    cv2.ellipse(picture, (100, 160), (24, 7), 0, 0, 360, (90, 80, 170), -1)
    return picture


def load_face_mesh_class() -> Any:
    """The class `mediapipe.python.solutions.face_mesh.FaceMesh`, alone; ImportError when MediaPipe is not installed.

    `import mediapipe` also imports its other solutions, its task API and with that TensorFlow, JAX and Matplotlib where
    they are installed: seconds of start-up and hundreds of megabytes that a live program has no use for. Here the packages
    whose `__init__` does that are stood in for by empty ones with the same path. A program that wants all of MediaPipe
    beside this one imports it first; it is then used as it is.
    """
    with _LOADING:
        if "mediapipe" not in sys.modules:
            spec = importlib.util.find_spec("mediapipe")
            if spec is None or not spec.submodule_search_locations:
                raise ImportError("MediaPipe is not installed: run `make install`")
            root = Path(next(iter(spec.submodule_search_locations)))
            sys.modules.update({name: _empty_package(name, root) for name in _EAGER_PACKAGES})
        return importlib.import_module("mediapipe.python.solutions.face_mesh").FaceMesh


def _empty_package(name: str, root: Path) -> ModuleType:
    package = ModuleType(name, "Stands in for a package that imports more than is needed.")
    package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    return package
