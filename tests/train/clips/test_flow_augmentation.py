"""Augmentation of flow beyond what the pictures would do: what it changes, how it is drawn, and the strain after it."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model.preprocess import flow_strain
from tests.helpers.stores import write_store
from train.clips.augmentation import draw_transform
from train.clips.batches import epoch_order, training_batches
from train.clips.flow_augmentation import FlowChange, draw_flow_change
from train.clips.samples import Split, TrainingSet, load_features, open_stores, run_contract, samples_of
from train.config_file import config_from
from train.errors import UsageError
from train.fit_config import TrainConfig

CROP_PX, GAIN = 128, 20.0
ALL = {"flow_gains": 0.4, "flow_noise": 0.4, "flow_cutout": 0.3, "flow_elastic": 0.025}


def settled(**changes: object) -> TrainConfig:
    return config_from({"data": "d", "out": "o", **changes})


def smooth_clip(frames: int = 6, size: int = 32, seed: int = 0) -> NDArray[np.float32]:
    """Flow that grows and its strain (frames, size, size, 3), as preprocessing makes them."""
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.normal(size=(size, size, 2)).astype(np.float32), (0, 0), size / 10) * 20
    flow = [field * share for share in np.linspace(0, 1, frames, dtype=np.float32)]
    return np.stack([np.dstack([frame, np.float32(GAIN) * flow_strain(frame, CROP_PX)]) for frame in flow])


def applied(change: FlowChange, clip: NDArray) -> NDArray:
    before = clip.copy()
    out = change.apply(clip, CROP_PX, GAIN)
    np.testing.assert_array_equal(clip, before)
    assert out.shape == clip.shape and out.dtype == np.float32
    return out


CHANGES = [
    FlowChange(gain_u=1.5, gain_v=0.6),
    FlowChange(noise=0.3, pattern_seed=(1, 2)),
    FlowChange(cut_sigma=0.15, cut_x=0.3, cut_y=0.6),
    FlowChange(elastic=0.025, pattern_seed=(3,)),
    FlowChange(0.8, 1.2, 0.4, 0.2, 0.1, 0.9, 0.03, (4, 5)),
]


@pytest.mark.parametrize("change", CHANGES, ids=FlowChange.in_words)
def test_strain_is_what_preprocessing_makes_of_the_changed_vectors(change):
    clip = smooth_clip()
    found = applied(change, clip)
    assert not np.allclose(found[1:, ..., :2], clip[1:, ..., :2], atol=0.01)
    expected = [np.float32(GAIN) * flow_strain(np.ascontiguousarray(frame[..., :2]), CROP_PX) for frame in found]
    np.testing.assert_allclose(found[..., 2], expected, rtol=1e-5, atol=1e-6)


def test_strain_of_flow_that_hardly_changes_stays():
    """As it comes from the cache, in half floats, and after a transform that turned it along."""
    clip = smooth_clip().astype(np.float16).astype(np.float32)
    found = applied(FlowChange(gain_u=1 + 1e-7), clip)
    np.testing.assert_allclose(found, clip, atol=0.02 * clip[..., 2].max())
    config = settled(rotate=5.0, zoom=0.05, shift=0.03, magnify=(0.8, 1.2), time_jitter=0.1)
    for row in range(4):
        turned = draw_transform(config, len(clip), 0, row).apply(clip, "flow")
        again = applied(FlowChange(gain_u=1 + 1e-7), turned)
        np.testing.assert_allclose(again[:, 2:-2, 2:-2], turned[:, 2:-2, 2:-2], atol=0.1 * clip[..., 2].max())


def test_no_change_gives_the_clip_itself():
    clip = smooth_clip()
    assert FlowChange().apply(clip, CROP_PX, GAIN) is clip
    assert FlowChange().in_words() == "" and not FlowChange().changes


def test_gains_are_of_each_direction():
    clip = smooth_clip()
    found = applied(FlowChange(gain_u=1.5, gain_v=0.5), clip)
    np.testing.assert_allclose(found[..., :2], clip[..., :2] * np.array([1.5, 0.5], np.float32), rtol=1e-6)


def test_noise_is_one_smooth_pattern_as_large_as_each_frame():
    clip = smooth_clip(size=48)
    noise = (applied(FlowChange(noise=0.3, pattern_seed=(7,)), clip) - clip)[..., :2]
    rms = np.sqrt((clip[..., :2] ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(noise.std(axis=(1, 2)), 0.3 * rms[:, np.newaxis].repeat(2, axis=1), rtol=1e-3)
    np.testing.assert_allclose(noise[-1] / rms[-1], noise[2] / rms[2], atol=1e-4)
    steps = np.diff(noise[-1], axis=0)  # of white noise these would be √2 as large as the noise
    assert steps.std() < 0.4 * noise[-1].std()


def test_a_place_without_motion():
    still = np.ones((3, 48, 48, 3), np.float32)
    found = applied(FlowChange(cut_sigma=0.1, cut_x=0.25, cut_y=0.75), still)
    np.testing.assert_array_equal(found[0], found[2])
    down, across = np.unravel_index(found[0, ..., 0].argmin(), (48, 48))
    assert abs(across - 11.5) <= 1 and abs(down - 35.5) <= 1
    assert found[..., :2].min() == pytest.approx(0, abs=0.03) and found[0, 5, 40, 0] == pytest.approx(1, abs=1e-3)
    assert 0.5 < found[0, 35, 12 + 5, 0] / (1 - np.exp(-0.5)) < 1.5  # one sd off its middle


@pytest.mark.parametrize("size", [32, 64])
def test_displacements_are_shares_of_the_side_and_the_same_for_every_frame(size):
    """A ramp tells where each pixel comes from."""
    down, across = np.mgrid[:size, :size].astype(np.float32)
    ramp = np.stack([np.dstack([across, down, across])] * 3)
    found = applied(FlowChange(elastic=0.025, pattern_seed=(2,)), ramp)
    np.testing.assert_array_equal(found[0], found[2])
    moved = (found - ramp)[0, ..., :2] / size
    inside = moved[size // 8 : -size // 8, size // 8 : -size // 8]
    assert 0.015 < inside.std() < 0.035
    assert np.abs(np.diff(inside, axis=0)).max() * size < 0.8  # smooth: nothing is folded


def test_draws_follow_from_seed_epoch_and_row_and_have_the_asked_for_sizes():
    config = settled(**ALL)
    drawn = [draw_flow_change(config, epoch, row) for epoch in range(8) for row in range(100)]
    assert drawn == [draw_flow_change(config, epoch, row) for epoch in range(8) for row in range(100)]
    assert len({(d.gain_u, d.noise, d.pattern_seed) for d in drawn}) == len(drawn)
    assert draw_flow_change(replace(config, seed=1), 0, 0) != drawn[0]
    gains = np.log([(d.gain_u, d.gain_v) for d in drawn])
    np.testing.assert_allclose(gains.std(axis=0), 0.4, atol=0.04)
    np.testing.assert_allclose(gains.mean(axis=0), 0, atol=0.05)
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.1
    noise = [d.noise for d in drawn]
    assert 0 <= min(noise) < 0.01 and 0.39 < max(noise) <= 0.4
    cut = [d for d in drawn if d.cut_sigma]
    assert len(cut) / len(drawn) == pytest.approx(0.3, abs=0.05)
    assert min(d.cut_sigma for d in cut) >= 0.1 and max(d.cut_sigma for d in cut) <= 0.2
    assert {d.elastic for d in drawn} == {0.025}


def test_settings_do_not_disturb_each_other_and_all_are_off_by_default():
    assert draw_flow_change(settled(), 3, 5) == FlowChange()
    full = settled(**ALL)
    for row in range(20):
        whole = draw_flow_change(full, 1, row)
        for name, value in ALL.items():
            alone = draw_flow_change(settled(**{name: value}), 1, row)
            changed = [f.name for f in fields(FlowChange) if getattr(alone, f.name) != f.default]
            assert all(getattr(alone, field) == getattr(whole, field) for field in changed)
        assert draw_transform(full, 30, 1, row) == draw_transform(settled(), 30, 1, row)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flow_gains": -0.1}, "flow_gains: expected 0 or more, found -0.1"),
        ({"flow_cutout": 1.1}, "flow_cutout: expected 1 or less, found 1.1"),
        ({"flow_elastic": 0.8}, "flow_elastic: expected 0.5 or less, found 0.8"),
        ({"flow_noise": float("nan")}, "flow_noise: expected a finite number"),
        ({"input": "both", "flow_noise": 0.1}, "flow_noise with input both: expected 0, since it is for flow"),
        ({"input": "pixels", "flow_gains": 0.1}, "flow_gains with input pixels: expected 0"),
    ],
)
def test_bad_settings_get_one_clear_line(values, message):
    with pytest.raises(UsageError, match=message):
        settled(**values)


def test_batches_hold_the_drawn_changes_after_the_transforms(tmp_path: Path):
    store = write_store(tmp_path / "fake")
    base = {"data": [str(store.path)], "out": str(tmp_path), "size_px": 32, "workers": 1, "batch": 4}
    config = settled(**base, rotate=5.0, **ALL)
    stores = open_stores(config.data)
    contract = run_contract(config, stores)
    rows = np.arange(12)
    data = TrainingSet(load_features(stores, contract, config), samples_of(stores), Split(rows, rows[:0]), (0.0, 2.0))
    for first in (0, 2):
        batches: Any = training_batches(data, config, 1, first)
        clips = [clip for batch, _ in batches for clip in batch.numpy()]
        for row, clip in zip(epoch_order(rows, config.seed, 1)[4 * first :], clips, strict=True):
            turned = draw_transform(config, contract.frames, 1, row).apply(data.features[np.array([row])][0], "flow")
            change = draw_flow_change(config, 1, row)
            expected = change.apply(turned, contract.crop.size_px, contract.input.strain_gain)
            np.testing.assert_array_equal(clip, expected)
