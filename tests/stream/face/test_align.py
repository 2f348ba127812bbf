"""The live alignment: steady on a still face, true under head motion, no jump when it renews itself."""

import cv2
import numpy as np
import pytest

from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from model.preprocess import eye_transform
from model.types import Frame
from stream.face.align import MotionAligner
from stream.face.landmarks import FaceMeshDetector, eye_centres
from stream.face.quality import ValiditySettings
from stream.face.tracker import FaceTracker
from tests.helpers.faces import moved, noisy, portrait

CONTRACT = ClipContract(("a", "b"), input=NetworkInput("flow", 64), reference=Reference("ema", time_constant_s=2.0))


@pytest.fixture(scope="module")
def landmarks() -> np.ndarray:
    with FaceMeshDetector(static=True) as detector:
        return detector.detect_with_depth(portrait())[0]


def track(frames: list[np.ndarray]) -> list[np.ndarray]:
    tracker = FaceTracker(CONTRACT, ValiditySettings())
    try:
        observed = [tracker.step(Frame(i, i / 30, image, 0.0)) for i, image in enumerate(frames)]
    finally:
        tracker.close()
    assert all(len(o.faces) == 1 for o in observed)
    assert [o.faces[0].face.rekeyed for o in observed] == [True] + [False] * (len(frames) - 1)
    return [o.faces[0].face.transform for o in observed]


def eye_points(landmarks: np.ndarray) -> np.ndarray:
    """Three points of the face, homogeneous (3, 3)."""
    return np.column_stack([np.vstack([*eye_centres(landmarks[:, :2]), landmarks[152, :2].astype(float)]), np.ones(3)])


def test_a_still_face_does_not_jitter(landmarks: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    transforms = track([noisy(portrait(), rng) for _ in range(45)])
    placed = np.array([eye_points(landmarks) @ t.T for t in transforms])
    assert (placed - placed.mean(axis=0)).std() < 0.05


def test_head_motion_is_taken_out(landmarks: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    per_crop_px = np.hypot(*(np.subtract(*eye_centres(landmarks[:, :2])))) / 44.0
    frames, truth = [], []
    for i in range(60):
        picture, matrix = moved(
            portrait(),
            3 * per_crop_px * np.sin(i / 9),
            2 * per_crop_px * np.sin(i / 13),
            2 * np.sin(i / 15),
            1 + 0.02 * np.sin(i / 11),
        )
        frames.append(noisy(picture, rng))
        truth.append(matrix)
    points = eye_points(landmarks)
    placed = np.array(
        [np.column_stack([points @ m.T, np.ones(3)]) @ t.T for m, t in zip(truth, track(frames), strict=True)]
    )
    assert np.sqrt(((placed - placed[0]) ** 2).mean()) < 0.3


def test_a_renewed_key_frame_does_not_make_the_crop_jump(landmarks: np.ndarray) -> None:
    """A face that turns and grows far beyond what one key frame covers."""
    aligner = MotionAligner(CropGeometry())
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    aligner.rekey(grey, landmarks, eye_transform(*eye_centres(landmarks[:, :2]), CropGeometry()))
    points = eye_points(landmarks)
    placed = []
    for i in range(50):
        picture, matrix = moved(grey, 1.0 * i, 0.3 * i, degrees=0.8 * i, scale=1 + 0.012 * i)
        alignment = aligner.step(picture)
        assert alignment.tracked
        placed.append(np.column_stack([points @ matrix.T, np.ones(3)]) @ alignment.transform.T)
    steps = np.abs(np.diff(placed, axis=0))
    assert steps.max() < 0.3
    assert np.abs(placed[-1] - placed[0]).max() < 1.5


def test_another_picture_is_not_taken_for_the_same_face(landmarks: np.ndarray) -> None:
    aligner = MotionAligner(CropGeometry())
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    aligner.rekey(grey, landmarks, eye_transform(*eye_centres(landmarks[:, :2]), CropGeometry()))
    noise = np.random.default_rng(3).integers(0, 256, grey.shape, dtype=np.uint8)
    assert not aligner.step(noise).tracked
    assert not aligner.step(np.full_like(grey, 90)).tracked


def test_stepping_without_a_key_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="rekey"):
        MotionAligner(CropGeometry()).step(np.zeros((64, 64), np.uint8))


def test_nobody_then_somebody_then_nobody() -> None:
    tracker = FaceTracker(CONTRACT, ValiditySettings())
    empty = np.full((512, 512, 3), 80, np.uint8)
    pictures = [empty, portrait(), portrait(), empty, empty, portrait()]
    try:
        seen = [tracker.step(Frame(i, i / 30, picture, 0.0)) for i, picture in enumerate(pictures)]
    finally:
        tracker.close()
    assert [o.absence for o in seen if not o.faces] == ["no_face", "tracking_lost", "no_face"]
    assert [len(o.faces) for o in seen] == [0, 1, 1, 0, 0, 1]
    # It is the same person who comes back, at the same place.
    assert [(f.track, f.face.rekeyed) for o in seen for f in o.faces] == [(1, True), (1, False), (1, False)]


def test_a_small_face_gets_a_reason() -> None:
    tracker = FaceTracker(CONTRACT, ValiditySettings())
    try:
        small = cv2.resize(portrait(), (160, 160), interpolation=cv2.INTER_AREA)
        seen = tracker.step(Frame(0, 0.0, small, 0.0))
        assert not seen.faces and seen.absence in ("face_too_small", "no_face")
    finally:
        tracker.close()
