"""What moves in an aligned face: regions, the meter, the trace of the last seconds, the noise at rest."""

import math
from collections import deque
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from model.preprocess import crop_face, eye_transform
from model.types import FaceCrop
from stream.events.bumps import NoiseFloor
from stream.events.motion import EYES, REGIONS, SKIN, Motion, MotionMeter, MotionResampler, MotionTrace, RegionMeter
from tests.helpers.faces import portrait
from tests.helpers.movements import motion_of

NAMES = tuple(REGIONS)
GEOMETRY = CropGeometry()
FLOW = ClipContract(("a", "b"), input=NetworkInput("flow", 64), reference=Reference("ema", time_constant_s=2.0))
PIXELS = ClipContract(("a", "b"), input=NetworkInput("pixels", 64))
OTHERS = {
    "pixels": PIXELS,
    "rgb": ClipContract(("a", "b"), input=NetworkInput("pixels", 64, "rgb")),
    "difference": ClipContract(
        ("a", "b"), input=NetworkInput("difference", 96), reference=Reference("ema", time_constant_s=2.0)
    ),
    "flow against a moment ago": ClipContract(
        ("a", "b"), input=NetworkInput("flow", 64), reference=Reference("lag", lag_s=0.2)
    ),
}


def flow_with(region: str, vector: tuple[float, float], geometry: CropGeometry, size_px: int) -> np.ndarray:
    """A flow field (size, size, 3) that is zero but for one region; the third channel must not matter."""
    x, y, half_width, half_height = REGIONS[region]
    scale = size_px / geometry.size_px
    iod, eyes = geometry.iod_px * scale, geometry.eye_line_px * scale
    rows, columns = np.mgrid[:size_px, :size_px] + 0.5
    inside = (abs(columns - size_px / 2 - x * iod) < half_width * iod) & (
        abs(rows - eyes - y * iod) < half_height * iod
    )
    flow = np.zeros((size_px, size_px, 3), np.float32)
    flow[inside, :2] = vector
    flow[..., 2] = 100.0
    return flow


def face(crop: np.ndarray, transform: np.ndarray | None = None) -> FaceCrop:
    return FaceCrop(crop, np.eye(2, 3) if transform is None else transform, np.zeros((0, 2), np.float32), rekeyed=False)


@pytest.fixture(scope="module")
def still() -> np.ndarray:
    # The portrait's eyes, found once by eye.
    return crop_face(
        portrait(), eye_transform(np.array([204.2, 102.3]), np.array([247.1, 104.4]), GEOMETRY), GEOMETRY, "rgb"
    )


def with_raised_brows(crop: np.ndarray, by_px: float) -> np.ndarray:
    """The crop with what lies around the inner brows moved up, smoothly."""
    rows, columns = np.mgrid[:128, :128].astype(np.float32)
    there = np.exp(-(((columns - 64) / 22) ** 2 + ((rows - 25) / 9) ** 2))
    return cv2.remap(crop, columns, rows + (by_px * there).astype(np.float32), cv2.INTER_CUBIC)


# Regions


def test_every_region_is_skin_or_eye_and_inside_the_crop():
    assert sorted((*SKIN, *EYES)) == list(range(len(REGIONS)))
    assert [NAMES[index] for index in EYES] == ["left eye", "right eye"]
    for x, y, half_width, half_height in REGIONS.values():
        assert 0 <= 64 + (x - half_width) * 44 < 64 + (x + half_width) * 44 <= 128
        assert 0 <= 42 + (y - half_height) * 44 < 42 + (y + half_height) * 44 <= 128


@pytest.mark.parametrize("vector", [(0.0, 0.0), (3.0, -2.0), (-40.0, 0.25)])
def test_what_moves_all_alike_is_the_heads_motion(vector):
    flow = np.broadcast_to(np.array([*vector, 1.0], np.float32), (64, 64, 3))
    assert np.array_equal(RegionMeter(GEOMETRY, 64).motion_px(flow), np.zeros((len(REGIONS), 2)))


@pytest.mark.parametrize("size_px", [32, 64, 128])
@pytest.mark.parametrize("region", NAMES)
def test_a_region_sees_what_moves_there(region, size_px):
    motion = RegionMeter(GEOMETRY, size_px).motion_px(flow_with(region, (1.0, -2.0), GEOMETRY, size_px))
    assert motion.shape == (len(REGIONS), 2) and motion.dtype == np.float32
    assert motion[NAMES.index(region)] == pytest.approx([1, -2], rel=0.35 if size_px == 32 else 0.2)
    assert np.hypot(*motion.T).argmax() == NAMES.index(region)


def test_motion_of_the_nose_is_taken_off():
    flow = np.zeros((64, 64, 2), np.float32)
    # The bridge of the nose in a field of half the crop's size: x 29–35, y 22.5–35.
    flow[20:38, 26:38] = (1.0, 0.5)
    motion = RegionMeter(GEOMETRY, 64).motion_px(flow)
    assert motion[NAMES.index("chin")] == pytest.approx([-1.0, -0.5])


@pytest.mark.parametrize("geometry", [CropGeometry(64, 22.0, 21.0), CropGeometry(256, 88.0, 84.0)])
def test_the_same_face_moves_alike_in_a_crop_of_another_size(geometry):
    usual = RegionMeter(GEOMETRY, 32).motion_px(flow_with("chin", (2.0, 2.0), GEOMETRY, 32))
    scale = geometry.size_px / 128
    other = RegionMeter(geometry, 32).motion_px(flow_with("chin", (2 * scale, 2 * scale), geometry, 32))
    np.testing.assert_allclose(other, usual, rtol=1e-5)


# Meter


@pytest.mark.parametrize("kind", ["flow", "both"])
def test_the_flow_of_a_flow_model_is_used_as_it_is(kind, still):
    grey = cv2.cvtColor(still, cv2.COLOR_RGB2GRAY)
    features = flow_with("left cheek", (0.5, 1.0), GEOMETRY, 64)
    contract = replace(FLOW, input=replace(FLOW.input, kind=kind))
    motion = MotionMeter(contract).step(face(grey), features, 0.0)
    assert np.array_equal(motion.regions_px, RegionMeter(GEOMETRY, 64).motion_px(features))


@pytest.mark.parametrize("name", OTHERS)
def test_other_models_flow_is_measured_against_the_resting_face(name, still):
    contract = OTHERS[name]
    crop = still if contract.input.colour == "rgb" else cv2.cvtColor(still, cv2.COLOR_RGB2GRAY)
    raised = with_raised_brows(crop, 2.0)
    misleading = np.full(contract.input_shape[1:], 7, np.float32)
    meter = MotionMeter(contract)
    for number in range(30):
        resting = meter.step(face(crop), misleading, number / 30)
    assert np.abs(resting.regions_px).max() < 0.05
    moved = meter.step(face(raised), misleading, 1.0)
    inner = [NAMES.index(region) for region in ("left inner brow", "right inner brow")]
    assert np.all(moved.regions_px[inner, 1] < -0.6)
    assert np.all(moved.regions_px[inner, 1] > -2.2)
    assert np.abs(moved.regions_px[NAMES.index("chin")]).max() < 0.2
    # The resting face is what it was for two seconds, not what it was just now.
    for number in range(31, 45):
        moved = meter.step(face(raised), misleading, number / 30)
    assert np.all(moved.regions_px[inner, 1] < -0.3)
    meter.reset()
    # Flow between equal pictures is zero but for rounding, which differs from one processor to another.
    assert np.abs(meter.step(face(raised), misleading, 2.0).regions_px).max() < 1e-3


def test_speed_of_the_head(still):
    grey, features = still[..., 1], np.zeros((64, 64, 3), np.float32)
    meter = MotionMeter(FLOW)
    # The crop shows twice the picture's size: what goes on a pixel in the picture goes two in the crop.
    at = [np.array([[2.0, 0.0, -100.0 - 2 * x], [0.0, 2.0, -60.0 - 2 * y]]) for x, y in ((0, 0), (3, 4), (3, 4))]
    speeds = [
        meter.step(face(grey, there), features, time_s).head_px_s
        for there, time_s in zip(at, (5.0, 5.5, 5.6), strict=True)
    ]
    assert speeds == pytest.approx([0.0, 20.0, 0.0])
    # A face that comes anew has no speed yet, nor one whose time runs backwards.
    assert meter.step(face(grey, at[0]), features, 5.6).head_px_s == 0
    meter.reset()
    assert meter.step(face(grey, at[1]), features, 6.0).head_px_s == 0
    turned = cv2.getRotationMatrix2D((64, 64), 10, 1.0) @ np.vstack([at[1], [0, 0, 1]])
    assert meter.step(face(grey, turned), features, 6.1).head_px_s == pytest.approx(0, abs=1e-6)


def test_speed_of_the_head_does_not_depend_on_the_crops_size(still):
    small = ClipContract(
        ("a", "b"), crop=CropGeometry(64, 22.0, 21.0), input=NetworkInput("flow", 32), reference=FLOW.reference
    )
    meter, features, grey = (
        MotionMeter(small),
        np.zeros((32, 32, 3), np.float32),
        np.ascontiguousarray(still[::2, ::2, 0]),
    )
    meter.step(face(grey, np.array([[1.0, 0, 0], [0, 1.0, 0]])), features, 0.0)
    moved = meter.step(face(grey, np.array([[1.0, 0, 5.0], [0, 1.0, 0]])), features, 0.5)
    assert moved.head_px_s == pytest.approx(20.0)


def test_light_and_sharpness_of_the_middle_of_the_face(still):
    features, meter = np.zeros((64, 64, 3), np.float32), MotionMeter(FLOW)
    grey = cv2.cvtColor(still, cv2.COLOR_RGB2GRAY)
    plain = meter.step(face(np.full((128, 128), 80, np.uint8)), features, 0.0)
    assert (plain.brightness, plain.sharpness) == (80.0, 0.0)
    sharp = meter.step(face(grey), features, 0.1)
    assert sharp.brightness == pytest.approx(grey[32:96, 32:96].mean())
    assert sharp.sharpness == pytest.approx(cv2.Laplacian(grey, cv2.CV_64F)[40:88, 40:88].std(), rel=0.3)
    blurred = meter.step(face(cv2.GaussianBlur(grey, (0, 0), 2.0)), features, 0.2)
    assert blurred.sharpness < 0.5 * sharp.sharpness
    edges = grey.copy()
    edges[:30] = 255
    assert meter.step(face(edges), features, 0.3).brightness == sharp.brightness


def test_a_plain_picture_moves_nowhere():
    meter = MotionMeter(PIXELS)
    for number, level in enumerate((0, 0, 255, 128)):
        motion = meter.step(face(np.full((128, 128), level, np.uint8)), np.zeros((64, 64, 1)), number / 30)
        assert motion.not_finite is None
        assert np.abs(motion.regions_px).max() < 0.1


def numbers(motion: Motion) -> list[float]:
    """All values in one row."""
    return [*motion.regions_px.ravel().tolist(), motion.head_px_s, motion.brightness, motion.sharpness]


def test_the_grid_has_all_values_and_their_times():
    regions = np.arange(2 * len(REGIONS), dtype=np.float32).reshape(-1, 2)
    resampler = MotionResampler(30.0)
    (first,) = resampler.step(Motion(1.0, regions, 100.0, 120.0, 9.0))
    assert (first.time_s, first.regions_px.dtype) == (1.0, np.float32)
    assert numbers(first) == [*map(float, range(2 * len(REGIONS))), 100.0, 120.0, 9.0]
    between = resampler.step(Motion(1.1, regions + 3.0, 130.0, 90.0, 12.0))
    assert [motion.time_s for motion in between] == pytest.approx([1.0 + 1 / 30, 1.0 + 2 / 30, 1.1])
    assert numbers(between[0]) == pytest.approx([*(1.0 + n for n in range(2 * len(REGIONS))), 110.0, 110.0, 10.0])
    assert numbers(between[2]) == [*(3.0 + n for n in range(2 * len(REGIONS))), 130.0, 90.0, 12.0]
    resampler.reset()
    assert [motion.time_s for motion in resampler.step(Motion(0.5, regions, 1.0, 1.0, 1.0))] == [0.5]


def test_it_says_which_value_is_no_number():
    regions = np.zeros((len(REGIONS), 2), np.float32)
    assert Motion(0.0, regions, 1.0, 2.0, 3.0).not_finite is None
    assert Motion(0.0, regions, math.inf, 2.0, 3.0).not_finite == math.inf
    regions[3, 1] = -math.inf
    assert Motion(0.0, regions, math.inf, 2.0, 3.0).not_finite == -math.inf


# Trace


@settings(deadline=None)
@given(
    capacity=st.integers(1, 12),
    appended=st.lists(st.booleans(), max_size=40),
    asked=st.lists(st.tuples(st.integers(-3, 45), st.integers(-3, 45)), min_size=1, max_size=8),
    reset_at=st.integers(0, 60),
)
def test_a_trace_equals_a_plain_list(capacity, appended, asked, reset_at):
    trace = MotionTrace(capacity, 3)
    kept: list[tuple[float, np.ndarray, np.ndarray]] = []
    rng = np.random.default_rng(len(appended))
    for number, answered in enumerate(appended):
        if number == reset_at:
            trace.reset()
            kept.clear()
        row, answer = rng.normal(0, 1, (2 * len(REGIONS) + 3,)).astype(np.float32), rng.random(3).astype(np.float32)
        trace.append(motion_of(number / 7, row), answer if answered else None)
        kept.append((number / 7, row, answer if answered else np.full(3, np.nan, np.float32)))
        assert numbers(trace.last()) == row.tolist() and trace.last().time_s == number / 7
    assert (trace.count, trace.first) == (len(kept), max(0, len(kept) - capacity))
    for start, stop in asked:
        there = kept[max(start, trace.first) : max(stop, 0)]
        view = trace.view(start, stop)
        assert view.times_s.tolist() == [time_s for time_s, _, _ in there]
        rows = np.array([row for _, row, _ in there], np.float32).reshape(-1, 2 * len(REGIONS) + 3)
        assert np.array_equal(view.motion_px, rows[:, :-3].reshape(-1, len(REGIONS), 2))
        for column, values in ((-3, view.head_px_s), (-2, view.brightness), (-1, view.sharpness)):
            assert np.array_equal(values, rows[:, column])
        answers = np.array([answer for _, _, answer in there], np.float32).reshape(-1, 3)
        assert np.array_equal(view.probabilities, answers, equal_nan=True)
    for number in range(trace.first, trace.count):
        assert trace.time_s(number) == kept[number][0]


def test_a_copied_frame_does_not_change_with_the_trace():
    trace = MotionTrace(1, 2)
    trace.append(motion_of(0.0, np.ones(2 * len(REGIONS) + 3, np.float32)), None)
    last = trace.last()
    trace.append(motion_of(1.0, np.zeros(2 * len(REGIONS) + 3, np.float32)), None)
    assert numbers(last) == [1.0] * (2 * len(REGIONS) + 3) and last.time_s == 0.0


# Noise at rest


def settled(*sizes_px: float, frames: int = 90) -> NoiseFloor:
    """A floor at 30 fps that has seen these sizes in turn, while something moved but for the last frame."""
    noise, turn = NoiseFloor(30.0, 3.0), deque(sizes_px)
    for number in range(frames):
        noise.update(np.full(len(REGIONS), turn[0], np.float32), at_rest=number == frames - 1)
        turn.rotate(-1)
    return noise


def one_more(noise: NoiseFloor, size_px: float, at_rest: bool, frames: int = 1) -> float:
    for _ in range(frames):
        noise.update(np.full(len(REGIONS), size_px, np.float32), at_rest)
    return float(noise.mean_px[0])


def test_noise_is_the_mean_of_the_first_seconds_whatever_moves():
    assert NoiseFloor(30.0).mean_px.tolist() == [0.0] * len(REGIONS)
    assert settled(0.1, 0.3).mean_px == pytest.approx(np.full(len(REGIONS), 0.2))
    assert settled(0.1, 0.1, 0.4, frames=3).mean_px == pytest.approx(np.full(len(REGIONS), 0.2))


def test_noise_is_of_each_region():
    noise, sizes = NoiseFloor(30.0), np.arange(len(REGIONS), dtype=np.float32)
    for _ in range(100):
        noise.update(sizes, at_rest=True)
    assert noise.mean_px == pytest.approx(sizes)


def test_once_settled_only_a_resting_face_counts():
    noise = settled(0.1)
    assert one_more(noise, 5.0, at_rest=False, frames=90) == pytest.approx(0.1)
    assert one_more(noise, 0.19, at_rest=True) == pytest.approx(0.1 + 0.09 / 90)
    assert one_more(noise, 0.2, at_rest=True, frames=270) == pytest.approx(0.195, abs=0.005)


def test_changed_conditions_settle_anew():
    noise = settled(0.1)
    noise.renew()
    assert noise.mean_px == pytest.approx(np.full(len(REGIONS), 0.2))
    assert one_more(noise, 0.6, at_rest=False, frames=75) == pytest.approx((15 * 0.2 + 75 * 0.6) / 90)
    assert one_more(noise, 5.0, at_rest=False) == pytest.approx((15 * 0.2 + 75 * 0.6) / 90)


def test_conditions_that_change_without_a_sign_are_noticed():
    noise = settled(0.1)
    assert one_more(noise, 0.6, at_rest=False, frames=90) == pytest.approx(0.1)
    assert one_more(noise, 0.6, at_rest=False, frames=90) == pytest.approx(0.6, abs=0.1)


def test_conditions_that_never_stop_changing_do_no_harm():
    noise = settled(0.1)
    for _ in range(1000):
        noise.renew()
        assert one_more(noise, 0.1, at_rest=True) < 0.2
    assert noise.mean_px == pytest.approx(np.full(len(REGIONS), 0.1))
