"""Training: settings, features, split by people, scaling, batches, and runs that are interrupted and go on."""

import io
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from model.contract import ClipContract
from model.network import load_network, network_config
from model.preprocess import preprocess_clip
from tests.helpers.runs import fit_killed
from tests.helpers.stores import CLASSES, FRAMES, GEOMETRY, LEAD_FRAMES, write_store
from train.clips.batches import epoch_order, training_batches
from train.clips.features import cached_features
from train.clips.samples import (
    FeatureRows,
    Split,
    TrainingSet,
    load_features,
    open_stores,
    resolve_people,
    run_contract,
    samples_of,
    scaling,
    split_by_people,
)
from train.clips.store import ClipRecord, ClipStore, ClipStoreWriter, StoreManifest
from train.config_file import config_from, read_config_file
from train.errors import TrainError, UsageError
from train.files import read_object
from train.fit.fit import fit
from train.fit.resume import EpochResult, best_epoch, read_history
from train.fit.trainer import TrainingProgress
from train.fit_config import PAPER_WEIGHTS, TrainConfig
from train.scores.metrics import scores

BASE = {"variant": "plain", "input": "difference", "size_px": 32, "epochs": 2, "workers": 1, "batch": 4}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "fake")


@pytest.fixture(scope="module")
def finished(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, dict, Path]:
    """A run of three epochs, not interrupted."""
    config = settings(
        store, tmp_path_factory.mktemp("runs") / "whole", epochs=3, noise=0.01, magnify=[0.9, 1.1], rotate=5
    )
    return config, fit(config, quiet(), command="python -m train fit"), Path(config.out)


def settings(store: ClipStore, out: Path, **changes: object) -> TrainConfig:
    return config_from(BASE | {"data": [str(store.path)], "out": str(out)} | changes)


def quiet() -> Console:
    return Console(file=io.StringIO())


# Settings


def test_defaults_are_the_papers_recipe():
    config = config_from({"data": "d", "out": "o"})
    assert (config.epochs, config.batch, config.learning_rate, config.dropout) == (200, 8, 1e-3, 0.3)
    assert [config.learning_rate_at(e) for e in (0, 39, 40, 80)] == pytest.approx([1e-3, 1e-3, 9e-4, 8.1e-4])
    assert config.loss_weights(CLASSES, [5, 5, 5]) == PAPER_WEIGHTS
    assert config.reference_recipe().kind == "ema"


def test_class_weights():
    four = (*CLASSES, "neutral")
    base = {"data": "d", "out": "o"}
    assert config_from(base).loss_weights(four, [10, 20, 30, 40]) == pytest.approx((2.5, 1.25, 100 / 120, 0.625))
    assert config_from(base | {"variant": "plain"}).loss_weights(CLASSES, [1, 2, 3]) == (1.0, 1.0, 1.0)
    # FIELD's composite of 250/109/83 clips.
    balanced = config_from(base | {"class_weights": "balanced"}).loss_weights(CLASSES, [250, 109, 83])
    assert balanced == pytest.approx((0.589, 1.352, 1.775), abs=1e-3)
    assert config_from(base | {"class_weights": [1, 2, 3]}).loss_weights(CLASSES, [1, 1, 1]) == (1, 2, 3)
    with pytest.raises(UsageError, match="one a class"):
        config_from(base | {"class_weights": [1, 2]}).loss_weights(CLASSES, [1, 1, 1])
    with pytest.raises(UsageError, match="class_weights paper"):
        config_from(base | {"class_weights": "paper"}).loss_weights(four, [1, 1, 1, 1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 5}, "'epoch' is unknown; did you mean 'epochs'"),
        ({"epochs": 0}, "epochs: expected 1 or more, found 0"),
        ({"epochs": "many"}, "epochs: expected an integer, found 'many'"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a finite number"),
        ({"variant": "papr"}, "one of plain"),
        ({"input": "edges"}, "input: expected pixels, difference, flow or both, found 'edges'"),
        ({"input": "pixels", "reference": "ema"}, "reference with input pixels: expected none"),
        ({"input": "flow", "reference": "none"}, "reference with input flow: expected ema or lag"),
        ({"size_px": 16}, "size_px"),
        ({"fps": 0}, "fps: expected a number above 0, found 0"),
        ({"dropout": 1.0}, "dropout"),
        ({"average": 1.0}, "average: expected a number below 1, found 1"),
        ({"select": "fixed"}, "select: expected validation or last, found 'fixed'"),
        ({"class_weights": "papr"}, "class_weights: expected auto"),
        ({"validation_share": 1.0}, "validation_share"),
        ({"validation_people": ["a"], "exclude_people": ["a"]}, "nobody who is excluded"),
        ({"time_constant_s": -1.0}, "time_constant_s"),
        ({"data": []}, "add --data DIR"),
        ({"unit_weight": 0}, "unit_weight: expected a number above 0, found 0"),
        ({"action_units": "yes"}, "action_units: expected true or false"),
        ({"flip": "yes"}, "flip: expected true or false"),
        ({"dropout": 10**400}, "dropout: expected a finite number"),
        ({"data": ["a", ["b"]]}, "data.1: expected text, found"),
    ],
)
def test_bad_settings_get_one_clear_line(values, message):
    with pytest.raises(UsageError, match=message) as caught:
        config_from({"data": "d", "out": "o"} | values)
    assert "\n" not in str(caught.value)


def test_config_files_read_back_and_understand_yaml_and_json(tmp_path):
    import yaml

    config = config_from({"data": ["a", "b"], "out": "o", "class_weights": [1.0, 2.0, 3.0], "mixed_precision": "off"})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config.to_dict()))
    assert config_from(read_config_file(tmp_path / "c.yaml")) == config
    (tmp_path / "d.yaml").write_text(
        "data: x\nout: y\nlearning_rate: 1e-3\nmixed_precision: off\nvalidation_people: [a01, 7]\n"
    )
    found = config_from(read_config_file(tmp_path / "d.yaml"))
    assert (found.learning_rate, found.mixed_precision, found.validation_people) == (0.001, "off", ("a01", "7"))
    (tmp_path / "e.json").write_text(json.dumps({"data": ["x"], "out": "y", "epochs": 7}))
    assert config_from(read_config_file(tmp_path / "e.json")).epochs == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "found list"),
        ("a: [", "not YAML or JSON"),
        ("a: 2001-99-99", "not YAML or JSON"),
        ("a: !!timestamp soon", "not YAML or JSON"),
        ("a: " + "[" * 10_000, "not YAML or JSON"),
        (None, "No such file"),
    ],
)
def test_bad_config_files(tmp_path, text, message):
    if text is not None:
        (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_config_file(tmp_path / "c.yaml")


def test_aliases_that_multiply_are_told_in_a_few_words(tmp_path):
    levels = ", ".join(f"&l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    for name in ("data", "epochs", "exclude_people"):
        (tmp_path / "c.yaml").write_text(f"{name}: [&l0 [x], {levels}]\n")
        with pytest.raises(UsageError, match=rf"{name}[.0-9]*: expected") as caught:
            config_from({"data": "d", "out": "o"} | read_config_file(tmp_path / "c.yaml"))
        assert len(str(caught.value)) < 20_000


# People


def test_people_are_never_on_both_sides(store, tmp_path):
    samples = samples_of((store,))
    drawn = set()
    for seed in range(6):
        config = settings(store, tmp_path, validation_share=0.5, exclude_people=["dot"], seed=seed)
        split = split_by_people(samples, config)
        train, held = set(samples.people_of(split.train)), set(samples.people_of(split.validation))
        assert not train & held
        assert train | held == {"fake/ann", "fake/bob", "fake/cid"}
        assert len(split.train) + len(split.validation) == 18
        assert split_by_people(samples, config).train.tolist() == split.train.tolist()
        drawn.add(frozenset(held))
    assert len(drawn) > 1


def test_named_people_are_held_out_and_share_zero_holds_nobody(store, tmp_path):
    samples = samples_of((store,))
    split = split_by_people(samples, settings(store, tmp_path, validation_people=["bob", "fake/dot"]))
    assert samples.people_of(split.validation) == ["fake/bob", "fake/dot"]
    assert len(split_by_people(samples, settings(store, tmp_path, validation_share=0)).validation) == 0


def test_people_who_do_not_fit_are_refused(store, tmp_path):
    samples = samples_of((store,))
    with pytest.raises(
        UsageError, match=r"--validation-people: expected people of the data \(ann, bob, cid, dot\), found 'eve'"
    ):
        split_by_people(samples, settings(store, tmp_path, validation_people=["eve"]))
    with pytest.raises(UsageError, match="some to train on"):
        split_by_people(samples, settings(store, tmp_path, validation_people=["ann", "bob", "cid", "dot"]))
    with pytest.raises(UsageError, match="several datasets; write a/x or b/x"):
        resolve_people(["x"], ["a/x", "b/x"], "--people")


def test_stores_must_fit_together_and_ids_stay_unique(store, tmp_path):
    other = write_store(tmp_path / "other", people=("ann", "eve"), dataset="else")
    samples = samples_of(open_stores([str(store.path), str(other.path)]))
    assert len(set(samples.ids)) == 36
    assert {"fake/ann", "else/ann"} <= set(samples.people)
    four = write_store(tmp_path / "four", class_names=(*CLASSES, "neutral"))
    with pytest.raises(UsageError, match="classes: expected negative, positive, surprise as in"):
        open_stores([str(store.path), str(four.path)])
    with pytest.raises(UsageError, match="colour: rgb asked for"):
        run_contract(settings(store, tmp_path, colour="rgb"), (store,))


# Features


@pytest.mark.parametrize("kind", ["pixels", "difference", "flow", "both"])
def test_cached_features_are_those_of_the_live_preprocessing(store, tmp_path, kind):
    contract = run_contract(settings(store, tmp_path, input=kind), (store,))
    cached = cached_features(store, contract, (tmp_path,), workers=1)
    assert cached.dtype == (np.uint8 if kind == "pixels" else np.float16)
    assert cached.shape == (24, FRAMES - LEAD_FRAMES, 32, 32, 3 if kind in ("flow", "both") else 1)
    for row in (0, 13, 23):
        plain = preprocess_clip(np.array(store.clips[row, ..., 0]), contract, 30.0)
        np.testing.assert_array_equal(cached[row], plain.astype(cached.dtype))
        np.testing.assert_allclose(cached[row], plain, atol=0.03)


def test_rgb_clips_read_as_grey(tmp_path):
    grey, rgb = write_store(tmp_path / "grey"), write_store(tmp_path / "rgb", colour="rgb")
    both = [cached_features(s, run_contract(settings(s, tmp_path), (s,)), (tmp_path,), workers=1) for s in (grey, rgb)]
    np.testing.assert_array_equal(*both)
    in_colour = cached_features(
        rgb, run_contract(settings(rgb, tmp_path, colour="rgb"), (rgb,)), (tmp_path,), workers=1
    )
    np.testing.assert_array_equal(in_colour[..., 1:2], both[0])


def test_frames_are_put_on_the_grid_that_is_asked_for(store, tmp_path):
    """As many as lie within the window of nine frames at 30 fps."""
    contract = run_contract(settings(store, tmp_path, input="flow", fps=36), (store,))
    assert (contract.frames, contract.fps) == (10, 36.0)
    found = cached_features(store, contract, (tmp_path,), workers=1)
    plain = preprocess_clip(np.array(store.clips[3, ..., 0]), contract, 30.0)
    np.testing.assert_array_equal(found[3], plain.astype(np.float16))
    with pytest.raises(UsageError, match="frames: expected an integer of 9 or more, found 5"):
        run_contract(settings(store, tmp_path, fps=15), (store,))


def test_half_the_frames_of_a_longer_window_are_every_second_one(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (20, 32, 32)).astype(np.uint8)
    manifest = StoreManifest(CLASSES, 30.0, GEOMETRY, "grey", 20, 2)
    with ClipStoreWriter(tmp_path / "long", manifest) as writer:
        writer.add(ClipRecord("one", "ann", "positive", "fake", window_start=2), grey[..., np.newaxis])
    long = ClipStore.open(tmp_path / "long")
    whole, half = (run_contract(settings(long, tmp_path, fps=fps), (long,)) for fps in (None, 15))
    assert (whole.frames, half.frames, half.fps) == (18, 9, 15.0)
    pair = [cached_features(long, contract, (tmp_path,), workers=1)[0] for contract in (whole, half)]
    np.testing.assert_array_equal(pair[0][::2], pair[1])


def test_several_processes_give_the_same_and_the_cache_is_used_until_something_changes(store, tmp_path):
    contract = run_contract(settings(store, tmp_path), (store,))
    alone = cached_features(store, contract, (tmp_path / "a",), workers=1)
    done: list[int] = []
    together = cached_features(store, contract, (tmp_path / "b",), workers=2, advance=done.append)
    np.testing.assert_array_equal(alone, together)
    assert sum(done) == 24
    assert len(done) == 2
    before = sorted((tmp_path / "b").iterdir())
    cached_features(store, contract, (tmp_path / "a", tmp_path / "b"), workers=1, advance=done.append)
    assert sorted((tmp_path / "b").iterdir()) == before
    slower = replace(contract, reference=replace(contract.reference, time_constant_s=9.0))
    cached_features(store, slower, (tmp_path / "b",), workers=1)
    assert len(list((tmp_path / "b").iterdir())) == 2


def test_features_that_cannot_be_kept_or_computed_leave_nothing(store, tmp_path):
    contract = run_contract(settings(store, tmp_path), (store,))
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match="no place for features"):
        cached_features(store, contract, (tmp_path / "file",), workers=1)
    slow = replace(contract, frames=30)
    with pytest.raises(TrainError, match="clip clip-001: clip: expected 30 frames"):
        cached_features(store, slow, (tmp_path / "new",), workers=1)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_full_disk_is_said_before_features_are_computed(store, tmp_path):
    """Written through a map of a sparse file, a full disk would kill the process."""
    contract, disk = run_contract(settings(store, tmp_path), (store,)), tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        with pytest.raises(TrainError, match=r"disk: no room for the prepared clips, \d+ MB; .*--cache-dir"):
            cached_features(store, contract, (disk,), workers=1)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Scaling and batches


def test_scaling_comes_from_the_training_people_alone(store, tmp_path):
    for kind in ("pixels", "flow"):
        config = settings(store, tmp_path, input=kind, validation_people=["dot"])
        features = load_features((store,), run_contract(config, (store,)), config)
        train = split_by_people(samples_of((store,)), config).train
        offset, scale = scaling(features, train)
        values = features[train].astype(np.float64)
        if kind == "pixels":
            assert (offset, scale) == pytest.approx((values.mean(), values.max() - values.mean()))
        else:
            assert (offset, scale) == pytest.approx((0.0, np.sqrt((values**2).mean())))
        assert (offset, scale) != pytest.approx(scaling(features, np.arange(24)), rel=1e-6)


def test_feature_rows_over_several_parts_keep_the_order_asked_for():
    first, second = np.arange(6).reshape(3, 2), np.arange(10, 18).reshape(4, 2)
    rows = FeatureRows([first, second])
    assert rows.shape == (7, 2)
    order = np.array([6, 0, 3, 2, 5])
    np.testing.assert_array_equal(rows[order], np.concatenate([first, second])[order])


def training_set(
    store: ClipStore, config: TrainConfig, rows: np.ndarray, scaling_used: tuple[float, float]
) -> TrainingSet:
    features = load_features((store,), run_contract(config, (store,)), config)
    return TrainingSet(features, samples_of((store,)), Split(rows, rows[:0]), scaling_used)


def batches(
    data: TrainingSet, config: TrainConfig, epoch: int = 0, first: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(clips.numpy(), targets.numpy()) for clips, targets in training_batches(data, config, epoch, first)]


def test_an_epoch_holds_every_clip_once_and_goes_on_in_the_middle(store, tmp_path):
    config = settings(store, tmp_path, batch=5, noise=0.1, magnify=[0.8, 1.2], time_jitter=0.1)
    data = training_set(store, config, np.arange(3, 24), (0.0, 2.0))
    whole = batches(data, config, epoch=1)
    assert [len(clips) for clips, _ in whole] == [5, 5, 5, 5, 1]
    np.testing.assert_array_equal(sum(t.sum(axis=0) for _, t in whole), data.samples.counts(data.split.train))
    for (clips, targets), (again, same) in zip(whole[2:], batches(data, config, epoch=1, first=2), strict=True):
        np.testing.assert_array_equal(clips, again)
        np.testing.assert_array_equal(targets, same)
    assert not np.array_equal(whole[0][0], batches(data, config, epoch=2)[0][0])


def test_without_augmentation_batches_are_the_cached_features(store, tmp_path):
    config = settings(store, tmp_path, flip=False, batch=24)
    data = training_set(store, config, np.arange(24), (0.0, 2.0))
    ((clips, targets),) = batches(data, config)
    order = epoch_order(data.split.train, config.seed, 0)
    np.testing.assert_array_equal(clips, data.features[order].astype(np.float32))
    np.testing.assert_array_equal(targets.argmax(axis=1), data.samples.labels[order])


def test_pixels_stay_bytes_through_noise_and_contrast(store, tmp_path):
    config = settings(store, tmp_path, input="pixels", noise=0.05, contrast=0.2, flip=False)
    data = training_set(store, config, np.arange(24), (90.0, 150.0))
    clips = batches(data, config)[0][0]
    calm = batches(data, replace(config, noise=0.0, contrast=0.0))[0][0]
    assert clips.dtype == np.uint8
    assert 2 < np.abs(clips.astype(int) - calm.astype(int)).mean() < 40


# Runs


def test_a_run_leaves_everything_that_is_needed(finished, store):
    config, metrics, out = finished
    for name in ("model.keras", "curves.png", "confusion.png", "config.yaml", "samples.npy", "data.json"):
        assert (out / name).stat().st_size > 0
    assert not (out / "backup").exists()
    assert list(out.glob("best-*")) == []
    assert any((out / "tensorboard" / "validation").iterdir())
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert metrics["epochs"] == 3
    assert metrics["command"] == "python -m train fit"
    assert set(metrics["validation_people"]) < {"fake/ann", "fake/bob", "fake/cid", "fake/dot"}
    assert metrics["train_n"] + metrics["n"] == 24
    assert sum(row["n"] for row in metrics["by_peak"].values()) == metrics["n"]
    assert config_from(read_config_file(out / "config.yaml")) == config


def test_the_best_epoch_is_chosen_by_uf1_on_held_out_people(finished):
    _, metrics, out = finished
    history = read_history(out / "history.jsonl", 99)
    assert [result.epoch for result in history] == [1, 2, 3]
    ranked = max(history, key=lambda r: (r.val_uf1, -r.val_loss, -r.epoch))
    assert metrics["best_epoch"] == ranked.epoch == best_epoch(history).epoch
    assert metrics["uf1"] == pytest.approx(ranked.val_uf1)
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    confusion = np.zeros((3, 3), int)
    for line in lines:
        assert line["person"] in metrics["validation_people"]
        answer = max(line["probabilities"], key=line["probabilities"].get)
        confusion[CLASSES.index(line["label"]), CLASSES.index(answer)] += 1
    assert scores(confusion, CLASSES).uf1 == pytest.approx(metrics["uf1"])


def test_the_contract_says_what_was_trained_and_how_well(finished):
    _, metrics, out = finished
    contract = ClipContract.from_json((out / "contract.json").read_text())
    assert contract.class_names == CLASSES
    assert contract.frames == FRAMES - LEAD_FRAMES
    assert contract.scores["uf1"] == metrics["uf1"]
    assert contract.scores["chance_uf1"] == metrics["chance_uf1"] > 0
    assert "clips of 3 people from: fake" in contract.training_data
    built = network_config(load_network(out / "model.keras"))
    assert (built.offset, built.scale) == (contract.input.offset, contract.input.scale)
    assert built.input_shape == contract.input_shape


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_ends_as_if_it_never_stopped(finished, store, tmp_path):
    """Killed hard in the middle of the second epoch, just after a backup; the rest must repeat the whole run."""
    config, metrics, out = finished
    again = config_from(config.to_dict() | {"out": str(tmp_path / "killed"), "backup_steps": 2})
    fit_killed(again, epoch=2, step=4)
    state = json.loads((tmp_path / "killed" / "backup" / "state.json").read_text())
    assert (state["epoch"], state["step"]) == (1, 2)
    seen: list[tuple[int, int]] = []

    class Watched(TrainingProgress):
        def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
            seen.append((epoch, step))

    resumed = fit(again, quiet(), listener=Watched)
    steps = -(-resumed["train_n"] // again.batch)
    assert seen[0] == (2, 3)
    assert seen[-1] == (3, steps)
    histories = [read_history(path / "history.jsonl", 99) for path in (out, tmp_path / "killed")]
    assert [result.epoch for result in histories[1]] == [1, 2, 3]
    # The loss of the second epoch is over fewer steps; all else repeats, but for rounding on several threads.
    assert histories[1][2].loss == pytest.approx(histories[0][2].loss, rel=1e-3)
    assert histories[1][2].val_loss == pytest.approx(histories[0][2].val_loss, rel=1e-3)
    assert resumed["best_epoch"] == metrics["best_epoch"]
    networks = [load_network(path / "model.keras") for path in (out, tmp_path / "killed")]
    for one, two in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-3)


def test_an_interrupted_run_refuses_other_settings_and_changed_data(store, tmp_path):
    class Interrupted(TrainingProgress):
        def epoch(self, result: EpochResult) -> None:
            raise KeyboardInterrupt

    config = settings(store, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        fit(config, quiet(), listener=Interrupted)
    with pytest.raises(UsageError, match=r"unfinished run with other settings \(learning_rate was 0.001, is now 0.1\)"):
        fit(replace(config, learning_rate=0.1), quiet())
    facts = json.loads((tmp_path / "run" / "data.json").read_text())
    (tmp_path / "run" / "data.json").write_text(json.dumps(facts | {"scale": 1.25}))
    with pytest.raises(UsageError, match=r"the data changed since this run began \(scale\)"):
        fit(config, quiet())


def test_a_finished_run_and_foreign_folders_are_refused(finished, store, tmp_path):
    config, _, out = finished
    with pytest.raises(UsageError, match=r"holds a finished run.*--overwrite"):
        fit(config, quiet())
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="found other files"):
        fit(settings(store, tmp_path), quiet(), overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (out / "metrics.json").is_file()


def test_overwriting_without_validation_in_mixed_precision_keeps_the_last_epoch_in_float32(store, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(settings(store, out, epochs=5), quiet(), listener=_StopsAtOnce)
    before = keras.config.dtype_policy()
    metrics = fit(settings(store, out, validation_share=0, mixed_precision="on"), quiet(), overwrite=True)
    assert keras.config.dtype_policy() == before
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    assert "uf1" not in metrics
    network = load_network(out / "model.keras")
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert not (out / "confusion.png").exists()


class _StopsAtOnce(TrainingProgress):
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        raise KeyboardInterrupt


def test_progress_tells_each_epoch_in_a_line_where_there_is_no_terminal():
    console = quiet()
    with TrainingProgress(console, 2) as progress:
        progress.step(1, 1, 3, 0.5)
        progress.epoch(EpochResult(1, 0.5, 1e-3, 0.4, 0.75, 0.7, 0.7, True, 1.0, 20.0))
        progress.epoch(EpochResult(2, 0.4, 1e-3, 0.5, 0.5, 0.5, 0.5, False, 1.0, 20.0))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "epoch 1/2: loss 0.500, UF1 0.750 (best 0.750), 20.0 clips/s"
    assert lines[1] == "epoch 2/2: loss 0.400, UF1 0.500 (best 0.750), 20.0 clips/s"


def test_half_a_line_of_history_is_cut(tmp_path):
    row = EpochResult(1, 0.5, 1e-3, None, None, None, None, True, 1.0, 20.0)
    from train.fit.resume import append_result

    append_result(tmp_path / "h", row)
    with (tmp_path / "h").open("a") as file:
        file.write('{"epoch": 2, "lo')
    assert read_history(tmp_path / "h", 1) == [row]
    assert len((tmp_path / "h").read_text().splitlines()) == 1
    assert os.listdir(tmp_path) == ["h"]


@pytest.mark.parametrize("text", ["{", "[1]\n", '{"epoch": 1}\n', "[" * 10_000, "\xff"])
def test_a_damaged_history_is_said_in_one_line(tmp_path, text):
    (tmp_path / "h").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="begin again with --overwrite"):
        read_history(tmp_path / "h", 1)


@pytest.mark.parametrize("text", ["{", "[1]\n", "[" * 10_000, "\xff"])
def test_a_file_without_its_object_is_said_in_one_line(tmp_path, text):
    (tmp_path / "state.json").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"state.json: expected where it stopped, found"):
        read_object(tmp_path / "state.json", "where it stopped")
