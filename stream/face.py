"""The face of a video, frame by frame: found by Face Mesh, tied together by motion, given out as aligned crops.

Face Mesh is needed to start, when the tracks break, and now and then to see that there is still a face and that the
crop has not drifted off it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, Colour
from model.preprocess import Matrix, crop_face, eye_transform
from model.types import FaceCrop, Frame, Image, Status
from stream.align import MotionAligner
from stream.landmarks import FACE_OVAL, FaceMeshDetector, eye_centres


@dataclass(frozen=True)
class FaceSettings:
    """`min_iod_px`: smaller faces (between the eyes, in image pixels) get no answer.

    `check_every_s`: how often Face Mesh looks again while the tracks hold. `max_drift_px`: distance in crop pixels
    between the eyes as tracked and as found by Face Mesh over which the alignment starts anew.
    """

    min_iod_px: float = 18.0
    check_every_s: float = 1.0
    max_drift_px: float = 6.0


@dataclass(frozen=True, eq=False)
class FaceObservation:
    """`status` is `ok` with a face, else the reason why there is none."""

    status: Status
    face: FaceCrop | None


class FaceTracker:
    """Follows the largest face. `step` takes frames in order; `reset()` forgets it. Needs `close()`."""

    def __init__(self, contract: ClipContract, settings: FaceSettings | None = None) -> None:
        self._geometry = contract.crop
        self._colour: Colour = contract.input.colour
        self._settings = settings or FaceSettings()
        # Asked now and then only, Face Mesh must look for the face afresh: where it was when last asked is long past.
        self._detector = FaceMeshDetector(static=True)
        self._aligner = MotionAligner(contract.crop)
        self.reset()

    def reset(self) -> None:
        self._aligner.reset()
        self._checked_s = 0.0
        # The face oval in crop pixels, as it was in the key frame.
        self._oval = np.empty((0, 2), np.float64)

    def close(self) -> None:
        self._detector.close()

    def step(self, frame: Frame) -> FaceObservation:
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        if not self._aligner.keyed:
            return self._start(frame, grey)
        alignment = self._aligner.step(grey)
        if not alignment.tracked:
            return self._start(frame, grey)
        if frame.time_s - self._checked_s >= self._settings.check_every_s:
            return self._check(frame, grey, alignment.transform)
        return FaceObservation("ok", self._crop(frame.image, alignment.transform, rekeyed=False))

    def _start(self, frame: Frame, grey: Image) -> FaceObservation:
        """Looks for a face and makes this frame the key frame, with no tie to the frames before."""
        was_keyed = self._aligner.keyed
        self._aligner.reset()
        landmarks = self._find(frame)
        if landmarks is None:
            # Frames in which a tracked face breaks off are told apart from frames where nobody is.
            return FaceObservation("tracking_lost" if was_keyed else "no_face", None)
        left, right = eye_centres(landmarks)
        if np.hypot(*(right - left)) < self._settings.min_iod_px:
            return FaceObservation("face_too_small", None)
        transform = eye_transform(left, right, self._geometry)
        self._key(grey, landmarks, transform)
        return FaceObservation("ok", self._crop(frame.image, transform, rekeyed=True))

    def _check(self, frame: Frame, grey: Image, transform: Matrix) -> FaceObservation:
        """Face Mesh looks again; the alignment starts anew when it has drifted off the eyes."""
        landmarks = self._find(frame)
        if landmarks is None:
            self._aligner.reset()
            return FaceObservation("no_face", None)
        wanted = eye_transform(*eye_centres(landmarks), self._geometry)
        eyes = np.column_stack([np.vstack(eye_centres(landmarks)), np.ones(2)])
        drift_px = float(np.abs(eyes @ transform.T - eyes @ wanted.T).max())
        if drift_px > self._settings.max_drift_px:
            self._key(grey, landmarks, wanted)
            return FaceObservation("ok", self._crop(frame.image, wanted, rekeyed=True))
        return FaceObservation("ok", self._crop(frame.image, transform, rekeyed=False))

    def _find(self, frame: Frame) -> NDArray[np.float32] | None:
        self._checked_s = frame.time_s
        faces = self._detector.detect(frame.image)
        return faces[0] if faces else None

    def _key(self, grey: Image, landmarks: NDArray[np.float32], transform: Matrix) -> None:
        self._aligner.rekey(grey, landmarks, transform)
        self._oval = landmarks[list(FACE_OVAL)].astype(np.float64) @ transform[:, :2].T + transform[:, 2]

    def _crop(self, image: Image, transform: Matrix, rekeyed: bool) -> FaceCrop:
        back = cv2.invertAffineTransform(transform)
        outline = (self._oval @ back[:, :2].T + back[:, 2]).astype(np.float32)
        return FaceCrop(crop_face(image, transform, self._geometry, self._colour), transform, outline, rekeyed)
