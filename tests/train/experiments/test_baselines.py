"""Baselines: the shallow flow network, the landmark rule, the majority, and the spec that compares them."""

import io
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from model.config import NetworkConfig
from model.contract import CropGeometry
from model.preprocess import crop_face, eye_transform
from model.variants import VARIANTS
from stream.face.landmarks import FaceMeshDetector, eye_centres
from tests.helpers.faces import portrait
from tests.helpers.paths import ROOT
from tests.helpers.stores import write_store
from train.clips.store import ClipRecord, ClipStore, ClipStoreWriter, StoreManifest
from train.config_file import config_from
from train.errors import UsageError
from train.experiments import landmark_rule as landmark_motion
from train.experiments.kinds import majority_answers
from train.experiments.landmark_rule import (
    MOTION_SHAPE,
    PARTS,
    LandmarkRule,
    clip_motion,
    fit_rule,
    largest_motion,
    rule_answers,
)
from train.experiments.rows import RowAnswers, RowTask
from train.experiments.shallow_flow import (
    AreaAverage,
    BestWeights,
    LargestMotion,
    area_shares,
    build_shallow_flow,
    flow_answers,
)
from train.experiments.spec import read_spec
from train.fit.resume import EpochResult
from train.scores.metrics import summary

FOUR = ("negative", "positive", "surprise", "neutral")
SPEC = ROOT / "docs" / "experiments" / "comparison.yaml"


def flow_config(size_px: int = 32, classes: int = 3, **changes: Any) -> NetworkConfig:
    return NetworkConfig(depth=9, size_px=size_px, classes=classes, input_dtype="float32", **changes)


def task(data: ClipStore, out: Path, test: tuple[str, ...] = (), **changes: Any) -> RowTask:
    settings = {"data": [str(data.path)], "out": str(out), "validation_people": ["dot"], "size_px": 32, "epochs": 1}
    values = {**settings, "batch": 4, "workers": 1, "class_weights": "none", **changes}
    return RowTask(config_from(values), {}, test, Console(file=io.StringIO()))


def uf1(store: ClipStore, found: RowAnswers) -> float:
    labels = dict(zip((record.id for record in store.records), store.labels.tolist(), strict=True))
    answers = found.validation
    truth = [labels[clip] for clip in answers.ids]
    return summary(truth, answers.probabilities.argmax(axis=1), store.manifest.class_names)["uf1"]


# The shallow network


def test_it_has_as_many_parameters_as_the_published_network() -> None:
    assert build_shallow_flow(flow_config()).count_params() == 1715
    assert build_shallow_flow(flow_config(48, classes=4)).count_params() == 1715 + 401


def test_it_looks_at_the_frame_where_most_moves_whatever_the_strain() -> None:
    rng = np.random.default_rng(0)
    clips = rng.normal(0, 0.1, (3, 9, 32, 32, 3)).astype(np.float32)
    frames = (4, 0, 8)
    for clip, frame in zip(clips, frames, strict=True):
        clip[frame, 8:16, 8:16, frame % 2] += 3.0
        clip[5, :, :, 2] += 50.0
    chosen = np.asarray(LargestMotion()(clips))
    assert np.array_equal(chosen, np.stack([clip[frame] for clip, frame in zip(clips, frames, strict=True)]))


@pytest.mark.parametrize("size_px", [28, 32, 48, 56, 128])
def test_pictures_are_averaged_by_area_as_opencv_does(size_px: int) -> None:
    pictures = np.random.default_rng(1).normal(size=(2, size_px, size_px, 3)).astype(np.float32)
    expected = np.stack([cv2.resize(picture, (28, 28), interpolation=cv2.INTER_AREA) for picture in pictures])
    np.testing.assert_allclose(np.asarray(AreaAverage(28)(pictures)), expected, atol=2e-5)


def test_what_it_cannot_use_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a size of 28 px or more, found 20 px"):
        area_shares(20, 28)
    for config in (flow_config(channels=1), NetworkConfig(input_dtype="uint8")):
        with pytest.raises(ValueError, match="expected flow"):
            build_shallow_flow(config)


def test_it_is_saved_and_read_back(tmp_path: Path) -> None:
    network = build_shallow_flow(flow_config(scale=2.0))
    clips = np.random.default_rng(2).normal(size=(2, 9, 32, 32, 3)).astype(np.float32)
    network.save(tmp_path / "shallow.keras")
    again: Any = keras.models.load_model(tmp_path / "shallow.keras")
    answers = network.predict_on_batch(clips)
    assert np.array_equal(again.predict_on_batch(clips), answers)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)


def test_the_best_epochs_weights_are_kept() -> None:
    network, keeper = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)]), BestWeights()
    history: list[EpochResult] = []
    for epoch, best in enumerate((True, False, True, False), start=1):
        network.set_weights([np.full((1, 1), float(epoch))])
        history.append(EpochResult(epoch, 1.0, 1e-3, 1.0, 0.5, 0.5, 0.5, best, 1.0, 1.0))
        keeper.epoch(network, network, history)
    assert keeper.weights[0].item() == 3


def test_it_learns_what_moves_where_and_answers_every_clip(tmp_path: Path) -> None:
    data = write_store(tmp_path / "data", clips_each=12)
    other = write_store(tmp_path / "other", ("eve",), seed=9)
    learned = {"epochs": 12, "learning_rate": 1e-2, "dropout": 0.0}
    found = flow_answers(task(data, tmp_path / "run", (str(other.path),), **learned))
    assert found.parameters == 1715
    assert set(found.validation.ids) == {record.id for record in data.records if record.subject == "dot"}
    assert found.test[str(other.path)].ids == tuple(record.id for record in other.records)
    assert uf1(data, found) > 0.8
    alone = flow_answers(task(data, tmp_path / "again", **learned))  # another test store has no part in it
    np.testing.assert_allclose(alone.validation.probabilities, found.validation.probabilities, atol=1e-3)


def test_a_row_of_pixels_or_of_clips_made_anew_is_refused(tmp_path: Path) -> None:
    data = write_store(tmp_path / "data")
    with pytest.raises(UsageError, match="expected input flow, found pixels"):
        flow_answers(task(data, tmp_path / "run", input="pixels"))
    for answers in (flow_answers, rule_answers):
        with pytest.raises(UsageError, match="made: expected none"):
            answers(task(data, tmp_path / "run", made="drawn:3"))


# The landmark rule


RULE = LandmarkRule(brow_px=0.5, corner_px=0.6, any_px=0.8, brow_to_corner=1.0)


def motion(**parts: tuple[float, float]) -> np.ndarray:
    """(parts, sides, 2): each named part moves so far outward and down, on both sides."""
    found = np.zeros(MOTION_SHAPE, np.float32)
    for name, moved in parts.items():
        found[PARTS.index(name.replace("_", " "))] = moved
    return found


@pytest.mark.parametrize(
    ("moved", "label"),
    [
        (motion(inner_brow=(0, -0.9), outer_brow=(0, -0.6)), "surprise"),
        (motion(outer_brow=(0, -0.9)), "surprise"),
        (motion(outer_brow=(0, -0.9), mouth_corner=(1, -1)), "positive"),  # the corner goes farther
        (motion(mouth_corner=(0.6, -0.6), cheek=(0, -0.5)), "positive"),
        (motion(inner_brow=(-0.4, 0.8)), "negative"),
        (motion(mouth_corner=(0.1, 0.9)), "negative"),
        (motion(upper_lid=(0, 4.0)), "neutral"),  # a blink
        (motion(inner_brow=(0, -0.2), mouth_corner=(0.2, 0)), "neutral"),
    ],
)
def test_motions_are_called_what_the_rule_says(moved: np.ndarray, label: str) -> None:
    assert FOUR[RULE.classes(moved[np.newaxis], FOUR)[0]] == label
    three = RULE.classes(moved[np.newaxis], ("surprise", "negative", "positive"))[0]
    assert ("surprise", "negative", "positive")[three] == (label if label != "neutral" else "negative")


def test_one_raised_mouth_corner_is_enough() -> None:
    one_sided = motion(mouth_corner=(0.6, -0.6))
    one_sided[:, 1] = 0
    assert FOUR[RULE.classes(one_sided[np.newaxis], FOUR)[0]] == "positive"


@given(st.integers(0, 2**32 - 1))
def test_a_mirrored_face_is_called_the_same(seed: int) -> None:
    motions = np.random.default_rng(seed).normal(0, 1, (20, *MOTION_SHAPE)).astype(np.float32)
    assert np.array_equal(RULE.classes(motions, FOUR), RULE.classes(motions[:, :, ::-1], FOUR))


def test_thresholds_are_found_again() -> None:
    rng = np.random.default_rng(3)
    motions = rng.normal(0, 0.6, (400, *MOTION_SHAPE)).astype(np.float32)
    truth = LandmarkRule(0.4, 0.9, 1.5, 1.3)
    fitted = fit_rule(motions[:300], truth.classes(motions[:300], FOUR), FOUR)
    agree = fitted.classes(motions[300:], FOUR) == truth.classes(motions[300:], FOUR)
    assert agree.mean() > 0.97
    assert (RULE.classes(motions[300:], FOUR) == truth.classes(motions[300:], FOUR)).mean() < 0.9


def test_classes_that_the_rule_does_not_know_are_refused() -> None:
    for names in (("negative", "positive"), ("negative", "positive", "surprise", "anger")):
        with pytest.raises(UsageError, match="landmark rule: expected the classes negative, positive, surprise"):
            RULE.classes(np.zeros((1, *MOTION_SHAPE), np.float32), names)


def test_the_heads_way_is_taken_out_and_outward_is_outward_on_both_sides() -> None:
    rng = np.random.default_rng(4)
    landmarks = np.tile(rng.uniform(20, 100, (468, 2)), (12, 1, 1)).astype(np.float32)
    for left, right in zip((61, 57, 185, 146), (291, 287, 409, 375), strict=True):
        landmarks[8, left] += (-2, -1)
        landmarks[8, right] += (2, -1)
    landmarks[7, (107, 66, 55, 65), 1] -= 0.5  # less, earlier
    expected = motion(mouth_corner=(2, -1))
    np.testing.assert_allclose(largest_motion(landmarks, 5), expected, atol=1e-4)
    head = rng.normal(0, 3, (12, 1, 2)).astype(np.float32)
    head[:5] = 0  # the resting face is where it was
    np.testing.assert_allclose(largest_motion(landmarks + head, 5), expected, atol=1e-4)


def face_crop(geometry: CropGeometry) -> np.ndarray:
    with FaceMeshDetector(static=True) as detector:
        eyes = eye_centres(detector.detect(portrait())[0])
    return crop_face(portrait(), eye_transform(*eyes, geometry), geometry, "grey")


def test_brows_that_rise_in_a_clip_are_measured_in_pixels_of_the_usual_crop(tmp_path: Path) -> None:
    geometry, frames, lead = CropGeometry(), 24, 12
    crop = face_crop(geometry)
    y, x = np.mgrid[: geometry.size_px, : geometry.size_px].astype(np.float32)
    weight = np.exp(-((y - 27) ** 2) / (2 * 7**2))
    clip = np.repeat(crop[np.newaxis, ..., np.newaxis], frames, axis=0)
    for frame in range(16, 20):
        clip[frame, ..., 0] = cv2.remap(crop, x, y + 3.0 * weight, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    manifest = StoreManifest(FOUR, 30.0, geometry, "grey", frames, lead)
    with ClipStoreWriter(tmp_path / "one", manifest) as writer:
        for name, shown in (("up", clip), ("still", clip[:1].repeat(frames, 0)), ("empty", np.zeros_like(clip))):
            writer.add(ClipRecord(name, "ann", "surprise", "fake", window_start=lead), shown)
    store = ClipStore.open(tmp_path / "one")
    with FaceMeshDetector() as detector:
        up, still, empty = (clip_motion(store, row, detector) for row in range(3))
    rise = -up[:2, :, 1].mean(axis=1)
    assert 1.0 < rise.max() < 4.0
    assert np.abs(still).max() < 0.2
    assert not empty.any()
    assert [FOUR[c] for c in RULE.classes(np.stack([up, still, empty]), FOUR)] == ["surprise", "neutral", "neutral"]


def test_thresholds_come_from_the_training_people_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_store(tmp_path / "data", clips_each=20)
    other = write_store(tmp_path / "other", ("eve",), seed=9)
    parts = {"negative": motion(inner_brow=(0, 1)), "positive": motion(mouth_corner=(1, -1))}
    parts["surprise"] = motion(inner_brow=(0, -1))
    asked: list[str] = []

    def measured(meter: Any, rows: np.ndarray) -> np.ndarray:
        store = meter.store
        asked.append(store.path.name)
        # Of the held-out people everything is the wrong way round, which must change nothing.
        sign = [-1 if store.records[row].subject in ("dot", "eve") else 1 for row in rows]
        return np.stack([s * parts[store.records[row].label] for s, row in zip(sign, rows, strict=True)])

    monkeypatch.setattr(landmark_motion.ClipMeter, "motions", measured)
    asked_of = task(data, tmp_path / "run", (str(other.path),))
    found = rule_answers(asked_of)
    assert found.parameters == 0
    assert len(found.validation.ids) == 60
    assert found.test[str(other.path)].probabilities.shape == (6, 3)
    assert uf1(data, found) < 0.3
    again = rule_answers(asked_of)
    assert np.array_equal(again.validation.probabilities, found.validation.probabilities)
    assert sorted(asked) == ["data"] * -(-240 // 64) + ["other"]  # kept, and not measured again


def test_the_most_frequent_class_of_the_training_people_is_the_answer(tmp_path: Path) -> None:
    every = write_store(tmp_path / "every", clips_each=3)
    # Fewer negative clips, among the training people alone.
    kept = [n for n, r in enumerate(every.records) if r.subject in ("ann", "dot") or r.label != "negative"]
    with ClipStoreWriter(tmp_path / "data", every.manifest) as writer:
        for row in kept:
            writer.add(every.records[row], np.asarray(every.clips[row]))
    data, other = ClipStore.open(tmp_path / "data"), write_store(tmp_path / "other", ("eve",), seed=9)
    found = majority_answers(task(data, tmp_path / "run", (str(other.path),)))
    for answers, count in ((found.validation, 9), (found.test[str(other.path)], 6)):
        assert answers.probabilities.tolist() == [[0, 1, 0]] * count
    assert uf1(data, found) == pytest.approx(0.5 / 3)


# The comparison


def test_the_comparison_has_every_row_trained_alike(tmp_path: Path) -> None:
    spec = read_spec(SPEC)
    assert {row.kind for row in spec.rows} == {"network", "shallow_flow", "landmark_rule", "majority"}
    rows = {row.name: row for row in spec.rows}
    configs = {name: row.config({**spec.base, "data": ["x"]}, tmp_path, 0) for name, row in rows.items()}
    networks = {name: config for name, config in configs.items() if rows[name].kind == "network"}
    assert {config.variant for config in networks.values()} == set(VARIANTS)
    main = networks.pop("network")
    assert (main.variant, main.input) == ("paper", "flow")
    raw = networks.pop("raw-rgb")
    assert set(main.differences(raw)) == {"input", "colour", "reference"}
    assert (raw.input, raw.colour, raw.reference) == ("pixels", "rgb", "none")
    for config in networks.values():
        assert set(main.differences(config)) == {"variant"}
    assert set(main.differences(configs["shallow-flow"])) == {"learning_rate"}
    assert all(len(row.seeds) == 3 for row in spec.rows if row.kind in ("network", "shallow_flow"))
