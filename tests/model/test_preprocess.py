"""The one preprocessing: crops, the causal reference, the three inputs, the time grid."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from model.preprocess import (
    DIFFERENCE_GAIN,
    Preprocessor,
    TimeResampler,
    crop_face,
    eye_transform,
    flow_strain,
    interpolate_clip,
    preprocess_clip,
    scale_of,
)
from stream.engine.engines import ClipBuffer
from tests.helpers.faces import portrait

GEOMETRY = CropGeometry()


def contract(
    kind: str = "flow", size_px: int = 128, reference: Reference | None = None, frames: int = 30
) -> ClipContract:
    reference = reference or (Reference() if kind == "pixels" else Reference("ema", time_constant_s=2.0))
    return ClipContract(("a", "b"), frames=frames, input=NetworkInput(kind, size_px), reference=reference)  # type: ignore[arg-type]


def texture(seed: int = 0, size_px: int = 128) -> np.ndarray:
    """Smooth random grey picture with detail at several scales, uint8."""
    rng = np.random.default_rng(seed)
    layers = sum(cv2.GaussianBlur(rng.normal(0, 1, (size_px, size_px)), (0, 0), s) * s for s in (1.5, 3, 8))
    return cv2.normalize(layers, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]


def warped(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The picture with its content moved by (u, v) pixels (small, smooth fields)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    return cv2.remap(
        image, x - u.astype(np.float32), y - v.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


@pytest.fixture(scope="module")
def face_crop() -> np.ndarray:
    # The portrait's eyes, found once by eye.
    return crop_face(
        portrait(), eye_transform(np.array([204.2, 102.3]), np.array([247.1, 104.4]), GEOMETRY), GEOMETRY, "grey"
    )


def bump(x0: float, y0: float, sigma: float = 14.0) -> np.ndarray:
    y, x = np.mgrid[:128, :128]
    return np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))


@given(st.floats(20, 400), st.floats(20, 400), st.floats(-60, 60), st.floats(10, 200))
def test_eyes_land_where_the_geometry_says(x: float, y: float, dy: float, dx: float) -> None:
    left, right = np.array([x, y]), np.array([x + dx, y + dy])
    placed = np.column_stack([np.vstack([left, right]), np.ones(2)]) @ eye_transform(left, right, GEOMETRY).T
    np.testing.assert_allclose(placed, [[42, 42], [86, 42]], atol=1e-6)


def test_coinciding_eyes_are_an_error() -> None:
    with pytest.raises(ValueError, match="same point"):
        eye_transform(np.array([3.0, 4.0]), np.array([3.0, 4.0]), GEOMETRY)


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 2.5])
def test_crop_shows_the_same_at_any_resolution(scale: float) -> None:
    """One face filmed large or small gives nearly the same crop, wherever in the picture it is."""
    large = cv2.resize(texture(1, 256), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    picture = cv2.cvtColor(
        cv2.resize(large, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR
    )
    # Resizing keeps the picture's edges, not its pixel centres, in place.
    half = 0.1 / scale - 0.1
    transform = np.array([[0.2 / scale, 0, -30.0 + half], [0, 0.2 / scale, -25.0 + half]])
    plain = cv2.warpAffine(
        cv2.GaussianBlur(large, (0, 0), 1.5),
        np.array([[0.2, 0, -30.0], [0, 0.2, -25.0]]),
        (128, 128),
        flags=cv2.INTER_AREA,
    )
    crop = crop_face(picture, transform, GEOMETRY, "grey")
    assert crop.shape == (128, 128) and crop.dtype == np.uint8
    assert np.abs(crop.astype(int) - plain).mean() < 4


def test_crop_of_colour_is_rgb_and_beyond_the_border_repeats() -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[:] = (10, 20, 30)
    crop = crop_face(picture, np.array([[1.0, 0, -300.0], [0, 1.0, -300.0]]), GEOMETRY, "rgb")
    assert crop.shape == (128, 128, 3)
    assert (crop == (30, 20, 10)).all()


@pytest.mark.parametrize("scale", [0.2, 0.45, 0.9, 2.0])
def test_a_grey_crop_is_the_same_of_a_picture_that_was_made_grey_before(scale: float) -> None:
    """To the last bit, upright and turned, inside the picture and beyond its border."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    for degrees in (0.0, 25.0, -140.0):
        for middle in ((230.0, 120.0), (5.0, 400.0), (900.0, -700.0)):
            transform = cv2.getRotationMatrix2D(middle, degrees, scale)
            transform[:, 2] += 64 - np.array(middle)
            crop = crop_face(portrait(), transform, GEOMETRY, "grey")
            np.testing.assert_array_equal(crop, crop_face(grey, transform, GEOMETRY, "grey"))
            assert scale_of(transform) == pytest.approx(scale)


def test_pixels_pass_through() -> None:
    image = texture()
    assert (Preprocessor(contract("pixels")).step(image, 0.0)[:, :, 0] == image).all()


def test_difference_is_to_the_mean_of_the_past() -> None:
    frames = [texture(seed) for seed in range(5)]
    preprocessor = Preprocessor(contract("difference", reference=Reference("ema", time_constant_s=1e6)))
    out = [preprocessor.step(frame, i / 30) for i, frame in enumerate(frames)]
    assert (out[0] == 0).all()
    for i in range(1, 5):
        expected = frames[i].astype(float) - np.mean(frames[:i], axis=0)
        np.testing.assert_allclose(out[i][:, :, 0], expected, atol=1e-2)


def test_ema_forgets_with_its_time_constant_whatever_the_frame_rate() -> None:
    dark, light = np.full((128, 128), 50, np.uint8), np.full((128, 128), 150, np.uint8)
    for fps in (15, 30, 120):
        preprocessor = Preprocessor(contract("difference", reference=Reference("ema", time_constant_s=0.5)))
        for i in range(5 * fps):
            preprocessor.step(dark, i / fps)
        seen = fps // 2
        for i in range(5 * fps, 5 * fps + seen):
            out = preprocessor.step(light, i / fps)
        # The frame itself is not yet in its reference.
        assert abs(float(out.mean()) - 100 * np.exp(-(seen - 1) / fps / 0.5)) < 0.5


def test_lag_takes_the_frame_of_then() -> None:
    preprocessor = Preprocessor(contract("difference", reference=Reference("lag", lag_s=0.1)))
    frames = [np.full((128, 128), 10 * i, np.uint8) for i in range(12)]
    out = [preprocessor.step(frame, i / 30)[0, 0, 0] for i, frame in enumerate(frames)]
    assert out[3:] == [30.0] * 9


@pytest.mark.parametrize("reference", [Reference("ema", time_constant_s=1.0), Reference("lag", lag_s=1 / 30)])
def test_both_are_the_flow_and_the_difference_to_the_same_reference(reference: Reference) -> None:
    kinds = {kind: Preprocessor(contract(kind, 64, reference)) for kind in ("both", "flow", "difference")}
    for i in range(4):
        crop = np.roll(texture(i // 2), i, axis=1)
        both, flow, difference = (preprocessor.step(crop, i / 30) for preprocessor in kinds.values())
        np.testing.assert_array_equal(both[..., :2], flow[..., :2])
        np.testing.assert_allclose(both[..., 2], DIFFERENCE_GAIN * difference[..., 0], rtol=1e-6)
    assert both.dtype == np.float32 and np.abs(both).max() > 0.1


def test_both_of_a_colour_crop_is_that_of_its_grey_one() -> None:
    grey = contract("both", 64, Reference("lag", lag_s=1 / 30))  # of a mean, halves are rounded either way
    coloured = replace(grey, input=replace(grey.input, colour="rgb"))
    pair = Preprocessor(grey), Preprocessor(coloured)
    for i in range(3):
        crop = texture(i)
        one, other = pair[0].step(crop, i / 30), pair[1].step(np.dstack([crop] * 3), i / 30)
        np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("kind", ["difference", "flow", "both"])
def test_a_lag_of_one_frame_is_to_the_frame_before(kind: str) -> None:
    """As timestamps of a real 30 fps file come, a little early or late."""
    preprocessor = Preprocessor(contract(kind, 64, Reference("lag", lag_s=1 / 30)))
    jitter_s = np.random.default_rng(0).uniform(-0.0009, 0.0009, 8)
    crops = [texture(i) for i in range(8)]
    for i, crop in enumerate(crops):
        found = preprocessor.step(crop, i / 30 + jitter_s[i])
        fresh = Preprocessor(contract(kind, 64, Reference("lag", lag_s=1 / 30)))
        if i:
            fresh.step(crops[i - 1], 0.0)
        np.testing.assert_array_equal(found, fresh.step(crop, 1 / 30))


@pytest.mark.parametrize("size_px", [128, 64])
@pytest.mark.parametrize(("x", "y"), [(50, 30), (45, 75), (64, 85)])
def test_flow_measures_small_motion_of_a_real_face(size_px: int, x: int, y: int, face_crop: np.ndarray) -> None:
    """Brow, cheek and mouth, 1 px: the right direction and place, most of the size."""
    field = bump(x, y, 8)
    preprocessor = Preprocessor(contract("flow", size_px))
    preprocessor.step(face_crop, 0.0)
    out = preprocessor.step(warped(face_crop, 0.8 * field, -0.6 * field), 1 / 30)
    assert out.shape == (size_px, size_px, 3) and out.dtype == np.float32
    known = np.dstack([0.8 * field, -0.6 * field])
    truth = cv2.resize(known, (size_px, size_px), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(out[:, :, :2].ravel(), truth.ravel())[0, 1] > 0.65
    assert 0.4 < (out[:, :, :2] * truth).sum() / (truth**2).sum() < 1.2


def test_strain_of_a_known_field() -> None:
    """A pure stretch u = 0.02 x has strain 0.02 everywhere, at both input sizes."""
    for size_px in (64, 128):
        step = 128 / size_px
        x = np.arange(size_px, dtype=np.float32) * step
        flow = np.zeros((size_px, size_px, 2), np.float32)
        flow[:, :, 0] = 0.02 * x
        np.testing.assert_allclose(flow_strain(flow, 128)[2:-2, 2:-2], 0.02, rtol=1e-3)


def test_a_step_of_brightness_is_no_motion_of_the_whole() -> None:
    image = texture(3)
    preprocessor = Preprocessor(contract("flow"))
    preprocessor.step(image, 0.0)
    shifted = preprocessor.step(np.roll(image, 1, axis=1), 1 / 30)
    assert abs(np.median(shifted[:, :, 0])) < 0.1


def test_reset_forgets_the_person() -> None:
    preprocessor = Preprocessor(contract("flow", 64))
    first = [preprocessor.step(texture(i), i / 30) for i in (1, 2, 3)]
    preprocessor.reset()
    again = [preprocessor.step(texture(i), 9 + i / 30) for i in (1, 2, 3)]
    np.testing.assert_array_equal(first, again)


def test_wrong_crops_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(128, 128\), found"):
        Preprocessor(contract()).step(np.zeros((64, 64), np.uint8), 0.0)


def ramp(time_s: float) -> np.ndarray:
    return np.full((4, 4, 1), time_s, np.float32)


@settings(max_examples=60)
@given(st.lists(st.floats(0.004, 0.2), min_size=2, max_size=80), st.sampled_from([15.0, 30.0, 60.0]))
def test_resampling_lands_on_the_grid(steps_s: list[float], fps: float) -> None:
    """Frames whose value is their time come out with the grid's times, none twice and none left out."""
    times = np.concatenate([[5.0], 5.0 + np.cumsum(steps_s)])
    resampler = TimeResampler(fps)
    out = [float(f[0, 0, 0]) for t in times for f in resampler.step(ramp(t), float(t))]
    np.testing.assert_allclose(out, 5.0 + np.arange(len(out)) / fps, atol=0.0021)
    assert times[-1] - (5.0 + (len(out) - 1) / fps) < 1 / fps + 0.002


def test_resampling_at_the_grid_rate_changes_nothing() -> None:
    resampler = TimeResampler(30.0)
    frames = [texture(i)[:, :, None].astype(np.float32) for i in range(8)]
    # Files round their times to milliseconds.
    out = [f for i, frame in enumerate(frames) for f in resampler.step(frame, round(i / 30, 3))]
    np.testing.assert_array_equal(out, frames)


def test_time_must_grow() -> None:
    resampler = TimeResampler(30.0)
    resampler.step(ramp(0), 1.0)
    with pytest.raises(ValueError, match="expected more than"):
        resampler.step(ramp(0), 1.0)


def test_clip_equals_live() -> None:
    """What training makes of a clip is what the live stages make of it frame by frame, past one window."""
    crops = np.stack([texture(seed) for seed in range(14)])
    wanted = contract("flow", 64, frames=9)
    preprocessor, buffer = Preprocessor(wanted), ClipBuffer(wanted)
    for i, crop in enumerate(crops):
        buffer.append(preprocessor.step(crop, i / 30))
        if buffer.window() is not None:
            np.testing.assert_array_equal(preprocess_clip(crops[: i + 1], wanted, 30.0), buffer.window())


def test_a_short_clip_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected 30 frames"):
        preprocess_clip(np.zeros((10, 128, 128), np.uint8), contract(), 30.0)


def test_interpolation_keeps_both_ends() -> None:
    clip = np.stack([np.full((8, 8), 10 * i, np.uint8) for i in range(6)])
    out = interpolate_clip(clip, 30)
    assert out.shape == (30, 8, 8) and out[0, 0, 0] == 0 and out[-1, 0, 0] == 50
    assert (np.diff(out[:, 0, 0].astype(int)) >= 0).all()


def test_buffer_windows_are_the_newest_frames() -> None:
    wanted = contract("difference", 32, frames=9)
    buffer = ClipBuffer(wanted)
    for i in range(40):
        assert buffer.filled == min(i, 9)
        buffer.append(np.full((32, 32, 1), i, np.float32))
        window = buffer.window()
        if i < 8:
            assert window is None
        else:
            assert window is not None and window[:, 0, 0, 0].tolist() == list(range(i - 8, i + 1))
    buffer.reset()
    assert buffer.filled == 0 and buffer.window() is None
