"""Which faces can be read: how turned, how small, how sharp."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events.motion import light_and_detail
from stream.face.landmarks import LEFT_EYE_RING, NOSE_TIP, RIGHT_EYE_RING, FaceMeshDetector, head_turn
from stream.face.quality import BlurGate, ValiditySettings
from tests.helpers.faces import folder_of_faces, portrait
from train.synth.faces import astronaut

SETTINGS = ValiditySettings()
FACE = astronaut().landmarks
CROP = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)[40:168, 160:288]


def blurred(crop: np.ndarray, sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(crop, (0, 0), sigma_px)


def run(crops: list[np.ndarray], fps: float = 30.0) -> list[bool]:
    gate = BlurGate(SETTINGS)
    return [gate.step(*reversed(light_and_detail(crop)), time_s=i / fps) for i, crop in enumerate(crops)]


def test_a_face_that_looks_into_the_camera_is_not_turned():
    turn = head_turn(FACE)
    assert abs(turn.yaw) < 0.15 and 0.5 < turn.pitch < 0.75
    assert not SETTINGS.is_turned(turn)


@settings(deadline=None)
@given(degrees=st.floats(-180, 180), scale=st.floats(0.1, 10), dx=st.floats(-500, 500), dy=st.floats(-500, 500))
def test_roll_size_and_place_do_not_count(degrees, scale, dx, dy):
    matrix = cv2.getRotationMatrix2D((0, 0), degrees, scale)
    placed = (FACE @ matrix[:, :2].T + (dx, dy)).astype(np.float32)
    turn, moved = head_turn(FACE), head_turn(placed)
    assert (moved.yaw, moved.pitch) == pytest.approx((turn.yaw, turn.pitch), abs=0.01)


@pytest.mark.parametrize(("sideways", "down"), [(0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.4)])
def test_a_nose_that_points_away_is_turned(sideways, down):
    eyes = [FACE[list(ring)].mean(axis=0) for ring in (LEFT_EYE_RING, RIGHT_EYE_RING)]
    away = FACE.copy()
    away[NOSE_TIP] += float(np.hypot(*(eyes[1] - eyes[0]))) * np.array([sideways, down], np.float32)
    assert SETTINGS.is_turned(head_turn(away))


def test_people_who_look_into_a_camera_are_not_turned():
    """Users' own photos, where MICROLIVE_FACES names a folder with `photos`."""
    with FaceMeshDetector(static=True) as detector:
        found = [detector.detect(cv2.imread(str(path))) for path in sorted(folder_of_faces("photos").glob("*.jpg"))]
    assert not [faces for faces in found if faces and SETTINGS.is_turned(head_turn(faces[0]))]


def test_place():
    assert SETTINGS.of_place(40.0, turned=False) == "ok"
    assert SETTINGS.of_place(40.0, turned=True) == "face_turned"
    assert SETTINGS.of_place(10.0, turned=True) == "face_too_small"
    # A face that was large enough to be followed is not let go for a little less.
    assert SETTINGS.of_place(0.95 * SETTINGS.min_iod_px, turned=False) == "ok"


@pytest.mark.parametrize("fps", [15.0, 30.0, 120.0])
def test_a_blurred_stretch_is_blurred_and_what_follows_is_not(fps):
    second = round(fps)
    found = run([CROP] * 4 * second + [blurred(CROP, 2.0)] * second + [CROP] * second, fps)
    assert not any(found[: 4 * second])
    assert all(found[4 * second + second // 4 : 5 * second])
    assert not any(found[5 * second + second // 4 :])


def test_one_blurred_frame_is_none():
    assert not any(run([CROP] * 90 + [blurred(CROP, 2.0)] + [CROP] * 30))


def test_a_darker_face_is_not_blurred():
    dark = (CROP * 0.4).astype(np.uint8)
    assert not any(run([CROP] * 90 + [dark] * 30))


def test_what_stays_blurred_becomes_the_faces_own():
    found = run([CROP] * 90 + [blurred(CROP, 2.0)] * 30 * 30)
    assert found[110] and not found[-1]
