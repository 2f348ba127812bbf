"""Clips drawn anew in every epoch: the same from a seed, an epoch and a number, and runs on them that go on."""

import io
import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from model.network import load_network
from model.preprocess import NeutralReference, Preprocessor
from tests.helpers.runs import fit_killed
from tests.helpers.stores import write_store
from train.__main__ import main
from train.clips.samples import samples_of
from train.clips.store import ClipStore
from train.clips.unit_targets import UNITS
from train.config_file import config_from
from train.errors import UsageError
from train.fit.fit import fit
from train.fit.resume import read_history
from train.fit.trainer import TrainingProgress
from train.fit_config import TrainConfig
from train.synth.drawn import drawn_face
from train.synth.faces import subjects
from train.synth.fresh_clips import SCALING_EPOCH, FreshClips, FreshPlan, fresh_clips, fresh_split, load_portraits

CLASSES = ("negative", "positive", "surprise", "neutral")


def contract(kind: str = "flow", **changes: object) -> ClipContract:
    reference = Reference("none") if kind == "pixels" else Reference("ema", time_constant_s=2.0)
    settings = {"crop": CropGeometry(), "reference": reference} | changes
    return ClipContract(CLASSES, 30, input=NetworkInput(kind, 32), **settings)  # type: ignore[arg-type]


@cache
def made(seed: int = 0, rates_hz: tuple[float, ...] = (30.0,), kind: str = "flow") -> FreshClips:
    return FreshClips(FreshPlan(CLASSES, 10, seed, rates_hz), [drawn_face(0), drawn_face(1)], contract(kind))


def one_clip(number: tuple[int, int]) -> NDArray:
    return made().clip(*number)


def test_a_clip_follows_from_seed_epoch_and_number_in_any_thread_and_process():
    numbers = [(0, 0), (0, 3), (1, 0), (2, 7), (SCALING_EPOCH, 0)]
    here = [one_clip(number) for number in numbers]
    with ThreadPoolExecutor(3) as pool:
        threads = list(pool.map(one_clip, reversed(numbers)))[::-1]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        processes = list(pool.map(one_clip, numbers))
    for one, two, three in zip(here, threads, processes, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
    assert len({clip.tobytes() for clip in (*here, made(seed=1).clip(0, 0))}) == len(numbers) + 1


@pytest.mark.parametrize(("kind", "dtype"), [("flow", np.float32), ("difference", np.float32), ("pixels", np.uint8)])
def test_clips_are_network_input(kind, dtype):
    clip = made(kind=kind).clip(0, 1)
    assert clip.dtype == dtype
    assert clip.shape == contract(kind).input_shape
    assert clip.std() > 0.01


@pytest.mark.parametrize("rate_hz", [15.0, 25.0, 60.0])
def test_other_frame_rates_are_brought_to_the_contracts(rate_hz):
    """Of the frames that come in between those of a slow camera none stands still, and none jumps."""
    clips = [made(rates_hz=(rate_hz,), kind="difference").clip(0, index) for index in range(4)]
    assert all(clip.shape == contract("difference").input_shape for clip in clips)
    steps = np.array([np.abs(np.diff(clip, axis=0)).mean(axis=(1, 2, 3)) for clip in clips])
    assert (steps > 0).all()


def test_classes_are_balanced_and_people_take_turns():
    clips = made()
    assert np.bincount(clips.labels).tolist() == [3, 3, 2, 2]
    assert clips.people == ("drawn00", "drawn01")
    drawn = {subject: FreshClips(FreshPlan(CLASSES, 10, 0, (30.0,)), [drawn_face(number)], contract()) for number, subject in
             enumerate(clips.people)}  # fmt: skip
    first, second = (clips.clip(SCALING_EPOCH, index) for index in (0, 4))
    np.testing.assert_array_equal(first, drawn["drawn00"].clip(SCALING_EPOCH, 0))
    np.testing.assert_array_equal(second, drawn["drawn01"].clip(SCALING_EPOCH, 4))


def test_echoes_show_the_same_drawing_again_and_keep_none_of_a_past_epoch():
    clips = FreshClips(FreshPlan(CLASSES, 16, 0, (30.0,), echoes=2), [drawn_face(0)], contract())
    assert (clips.drawings, len(clips)) == (8, 16)
    first, again = clips.clip(0, 1), clips.clip(0, 9)
    assert first is again
    np.testing.assert_array_equal(clips.labels[:8], clips.labels[8:])
    later = clips.clip(1, 1)
    assert not np.array_equal(first, later)
    np.testing.assert_array_equal(clips.clip(0, 9), first)


def test_action_units_are_those_of_the_event_that_is_drawn():
    """With every clip, echoed or not; past and slow expressions are none."""
    clips = FreshClips(FreshPlan(CLASSES, 80, 0, (30.0,)), [drawn_face(0)], contract())
    echoed = FreshClips(FreshPlan(CLASSES, 80, 0, (30.0,), echoes=2), [drawn_face(0)], contract())
    for index in (0, 1, 2, 3):
        (clip, units), (first, shown), (again, same) = (
            clips.example(0, index),
            echoed.example(0, index),
            echoed.example(0, index + 40),
        )
        np.testing.assert_array_equal(clip, clips.clip(0, index))
        np.testing.assert_array_equal(clip, first)
        assert again is first and same is shown
        np.testing.assert_array_equal(shown, units)
        assert units.shape == (len(UNITS.names),) and not np.isnan(units).any()
        assert bool(units.any()) == (CLASSES[index] != "neutral")


def test_sides_of_action_units_are_those_of_the_picture():
    """Of one-sided smiles, more moves on the side that is said: the subject's left is the right half of the picture."""
    clips = FreshClips(FreshPlan(("positive",), 60, 4, (30.0,)), [drawn_face(0)], contract("flow"))
    left, right = (UNITS.names.index(f"{side}12") for side in "LR")
    agreed = []
    for index in range(40):
        units = clips.drawn(0, index).units
        if units[left] != units[right]:
            motion = np.abs(clips.clip(0, index)[:, 18:27, :, :2]).max(axis=0).sum(axis=(0, 2))
            agreed.append((motion[16:].sum() > motion[:16].sum()) == bool(units[left]))
    assert len(agreed) >= 8 and np.mean(agreed) > 0.8


def test_a_class_shows_its_motion():
    """Of surprise the brows, of neutral less."""
    clips = FreshClips(FreshPlan(("surprise", "neutral"), 60, 2, (30.0,)), [drawn_face(0)], contract())
    brows = np.array([np.abs(clips.clip(0, index)[:, 3:10, 6:26, 1]).max(axis=0).mean() for index in range(40)])
    assert np.median(brows[::2]) > 1.2 * np.median(brows[1::2])


def test_settling_on_every_third_frame_is_nearly_settling_on_all():
    crops = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8)
    crops[:] = np.linspace(50, 90, 20)[:, np.newaxis, np.newaxis]
    plain, sparse = NeutralReference(contract()), NeutralReference(contract())
    for index, crop in enumerate(crops):
        plain.update(crop, index / 30)
    for index in range(1, 20, 3):
        sparse.update(crops[index], index / 30, 2 if index == 1 else 3)
    assert np.abs(plain.current(crops[0], 1.0) - sparse.current(crops[0], 1.0)).max() < 3
    # What comes next moves both alike, as it would not if seven frames were only seven.
    bright = np.full((8, 8), 255, np.uint8)
    before = plain.current(crops[0], 1.0).copy(), sparse.current(crops[0], 1.0).copy()
    for reference in (plain, sparse):
        reference.update(bright, 20 / 30)
    moved = [float((r.current(bright, 1.0) - b).mean()) for r, b in zip((plain, sparse), before, strict=True)]
    assert moved[0] == pytest.approx(moved[1], rel=0.03)


def test_settling_is_a_step_without_its_features():
    crops = np.random.default_rng(0).integers(0, 256, (4, 128, 128)).astype(np.uint8)
    stepped, settled = Preprocessor(contract("difference")), Preprocessor(contract("difference"))
    for index, crop in enumerate(crops[:3]):
        stepped.step(crop, index / 30)
        settled.settle(crop, index / 30)
    np.testing.assert_array_equal(stepped.step(crops[3], 0.1), settled.step(crops[3], 0.1))
    with pytest.raises(ValueError, match="crop: expected uint8"):
        settled.settle(crops[0, :9], 0.2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    folder = tmp_path_factory.mktemp("data") / "held"
    return write_store(folder, ("ann", "drawn00"), CLASSES, dataset="synthetic")


def settings(store: ClipStore, out: Path, **changes: object) -> TrainConfig:
    base = {"variant": "plain", "input": "difference", "size_px": 32, "epochs": 2, "workers": 1, "batch": 4}
    made = {
        "data": [str(store.path)],
        "out": str(out),
        "made": "drawn:3",
        "made_clips": 24,
        "flip": True,
        "noise": 0.01,
    }
    return config_from(base | made | changes)


def test_nobody_who_is_held_out_or_excluded_is_trained_on(store, tmp_path):
    faces, samples = load_portraits("drawn:3"), samples_of((store,))
    split, left = fresh_split(samples, settings(store, tmp_path), faces)
    assert subjects(left) == ("drawn01", "drawn02")
    assert len(split.validation) == len(samples.ids) and not len(split.train)
    config = settings(store, tmp_path, validation_people=["ann"], exclude_people=["drawn02"])
    split, left = fresh_split(samples, config, faces)
    assert subjects(left) == ("drawn00", "drawn01")
    assert samples.people_of(split.validation) == ["synthetic/ann"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exclude_people": ["drawn01", "drawn02"]}, "expected people to train on"),
        ({"exclude_people": ["nobody"]}, "--exclude-people: expected people of the data"),
        ({"validation_people": ["drawn01"]}, "expected clips of drawn01 in"),
        ({"made": "drawn:none"}, "expected a folder of portraits or drawn:N"),
        ({"made_rates": [5.0]}, "made_rates.0: expected 12 or more, found 5.0"),
        ({"made_clips": 0}, "made_clips: expected 1 or more, found 0"),
        ({"threads": -1}, "threads: expected 0 or more, found -1"),
    ],
)
def test_what_does_not_fit_is_one_line(store, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        fit(settings(store, tmp_path / "run", **changes), Console(file=io.StringIO()))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_classes_that_cannot_be_made_and_missing_photos_are_refused(store, tmp_path, capsys):
    config = settings(store, tmp_path / "run")
    with pytest.raises(UsageError, match=r"--made: expected classes among negative, .*, found calm, angry$"):
        fresh_clips(config, replace(contract(), class_names=("calm", "neutral", "angry")), [drawn_face(0)])
    missing = str(tmp_path / "none")
    command = ["fit", "--data", str(store.path), "--out", str(tmp_path / "run"), "--size-px", "32", "--made", missing]
    assert main(command) == 2
    assert f"{missing}: expected a folder of portraits, found none" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_says_what_it_was_trained_on(store, tmp_path):
    """Killed hard in the middle of the second epoch, just after a backup; the rest must repeat the whole run."""
    whole = fit(settings(store, tmp_path / "whole"), Console(file=io.StringIO()))
    again = settings(store, tmp_path / "killed", backup_steps=2)
    fit_killed(again, epoch=2, step=4)
    seen: list[tuple[int, int]] = []

    class Watched(TrainingProgress):
        def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
            seen.append((epoch, step))

    resumed = fit(again, Console(file=io.StringIO()), listener=Watched)
    assert (seen[0], seen[-1]) == ((2, 3), (2, 6))
    assert resumed["train_n"] == whole["train_n"] == 24 and resumed["train_people"] == 2
    one, two = (read_history(tmp_path / name / "history.jsonl", 9)[1] for name in ("whole", "killed"))
    assert two.val_loss == pytest.approx(one.val_loss, rel=1e-3)
    networks = [load_network(tmp_path / name / "model.keras") for name in ("whole", "killed")]
    for first, second in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=2e-3)
    facts = json.loads((tmp_path / "killed" / "data.json").read_text())
    assert facts["train"]["people"] == ["drawn01", "drawn02"] and len(facts["made"]) == 16
    said = json.loads((tmp_path / "killed" / "contract.json").read_text())["training_data"]
    assert said.startswith("48 clips rendered anew, of 2 people, 24 in each of 2 epochs; best epoch chosen on")


def test_the_benchmark_times_every_way_to_make_clips(tmp_path, capsys):
    out = tmp_path / "bench.json"
    small = ["--clips", "4", "--rounds", "1", "--size-px", "32", "--json", str(out)]
    assert main(["bench", "--generator", "drawn:1", *small]) == 0
    report = json.loads(out.read_text())
    assert [(one["way"], one["workers"]) for one in report["generator"]] == [
        ("exact", 1), ("fast", 1), ("fast", 2), ("fast, and flow", 1), ("fast, and flow", 2),
    ]  # fmt: skip
    assert all(
        one["clips_per_s"] >= one["slowest_clips_per_s"] > 0 and one["cpu_ms"] > 0 for one in report["generator"]
    )
    assert report["command"].startswith("python -m train bench --generator drawn:1") and report["photos"] == 1
    assert main(["bench", "--generator", "--clips", "0"]) == 2
    assert "--clips: expected 1 or more, found 0" in " ".join(capsys.readouterr().err.split())
