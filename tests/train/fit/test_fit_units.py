"""Training with action units: their targets in batches, a run that learns them and goes on, what of it is not known."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from model.contract import ClipContract
from model.network import load_network, network_config
from tests.helpers.stores import CLASSES, write_store
from train.clips.augmentation import draw_transform, mirrored_units
from train.clips.batches import epoch_order, training_batches
from train.clips.samples import Split, TrainingSet, load_features, run_contract, samples_of
from train.clips.store import ClipStore
from train.clips.unit_targets import UNITS, unit_targets
from train.config_file import config_from
from train.files import RunDir
from train.fit.fit import fit
from train.fit.resume import RunKeeper
from train.fit.trainer import Trainer, TrainingProgress
from train.fit_config import TrainConfig

BASE = {"variant": "plain", "input": "difference", "size_px": 32, "epochs": 2, "workers": 1, "batch": 4}
CODES = {"negative": ("4",), "positive": ("L12",), "surprise": ()}


def settings(store: ClipStore, out: Path, **changes: object) -> TrainConfig:
    return config_from(BASE | {"data": [str(store.path)], "out": str(out), "action_units": True} | changes)


def training_set(store: ClipStore, config: TrainConfig) -> TrainingSet:
    features, rows = load_features((store,), run_contract(config, (store,)), config), np.arange(len(store))
    return TrainingSet(features, samples_of((store,)), Split(rows, rows[:0]), (0.0, 2.0))


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_targets_of_action_units_go_with_the_clips_and_are_mirrored_with_them(tmp_path):
    store = write_store(tmp_path / "store", units=CODES)
    config = settings(store, tmp_path, batch=24, flip=True)
    data = training_set(store, config)
    ((_, targets),) = training_batches(data, config, epoch=0)
    order = epoch_order(data.split.train, config.seed, 0)
    np.testing.assert_array_equal(np.argmax(targets["probabilities"], axis=1), data.samples.labels[order])
    left, right = (UNITS.names.index(f"{side}12") for side in "LR")
    flips = 0
    for row, found in zip(order, np.asarray(targets["action_units"]), strict=True):
        flip = draw_transform(config, 9, 0, int(row)).flip
        label = CLASSES[data.samples.labels[row]]
        if label == "surprise":
            assert np.isnan(found).all()
        else:
            expected = unit_targets(label, mirrored_units(CODES[label]) if flip else CODES[label])
            np.testing.assert_array_equal(found, expected)
        if label == "positive":
            flips += flip
            assert (found[left], found[right]) == ((0, 1) if flip else (1, 0))
    assert 0 < flips < 8


def test_action_units_are_learnt_with_the_class_and_an_interrupted_run_repeats_a_whole_one(tmp_path):
    store = write_store(tmp_path / "store", units=CODES)
    losses: dict[str, list[float]] = {"whole": [], "again": []}

    class Interrupted(TrainingProgress):
        def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
            losses["again"].append(loss)
            if (epoch, step) == (2, 3):
                raise KeyboardInterrupt

    class Watched(TrainingProgress):
        def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
            losses["whole"].append(loss)

    more = {"unit_weight": 2.0, "backup_steps": 2}
    metrics = fit(settings(store, tmp_path / "whole", **more), quiet(), listener=Watched)
    again = settings(store, tmp_path / "again", **more)
    with pytest.raises(KeyboardInterrupt):
        fit(again, quiet(), listener=Interrupted)
    resumed = fit(again, quiet())
    networks = [load_network(tmp_path / name / "model.keras") for name in ("whole", "again")]
    for first, second in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=2e-3)
    assert network_config(networks[0]).action_units == len(UNITS.numbers)
    assert losses["again"] == pytest.approx(losses["whole"][: len(losses["again"])], rel=1e-3)
    contract = ClipContract.from_json((tmp_path / "whole" / "contract.json").read_text())
    told = metrics["action_units"]
    assert contract.action_units == replace(UNITS, threshold=told["threshold"])
    saved = json.loads((tmp_path / "whole" / "metrics.json").read_text())["action_units"]
    assert (
        saved["units"]["12"]["known"] == 2 * 2 * 2
    )  # two clips each of two classes with codes, of one person: 8 sides
    assert saved["units"]["12"]["n"] == 2 and saved["units"]["4"]["n"] == 4
    assert 0 <= saved["units"]["12"]["f1"] <= 1 and saved["units"]["12"]["chance_f1"] == pytest.approx(0.4)
    assert resumed["action_units"]["units"].keys() == told["units"].keys()


def test_units_are_learnt_where_they_are_known_alone(tmp_path):
    """Without a code in the data, their layers stay as they were drawn, and the class is learnt none the less."""
    store = write_store(tmp_path / "store", clips_each=1)
    config = settings(store, tmp_path / "run", epochs=1)
    data = training_set(store, config)
    trainer = Trainer(config, data, RunKeeper(RunDir(tmp_path / "run")))
    network, ((clips, targets), *_) = trainer.compiled(), list(training_batches(data, config, 0))
    before = {name: network.get_layer(name).get_weights()[0] for name in ("action_unit_logits", "unit_1", "logits")}
    loss = trainer._class_loss(network.train_on_batch(clips, targets, return_dict=True))
    assert np.isfinite(loss)
    moved = {name: np.abs(network.get_layer(name).get_weights()[0] - was).max() for name, was in before.items()}
    assert moved["logits"] > 0 == moved["action_unit_logits"] == moved["unit_1"]
