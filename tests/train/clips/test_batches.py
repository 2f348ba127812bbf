"""Augmentation: what a transform does to each kind of input and to the record, how it is drawn, and whom it meets."""

import io
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console

import train.clips.batches
from model.contract import ClipContract, CropGeometry, InputKind, NetworkInput, Reference
from model.preprocess import preprocess_clip
from tests.helpers.stores import CLASSES, write_store
from train.clips.augmentation import Transform, draw_transform, mirrored_units
from train.clips.batches import epoch_order, plain_batches, training_batches
from train.clips.samples import Split, TrainingSet, load_features, open_stores, run_contract, samples_of
from train.clips.store import ClipRecord, ClipStore
from train.config_file import config_from, read_config_file
from train.errors import UsageError
from train.fit.fit import fit
from train.fit_config import TrainConfig

SIZE, FRAMES = 96, 10
EVERYTHING = {"rotate": 8.0, "zoom": 0.1, "shift": 0.05, "time_jitter": 0.2, "magnify": (0.8, 2.0)}

transforms = st.builds(
    Transform,
    flip=st.booleans(),
    angle_deg=st.floats(-20, 20),
    zoom=st.floats(0.8, 1.25),
    shift_x=st.floats(-0.1, 0.1),
    shift_y=st.floats(-0.1, 0.1),
    brightness=st.floats(-60, 60),
    contrast=st.floats(0.5, 1.5),
    speed=st.floats(0.7, 1.4),
    start_frame=st.floats(-2, 2),
    magnification=st.floats(0.5, 3),
)


def settled(**changes: object) -> TrainConfig:
    return config_from({"data": "d", "out": "o", **changes})


def random_clip(kind: InputKind, frames: int = 5, size: int = 16, seed: int = 0) -> NDArray:
    rng, channels = np.random.default_rng(seed), 3 if kind in ("flow", "both") else 1
    if kind == "pixels":
        return rng.integers(0, 256, (frames, size, size, channels)).astype(np.uint8)
    return rng.normal(size=(frames, size, size, channels)).astype(np.float16)


# Against the features of crops that were really transformed


def moving_crops(seed: int) -> NDArray[np.uint8]:
    """A soft texture (FRAMES, SIZE, SIZE, 1) of which a spot moves by 2.5 px to the right and 1.5 px down."""
    rng = np.random.default_rng(seed)
    texture = sum(cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)).astype(np.float32), (0, 0), s) * s for s in (2.5, 5.0))
    texture = cv2.normalize(texture, None, 20, 220, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    spot = np.exp(-((x - 42) ** 2 + (y - 50) ** 2) / (2 * 12**2))
    frames = [
        cv2.remap(texture, x - 2.5 * spot * a, y - 1.5 * spot * a, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        for a in np.linspace(0, 1, FRAMES, dtype=np.float32)
    ]
    return np.rint(frames).clip(0, 255).astype(np.uint8)[..., np.newaxis]


def features_of(crops: NDArray[np.uint8], kind: InputKind) -> NDArray:
    contract = ClipContract(
        CLASSES,
        FRAMES,
        30.0,
        CropGeometry(SIZE, 33.0, 31.0),
        NetworkInput(kind, SIZE),
        Reference("none") if kind == "pixels" else Reference("ema", 2.0),
    )
    return preprocess_clip(crops[..., 0], contract, 30.0)


def apart(expected: NDArray, found: NDArray) -> float:
    """Relative distance inside the frame's border and after the first frame, in which nothing has moved yet."""
    expected, found = (np.asarray(clip[1:, 12:-12, 12:-12], np.float64) for clip in (expected, found))
    return float(np.linalg.norm(expected - found) / np.linalg.norm(expected))


GEOMETRIC = [
    Transform(angle_deg=15),
    Transform(angle_deg=-15),
    Transform(zoom=1.15),
    Transform(zoom=0.85),
    Transform(shift_x=0.08, shift_y=-0.05),
    Transform(flip=True, angle_deg=-12, zoom=1.1, shift_x=0.05, shift_y=0.02),
]


@pytest.mark.parametrize("transform", GEOMETRIC, ids=Transform.in_words)
def test_augmented_features_are_those_of_augmented_crops(transform):
    """Within what the flow itself varies by when its picture is turned or enlarged, which is a tenth."""
    crops = moving_crops(seed=0)
    seen = transform.apply(crops, "pixels")
    kinds: tuple[tuple[InputKind, slice, float], ...] = (
        ("flow", slice(0, 2), 0.16),
        ("difference", slice(None), 0.18),
        ("both", slice(0, 3), 0.18),
    )
    for kind, channels, most in kinds:
        plain = features_of(crops, kind)
        expected, found = features_of(seen, kind), transform.apply(plain, kind)
        distance = apart(expected[..., channels], found[..., channels])
        assert distance < most
        assert distance < 0.6 * apart(expected[..., channels], plain[..., channels])


@pytest.mark.parametrize("seed", range(3))
def test_flow_of_mirrored_and_turned_crops(seed):
    crops = moving_crops(seed)
    plain = features_of(crops, "flow")
    flip = Transform(flip=True)
    assert apart(features_of(flip.apply(crops, "pixels"), "flow"), flip.apply(plain, "flow")) < 0.05
    turn = Transform(angle_deg=15)
    expected, found = features_of(turn.apply(crops, "pixels"), "flow"), turn.apply(plain, "flow")
    # The same without turning the vectors is what would be wrong.
    only_warped = turn.apply(plain, "difference")
    assert apart(expected[..., :2], found[..., :2]) < 0.5 * apart(expected[..., :2], only_warped[..., :2])


def test_difference_of_a_mirrored_and_magnified_clip():
    crops = moving_crops(seed=0)
    both = Transform(flip=True, magnification=2.0)
    expected = features_of(both.apply(crops, "pixels"), "difference")
    assert apart(expected, both.apply(features_of(crops, "difference"), "difference")) < 0.01


# Against vector calculus


def smooth_flow() -> tuple[NDArray, NDArray]:
    """An analytic displacement (size, size, 2) with all its derivatives, and the strain of it."""
    y, x = np.mgrid[:SIZE, :SIZE] / 12.0
    flow = np.stack([np.sin(x) + 0.5 * np.cos(y), np.cos(0.7 * x) * np.sin(0.5 * y)], axis=-1)
    return flow, strain_of(flow)


def strain_of(flow: NDArray) -> NDArray:
    (u_y, u_x), (v_y, v_x) = np.gradient(flow[..., 0]), np.gradient(flow[..., 1])
    return np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2)


@given(transforms)
@settings(deadline=None)
def test_the_strain_stays_that_of_the_vectors(transform):
    transform = replace(transform, speed=1.0, start_frame=0.0)
    flow, strain = smooth_flow()
    clip = np.concatenate([flow, strain[..., np.newaxis]], axis=-1)[np.newaxis].astype(np.float32)
    found = transform.apply(clip, "flow")[0]
    inside = slice(32, -32)  # no border comes this far
    np.testing.assert_allclose(
        strain_of(found[..., :2])[inside, inside], found[inside, inside, 2], atol=0.008 * transform.magnification
    )


@pytest.mark.parametrize(
    ("transform", "there"),
    [
        (Transform(angle_deg=90), (32, 16)),  # right of the middle, counter-clockwise: above it
        (Transform(flip=True, angle_deg=90), (32, 48)),
        (Transform(zoom=1.25), (52, 32)),
        (Transform(shift_x=0.1), (54.5, 32)),
        (Transform(shift_y=-0.2), (48, 19)),
        (Transform(zoom=0.5, shift_x=0.2), (53, 32)),
    ],
    ids=str,
)
def test_directions(transform, there):
    dot = np.zeros((1, 65, 65, 1), np.float32)
    cv2.circle(dot[0], (48, 32), 3, 1.0, -1)
    np.testing.assert_allclose(middle_of(transform.apply(dot, "difference")[0, ..., 0]), there, atol=0.05)


def middle_of(frame: NDArray) -> NDArray:
    """Centre of mass, (x, y)."""
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    return np.array([(frame * x).sum(), (frame * y).sum()]) / frame.sum()


@given(st.floats(-30, 30), st.floats(0.8, 1.25), st.booleans())
@settings(deadline=None)
def test_vectors_point_where_the_pixels_go(angle_deg, zoom, flip):
    """A displacement from one pixel to another becomes that between where the two pixels are then."""
    transform = Transform(flip=flip, angle_deg=angle_deg, zoom=zoom)
    size, tail, tip = 65, np.array([32, 32]), np.array([38, 28])
    dots = np.zeros((2, size, size, 1), np.float32)
    for frame, (x, y) in zip(dots, (tail, tip), strict=True):
        cv2.circle(frame, (int(x), int(y)), 2, 1.0, -1)
    there = [middle_of(frame) for frame in transform.apply(dots, "difference")[..., 0]]
    flow = np.zeros((1, size, size, 3), np.float32)
    flow[..., :2] = tip - tail
    np.testing.assert_allclose(transform.apply(flow, "flow")[0, 32, 32, :2], there[1] - there[0], atol=0.15)


# What each setting does


@given(st.sampled_from(["pixels", "difference", "flow"]), st.integers(0, 5))
@settings(deadline=None)
def test_mirrored_twice_is_the_same(kind, seed):
    clip, flip = random_clip(kind, seed=seed), Transform(flip=True)
    once = flip.apply(clip, kind)
    expected = clip[:, :, ::-1].astype(once.dtype)
    if kind == "flow":
        expected = expected * np.float32([-1, 1, 1])
    np.testing.assert_array_equal(once, expected)
    np.testing.assert_array_equal(flip.apply(once, kind), clip)
    turned_along = Transform(flip=True, angle_deg=360.0)
    np.testing.assert_allclose(turned_along.apply(clip, kind), once, atol=0.05 if kind != "pixels" else 3)


@pytest.mark.parametrize("kind", ["pixels", "difference", "flow"])
def test_no_transform_leaves_the_clip_as_the_network_takes_it(kind):
    clip = random_clip(kind)
    same = Transform().apply(clip, kind, 90.0)
    assert same.dtype == (np.uint8 if kind == "pixels" else np.float32)
    np.testing.assert_array_equal(same, clip)


@given(transforms, st.sampled_from(["pixels", "difference", "flow"]))
@settings(deadline=None)
def test_every_frame_gets_the_same_transform_and_the_length_stays(transform, kind):
    clip = random_clip(kind)
    still = np.repeat(clip[:1], len(clip), axis=0)
    before = still.copy()
    out = transform.apply(still, kind, 100.0)
    assert out.shape == clip.shape
    np.testing.assert_array_equal(still, before)
    np.testing.assert_array_equal(out, np.repeat(out[:1], len(out), axis=0))
    calm = replace(transform, speed=1.0, start_frame=0.0, magnification=1.0)
    alone = [calm.apply(clip[index : index + 1], kind, 100.0)[0] for index in range(len(clip))]
    np.testing.assert_array_equal(calm.apply(clip, kind, 100.0), alone)


def test_time_moves_within_the_clip_and_stands_still_beyond_it():
    crops = moving_crops(seed=0)
    features = features_of(crops, "difference")
    for kind, clip in (("pixels", crops), ("difference", features)):
        later = Transform(start_frame=2.0).apply(clip, kind)
        np.testing.assert_array_equal(later[:-2], clip[2:])
        np.testing.assert_array_equal(later[-2:], clip[[-1, -1]])
        earlier = Transform(start_frame=-3.0).apply(clip, kind)
        np.testing.assert_array_equal(earlier[3:], clip[:-3])
        np.testing.assert_array_equal(earlier[:3], clip[[0, 0, 0]])
    ramp = np.tile(np.arange(8, dtype=np.float32)[:, np.newaxis, np.newaxis, np.newaxis], (1, 4, 4, 1))
    found = Transform(speed=1.5, start_frame=-0.5).apply(ramp, "difference")[:, 0, 0, 0]
    np.testing.assert_allclose(found, [0, 1, 2.5, 4, 5.5, 7, 7, 7], atol=1e-6)


def test_magnification_and_levels_of_pixels():
    clip = np.full((3, 8, 8, 1), 100, np.uint8)
    clip[1] += 4
    clip[2] -= 10
    found = Transform(magnification=2.5).apply(clip, "pixels", 90.0)[:, 0, 0, 0]
    assert found.tolist() == [100, 110, 75]
    found = Transform(contrast=1.5, brightness=-20).apply(clip, "pixels", 90.0)[:, 0, 0, 0]
    assert found.tolist() == [85, 91, 70]
    both = Transform(contrast=0.5, brightness=30, magnification=2).apply(clip, "pixels", 90.0)[:, 0, 0, 0]
    assert both.tolist() == [125, 129, 115]
    assert Transform(brightness=200).apply(clip, "pixels")[1, 0, 0, 0] == 255
    assert Transform(brightness=-200).apply(clip, "pixels")[1, 0, 0, 0] == 0


@pytest.mark.parametrize("kind", ["difference", "flow"])
def test_magnification_of_motion_and_no_brightness_of_it(kind):
    clip = random_clip(kind)
    found = Transform(magnification=3.0, brightness=40, contrast=2.0).apply(clip, kind)
    np.testing.assert_allclose(found, 3 * clip.astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize("changes", [{"zoom": 0.0}, {"speed": -1.0}, {"angle_deg": float("nan")}])
def test_impossible_transforms_are_refused(changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))}: expected a"):
        Transform(**changes)


# The record


def test_sides_of_action_units_swap():
    assert mirrored_units(("L12", "R6", "4")) == ("R12", "L6", "4")


def test_the_record_of_a_transformed_clip():
    record = ClipRecord(
        "c", "s07", "positive", "casme2", ("L12", "6"), 12, 16, 30, peak_px=1.5, window_start=10, seed=3, notes={"k": 1}
    )
    flipped = Transform(flip=True, angle_deg=4).apply_to_record(record, frames=40)
    assert flipped == replace(record, action_units=("R12", "6"))
    later = Transform(start_frame=4.0, zoom=1.2, magnification=2.0).apply_to_record(record, frames=40)
    assert (later.onset_frame, later.apex_frame, later.offset_frame) == (8, 12, 26)
    assert (later.peak_px, later.action_units, later.subject) == (pytest.approx(3.6), ("L12", "6"), "s07")
    slow = Transform(speed=0.5, start_frame=0.0).apply_to_record(record, frames=40)
    assert (slow.onset_frame, slow.apex_frame, slow.offset_frame) == (14, 22, None)


@given(st.floats(0.5, 2), st.floats(-4, 4), st.integers(0, 15))
@settings(deadline=None)
def test_frames_of_the_record_are_where_they_are_in_the_clip(speed, start, frame):
    """A bump in time is found again where the record says."""
    transform = Transform(speed=speed, start_frame=start)
    bump = np.exp(-((np.arange(16, dtype=np.float32) - frame) ** 2) / 8)
    clip = np.tile(bump[:, np.newaxis, np.newaxis, np.newaxis], (1, 2, 2, 1))
    moved = transform.apply_to_record(ClipRecord("c", "s", "l", "d", apex_frame=frame), frames=16).apex_frame
    found = transform.apply(clip, "difference")[:, 0, 0, 0]
    if moved is None:
        assert not start + 0.5 * speed <= frame <= start + speed * 14.5
    else:
        assert found[moved] >= found.max() - 0.15


# Drawing


def test_draws_follow_from_seed_epoch_and_row_and_fill_their_ranges():
    config = settled(input="pixels", brightness=0.2, contrast=0.3, **EVERYTHING)
    drawn = [draw_transform(config, 30, epoch, row) for epoch in range(10) for row in range(60)]
    assert drawn == [draw_transform(config, 30, epoch, row) for epoch in range(10) for row in range(60)]
    assert len(set(drawn)) == len(drawn)
    assert draw_transform(replace(config, seed=1), 30, 0, 0) != drawn[0]
    for name, low, high in (
        ("angle_deg", -8, 8),
        ("zoom", 0.9, 1.1),
        ("shift_x", -0.05, 0.05),
        ("shift_y", -0.05, 0.05),
        ("brightness", -51, 51),
        ("contrast", 0.7, 1.3),
        ("speed", 0.8, 1.2),
        ("magnification", 0.8, 2.0),
    ):
        values = [getattr(transform, name) for transform in drawn]
        width = high - low
        assert low <= min(values) < low + 0.05 * width
        assert high - 0.05 * width < max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.06 * width)
    # The clip's middle is played within ± 3 of its 30 frames of the middle.
    middles = [transform.start_frame + transform.speed * 14.5 for transform in drawn]
    assert 11.5 <= min(middles) < 11.9
    assert 17.1 < max(middles) <= 17.5
    assert np.mean([transform.flip for transform in drawn]) == pytest.approx(0.5, abs=0.06)


def test_settings_do_not_disturb_each_other_and_the_default_is_mirroring_alone():
    assert {draw_transform(settled(), 30, 0, row) for row in range(30)} == {Transform(), Transform(flip=True)}
    assert {draw_transform(settled(flip=False), 30, 0, row) for row in range(30)} == {Transform()}
    plain, full = settled(), settled(**EVERYTHING)
    for row in range(30):
        assert draw_transform(plain, 30, 2, row).flip == draw_transform(full, 30, 2, row).flip
        turned = draw_transform(settled(rotate=8.0), 30, 2, row)
        assert turned.angle_deg == draw_transform(full, 30, 2, row).angle_deg


@given(transforms)
@settings(deadline=None)
def test_words_say_every_change(transform):
    assert Transform().in_words() == "unchanged"
    changed = [f.name for f in fields(Transform) if getattr(transform, f.name) != f.default]
    words = transform.in_words()
    assert (words == "unchanged") == (not changed)
    assert not changed or len(words.split(", ")) == len(changed)


# Settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rotate": 46}, "rotate: expected 45 or less, found 46"),
        ({"zoom": -0.1}, "zoom: expected 0 or more, found -0.1"),
        ({"time_jitter": 0.6}, "time_jitter: expected 0.5 or less, found 0.6"),
        ({"magnify": [2.0]}, "magnify.1: expected a value, found nothing"),
        ({"magnify": [1.0, 30.0]}, "magnify.1: expected 20 or less, found 30.0"),
        ({"magnify": [2.0, 1.0]}, "magnify: expected the lowest factor first, found"),
        ({"magnify": 2.0}, "magnify: expected a list"),
        ({"brightness": 0.1}, "brightness with input flow: expected 0, since only pixels have any"),
        ({"input": "difference", "contrast": 0.1}, "contrast with input difference: expected 0"),
        ({"gain": 0.1}, "'gain' is unknown"),
    ],
)
def test_bad_settings_get_one_clear_line(values, message):
    with pytest.raises(UsageError, match=message) as caught:
        settled(**values)
    assert "\n" not in str(caught.value)


def test_files_of_runs_that_had_a_gain_are_read(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: d\nout: o\ninput: flow\ngain: 0.15\n")
    assert config_from(read_config_file(path)).magnify == (0.85, 1.15)
    path.write_text("data: d\nout: o\ninput: pixels\ngain: 0.2\n")
    assert config_from(read_config_file(path)) == settled(input="pixels", contrast=0.2)
    path.write_text("data: d\nout: o\ngain: 0.0\n")
    assert config_from(read_config_file(path)) == settled()
    path.write_text("data: d\nout: o\ngain: much\n")
    with pytest.raises(UsageError, match="gain: expected a finite number, found 'much'"):
        read_config_file(path)
    path.write_text("data: d\nout: o\ngain: 0.1\nmagnify: [1, 2]\n")
    with pytest.raises(UsageError, match="gain and magnify mean the same; keep magnify"):
        read_config_file(path)


# Batches and runs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "fake")


def run_settings(store: ClipStore, out: Path, **changes: object) -> TrainConfig:
    base = {"variant": "plain", "input": "flow", "size_px": 32, "epochs": 2, "workers": 1, "batch": 4}
    return config_from(base | {"data": [str(store.path)], "out": str(out)} | changes)


def training_set(config: TrainConfig, rows: NDArray[np.int64]) -> TrainingSet:
    stores = open_stores(config.data)
    features = load_features(stores, run_contract(config, stores), config)
    return TrainingSet(features, samples_of(stores), Split(rows, rows[:0]), (0.0, 2.0))


def clips_by_row(data: TrainingSet, config: TrainConfig, epoch: int, first: int = 0) -> dict[int, NDArray]:
    clips = [clip for batch, _ in training_batches(data, config, epoch, first) for clip in batch.numpy()]
    order = epoch_order(data.split.train, config.seed, epoch)[first * config.batch :]
    return dict(zip(order.tolist(), clips, strict=True))


@pytest.mark.parametrize("kind", ["pixels", "flow"])
def test_what_happens_to_a_clip_depends_on_no_batch_step_or_other_clip(store, tmp_path, kind):
    config = run_settings(store, tmp_path, input=kind, noise=0.1, **EVERYTHING)
    data = training_set(config, np.arange(2, 19))
    whole = clips_by_row(data, config, epoch=3)
    for other, first in ((replace(config, batch=7), 0), (config, 2)):
        for row, clip in clips_by_row(data, other, 3, first).items():
            np.testing.assert_array_equal(clip, whole[row])
    fewer = replace(data, split=Split(np.arange(10, 14), data.split.validation))
    for row, clip in clips_by_row(fewer, config, 3).items():
        np.testing.assert_array_equal(clip, whole[row])
    assert not any(np.array_equal(clip, whole[row]) for row, clip in clips_by_row(data, config, 4).items())


@pytest.mark.parametrize("kind", ["pixels", "difference", "flow"])
def test_batches_hold_the_drawn_transforms_of_the_features(store, tmp_path, kind):
    config = run_settings(store, tmp_path, input=kind, **EVERYTHING)
    data = training_set(config, np.arange(24))
    for row, clip in clips_by_row(data, config, epoch=1).items():
        transform = draw_transform(config, data.features.shape[1], 1, row)
        np.testing.assert_array_equal(clip, transform.apply(data.features[np.array([row])][0], kind))


def test_only_training_clips_are_augmented(store, tmp_path, monkeypatch):
    """A whole run: every drawn transform is a training clip's, and plain batches are the features as they are."""
    drawn: set[tuple[int, int]] = set()

    def watched(config: TrainConfig, frames: int, epoch: int, row: int) -> Transform:
        drawn.add((epoch, row))
        return draw_transform(config, frames, epoch, row)

    monkeypatch.setattr(train.clips.batches, "draw_transform", watched)
    config = run_settings(store, tmp_path / "run", validation_people=("bob",), exclude_people=("cid",), **EVERYTHING)
    fit(config, Console(file=io.StringIO()))
    samples = samples_of(open_stores(config.data))
    trained = {row for row, person in enumerate(samples.people) if person in ("fake/ann", "fake/dot")}
    assert drawn == {(epoch, row) for epoch in (0, 1) for row in trained}
    data = training_set(config, np.arange(24))
    rows = np.array([7, 6, 11])
    np.testing.assert_array_equal(next(iter(plain_batches(data.features, rows, 4))), data.features[rows])
