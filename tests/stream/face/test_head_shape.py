"""A head that turns: what its turn does to the picture is taken out, what the face does by itself is not."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from model.preprocess import Preprocessor, crop_face, eye_transform
from model.types import FaceCrop
from stream.events.motion import SKIN, MotionMeter
from stream.face.align import AlignSettings, MotionAligner
from stream.face.head_shape import HeadShape, Turn, turned_back
from stream.face.landmarks import FACE_OVAL, FaceMeshDetector, eye_centres
from tests.helpers.faces import portrait

GEOMETRY = CropGeometry()
CONTRACT = ClipContract(("a", "b"), input=NetworkInput("flow", 64), reference=Reference("ema", time_constant_s=2.0))
# The picture is made three times as fine as the crop that is cut out of it.
FINE = CropGeometry(384, 132.0, 126.0)
TIMES_S = np.arange(75) / 30
STILL = Turn()


@pytest.fixture(scope="module")
def head() -> tuple[NDArray[np.uint8], NDArray[np.float64], HeadShape]:
    """The portrait's face, its landmarks (468, 3) there, and its shape."""
    with FaceMeshDetector(static=True) as detector:
        found = detector.detect_with_depth(portrait())[0]
    transform = eye_transform(*eye_centres(found[:, :2]), FINE)
    picture = np.ascontiguousarray(crop_face(portrait(), transform, FINE, "rgb")[..., ::-1])
    scale = np.hypot(*transform[0, :2])
    landmarks = np.column_stack([found[:, :2] @ transform[:, :2].T + transform[:, 2], found[:, 2] * scale])
    return picture, landmarks, HeadShape(landmarks[:, :2], -landmarks[:, 2], FINE.size_px)


def shown(
    picture: NDArray[np.uint8], shape: HeadShape, turn: Turn, raised_px: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The face turned, its left inner brow raised so many crop pixels, as a noisy grey picture."""
    rows, columns = np.mgrid[: FINE.size_px, : FINE.size_px].astype(np.float32)
    moved = np.zeros((FINE.size_px, FINE.size_px, 2), np.float32) if turn.is_none else shape.shift_px(turn)
    assert moved is not None
    brow = np.exp(-((columns - 155) ** 2 + (rows - 76) ** 2) / (2 * 29.0**2))
    moved[..., 1] -= 3 * raised_px * brow
    # Where each pixel comes from: the inverse of where it goes, by repetition.
    back = np.zeros_like(moved)
    for _ in range(5):
        back = -cv2.remap(
            moved, columns + back[..., 0], rows + back[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    seen = cv2.remap(
        cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), columns + back[..., 0], rows + back[..., 1], cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.clip(seen + rng.normal(0, 2, seen.shape), 0, 255).astype(np.uint8)


def measured(
    head: tuple[NDArray[np.uint8], NDArray[np.float64], HeadShape],
    degrees: float,
    raised_px: float,
    rigid_steps: int = 3,
) -> tuple[NDArray[np.float32], list[Turn]]:
    """(frames, regions, 2) motion of a face that turns to and fro from 0.5 s on, raising a brow at 1.5 s; and the turns told."""
    picture, landmarks, shape = head
    rng, turns, motion = np.random.default_rng(0), [], []
    aligner, meter, preprocessor = (
        MotionAligner(GEOMETRY, AlignSettings(rigid_steps=rigid_steps)),
        MotionMeter(CONTRACT),
        Preprocessor(CONTRACT),
    )
    for number, time_s in enumerate(TIMES_S.tolist()):
        turn = Turn(np.radians(degrees) * np.sin(np.pi * max(time_s - 0.5, 0.0)))
        grey = shown(picture, shape, turn, raised_px * np.exp(-0.5 * ((time_s - 1.5) / 0.08) ** 2), rng)
        if number == 0:
            transform, shift_px = eye_transform(*eye_centres(landmarks[:, :2]), GEOMETRY), None
            aligner.rekey(grey, landmarks, transform)
        else:
            aligned = aligner.step(grey)
            assert aligned.tracked
            transform, shift_px = aligned.transform, aligned.shift_px
        crop = crop_face(grey, transform, GEOMETRY, "grey", shift_px)
        face = FaceCrop(crop, transform, np.zeros((3, 2), np.float32), rekeyed=number == 0)
        motion.append(meter.step(face, preprocessor.step(crop, time_s), time_s).regions_px)
        turns.append(aligner.turn)
    return np.array(motion), turns


def test_a_head_that_turns_leaves_little_behind(head):
    lengths = []
    for steps in (3, 0):
        motion, turns = measured(head, 10.0, 0.0, steps)
        lengths.append(np.hypot(*motion[15:, list(SKIN)].transpose(2, 0, 1)).max(axis=1))
        if steps:
            assert np.degrees(max(turn.yaw_rad for turn in turns)) == pytest.approx(10.0, abs=3.0)
    fitted, unfitted = lengths
    assert np.median(fitted) < 0.35 and np.median(fitted) < 0.4 * np.median(unfitted)


def test_what_the_face_does_by_itself_stays(head):
    kept = []
    for steps in (3, 0):
        still, raised = (measured(head, 0.0, px, steps)[0] for px in (0.0, 1.0))
        kept.append(np.hypot(*(raised - still)[40:51].transpose(2, 0, 1)).max())
    with_fit, without = kept
    assert without > 0.5 and with_fit >= 0.85 * without


def test_a_key_frame_of_a_turned_head_keeps_the_crop_in_place(head):
    picture, landmarks, shape = head
    turn, rng = Turn(np.radians(8.0), np.radians(-3.0)), np.random.default_rng(1)
    straight, turned = (shown(picture, shape, way, 0.0, rng) for way in (STILL, turn))
    transform = eye_transform(*eye_centres(landmarks[:, :2]), GEOMETRY)
    aligner = MotionAligner(GEOMETRY)
    aligner.rekey(straight, landmarks, transform)
    for part in np.linspace(0.1, 1.0, 10):
        way = Turn(part * turn.yaw_rad, part * turn.pitch_rad)
        before = aligner.step(shown(picture, shape, way, 0.0, rng))
    # Where the landmarks are in the turned picture, as a detector would find them.
    shift = shape.shift_px(aligner.turn)
    assert shift is not None
    at = landmarks.copy()
    at[:, :2] += HeadShape.at(shift, landmarks[:, :2])
    aligner.rekey(turned, at, before.transform, before.turn)
    after = aligner.step(turned)
    crops = [crop_face(turned, a.transform, GEOMETRY, "grey", a.shift_px).astype(float) for a in (before, after)]
    assert after.turn.yaw_rad == pytest.approx(before.turn.yaw_rad, abs=np.radians(1.0))
    moved, _ = cv2.phaseCorrelate(*(crop[24:104, 24:104].astype(np.float32) for crop in crops))
    assert np.hypot(*moved) < 0.3
    assert np.abs(crops[0] - crops[1])[24:104, 24:104].mean() < 5.0


ANGLES = st.floats(-0.5, 0.5)


@given(ANGLES, ANGLES, st.integers(0, 2**32 - 1))
def test_turned_back_undoes_a_turn(yaw_rad, pitch_rad, seed):
    rng, turn = np.random.default_rng(seed), Turn(yaw_rad, pitch_rad)
    points, depths_px = rng.uniform(0, 128, (468, 2)), rng.normal(0, 12, 468)
    yaw = np.array([[np.cos(yaw_rad), 0, np.sin(yaw_rad)], [0, 1, 0], [-np.sin(yaw_rad), 0, np.cos(yaw_rad)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(pitch_rad), -np.sin(pitch_rad)], [0, np.sin(pitch_rad), np.cos(pitch_rad)]])
    middle = np.array([*points[list(FACE_OVAL)].mean(axis=0), depths_px.mean()])
    turned = (np.column_stack([points, depths_px]) - middle) @ (pitch @ yaw).T + middle
    back, depths_back = turned_back(turned[:, :2], turned[:, 2], turn)
    # The middle is taken of what is seen: what comes back may lie beside its place as a whole.
    spread = np.column_stack([back, depths_back]) - np.column_stack([points, depths_px])
    assert np.ptp(spread, axis=0) == pytest.approx(0.0, abs=1e-6)


def test_without_a_turn_nothing_is_moved(head):
    _, landmarks, shape = head
    assert STILL.is_none and shape.shift_px(STILL) is None
    points, depths_px = turned_back(landmarks[:, :2], landmarks[:, 2], STILL)
    assert np.array_equal(points, landmarks[:, :2]) and np.array_equal(depths_px, landmarks[:, 2])


@pytest.mark.parametrize("turn", [Turn(0.15, 0.0), Turn(0.0, -0.12), Turn(-0.1, 0.1)])
def test_the_fit_finds_the_turn_that_points_tell(head, turn):
    """With a tenth of them moving by themselves."""
    shape = head[2]
    rng = np.random.default_rng(4)
    points = rng.uniform(90, 300, (250, 2)).astype(np.float32)
    shift = shape.shift_px(turn)
    assert shift is not None
    seen = points + HeadShape.at(shift, points) + rng.normal(0, 0.05, points.shape)
    seen[::10] += (6.0, -5.0)
    similarity, found = shape.fit(points, seen, np.eye(2, 3), STILL, outlier_px=3.0, steps=12)
    assert (found.yaw_rad, found.pitch_rad) == pytest.approx((turn.yaw_rad, turn.pitch_rad), abs=0.02)
    assert similarity == pytest.approx(np.eye(2, 3), abs=0.02 * 150)


def plain_fit(
    shape: HeadShape, points: NDArray, seen: NDArray, start: NDArray, turn: Turn, outlier_px: float, steps: int
) -> tuple[NDArray, Turn]:
    """`HeadShape.fit` as it reads: all equations of all points, weighted and solved."""
    depth = HeadShape.at(shape._depth[..., np.newaxis], points)[:, 0].astype(float)
    (x, y), (u, v) = (points - shape._centre).astype(float).T, seen.astype(float).T
    ones, zeros = np.ones_like(u), np.zeros_like(u)
    linear = np.concatenate([np.stack([u, -v, ones, zeros], 1), np.stack([v, u, zeros, ones], 1)])
    known = np.array([start[0, 0], start[1, 0], start[0, 2], start[1, 2]])
    yaw, pitch, spread = turn.yaw_rad, turn.pitch_rad, max(depth.std(), 1.0)
    for _ in range(steps):
        across = x * np.cos(yaw) + depth * np.sin(yaw)
        near = depth * np.cos(yaw) - x * np.sin(yaw)
        down = y * np.cos(pitch) - near * np.sin(pitch)
        rest = np.concatenate([across + shape._centre[0], down + shape._centre[1]]) - linear @ known
        off = np.hypot(*rest.reshape(2, -1)) / outlier_px
        weight = np.tile(np.where(off < 1, (1 - off**2) ** 2, 0.0), 2)[:, np.newaxis]
        by_yaw = np.concatenate([near, across * np.sin(pitch)])
        by_pitch = np.concatenate([zeros, -y * np.sin(pitch) - near * np.cos(pitch)])
        rows = np.column_stack([linear, -by_yaw / spread, -by_pitch / spread])
        ridge = np.diag([0.0] * 4 + [1e-3] * 2) * len(u)
        change = np.linalg.solve(rows.T @ (rows * weight) + ridge, (rows * weight).T @ rest)
        known, yaw, pitch = known + change[:4], yaw + change[4] / spread, pitch + change[5] / spread
    a, b, s, t = known
    return np.array([[a, -b, s], [b, a, t]]), Turn(yaw, pitch)


@pytest.mark.parametrize("seed", range(6))
def test_the_fit_is_the_plain_one(head, seed):
    shape, rng = head[2], np.random.default_rng(seed)
    points = rng.uniform(90, 300, (int(rng.integers(40, 250)), 2)).astype(np.float32)
    turn = Turn(*rng.normal(0, 0.1, 2))
    shift = shape.shift_px(turn)
    assert shift is not None
    seen = points + HeadShape.at(shift, points) + rng.normal(0, 0.3, points.shape)
    seen[::7] += rng.normal(0, 8, seen[::7].shape)
    near = Turn(turn.yaw_rad + 0.02, turn.pitch_rad - 0.01)
    similarity, found = shape.fit(points, seen, np.eye(2, 3), near, outlier_px=3.0, steps=3)
    plain, plain_turn = plain_fit(shape, points, seen, np.eye(2, 3), near, outlier_px=3.0, steps=3)
    np.testing.assert_allclose(similarity, plain, rtol=0, atol=1e-9)
    assert (found.yaw_rad, found.pitch_rad) == pytest.approx((plain_turn.yaw_rad, plain_turn.pitch_rad), abs=1e-11)


def test_points_that_tell_nothing_leave_the_fit_where_it_was(head):
    """All at one place, and all far off: there is nothing to be solved."""
    shape, start = head[2], np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]])
    same = np.full((60, 2), 150.0, np.float32)
    for points, seen in ((same, same), (same, same + 500.0)):
        similarity, turn = shape.fit(points, seen, start, STILL, outlier_px=3.0, steps=3)
        assert np.isfinite(similarity).all() and np.isfinite([turn.yaw_rad, turn.pitch_rad]).all()
    np.testing.assert_array_equal(similarity, start)


@pytest.mark.parametrize("turn", [Turn(0.15, 0.0), Turn(0.0, -0.12), Turn(-0.1, 0.1)])
def test_a_turn_moves_every_pixel_as_its_depth_says(head, turn):
    shape = head[2]
    x, y = np.meshgrid(*(np.arange(FINE.size_px) - centre for centre in shape._centre))
    yaw, pitch, depth = turn.yaw_rad, turn.pitch_rad, shape._depth.astype(float)
    near = depth * np.cos(yaw) - x * np.sin(yaw)
    moved = [x * np.cos(yaw) + depth * np.sin(yaw) - x, y * np.cos(pitch) - near * np.sin(pitch) - y]
    first, again = shape.shift_px(turn), shape.shift_px(turn)
    np.testing.assert_allclose(first, np.stack(moved, axis=-1), atol=1e-4)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize("scale", [0.2, 0.7, 1.6])
def test_no_shift_is_the_plain_crop(colour, scale):
    transform = np.array([[scale, 0.05, -180.3 * scale], [-0.05, scale, -60.7 * scale]])
    none = np.zeros((GEOMETRY.size_px, GEOMETRY.size_px, 2), np.float32)
    # Both round places to a part of a pixel, each its own way: next to a sharp edge that is seen.
    smooth = cv2.GaussianBlur(portrait(), (0, 0), 3.0 / scale)
    plain, shifted = (crop_face(smooth, transform, GEOMETRY, colour, shift) for shift in (None, none))
    assert plain.shape == shifted.shape
    assert np.abs(plain.astype(int) - shifted.astype(int)).max() <= 1


def test_a_shift_is_in_crop_pixels():
    transform = np.array([[0.8, 0.0, -120.0], [0.0, 0.8, -40.0]])
    shift = np.broadcast_to(np.array([5.0, -3.0], np.float32), (128, 128, 2))
    smooth = cv2.GaussianBlur(portrait(), (0, 0), 4.0)
    moved = crop_face(smooth, transform - np.array([[0, 0, 5.0], [0, 0, -3.0]]), GEOMETRY, "grey")
    shifted = crop_face(smooth, transform, GEOMETRY, "grey", np.ascontiguousarray(shift))
    assert np.abs(moved.astype(int) - shifted.astype(int)).max() <= 1
