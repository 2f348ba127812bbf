"""Averaged weights, and epochs that are fixed in advance."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from model.network import load_network
from tests.helpers.paths import ROOT
from tests.helpers.stores import write_store
from train.clips.samples import TrainingSet, load_features, open_stores, run_contract, samples_of, split_by_people
from train.clips.store import ClipStore
from train.config_file import config_from
from train.fit.fit import fit
from train.fit.resume import EpochResult, Position, read_history
from train.fit.trainer import Trainer, TrainingProgress, predict
from train.fit_config import TrainConfig

BASE = {"variant": "plain", "input": "difference", "size_px": 32, "epochs": 2, "workers": 1, "batch": 4}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "fake")


def settings(store: ClipStore, out: Path, **changes: object) -> TrainConfig:
    return config_from(BASE | {"data": [str(store.path)], "out": str(out)} | changes)


def quiet() -> Console:
    return Console(file=io.StringIO())


class Watching:
    """A keeper that notes the trained weights after every step, and the averages after every epoch."""

    def __init__(self) -> None:
        self.steps: list[list[NDArray]] = []
        self.averages: list[list[NDArray]] = []
        self.answers: list[keras.Model] = []

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        return Position(), []

    def step(self, network: keras.Model, position: Position) -> None:
        self.steps.append(network.get_weights())

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        self.steps.append(network.get_weights())
        self.averages.append(answering.get_weights())
        self.answers.append(answering)


def trained(config: TrainConfig) -> tuple[Watching, list[EpochResult], TrainingSet]:
    stores = open_stores(config.data)
    samples = samples_of(stores)
    features = load_features(stores, run_contract(config, stores), config)
    data, keeper = TrainingSet(features, samples, split_by_people(samples, config), (0.0, 10.0)), Watching()
    history = Trainer(config, data, keeper).train(TrainingProgress(quiet(), config.epochs))
    return keeper, history, data


def test_the_average_begins_with_the_first_step_and_is_what_answers(store, tmp_path):
    config = settings(store, tmp_path, average=0.8, backup_steps=1)
    keeper, history, data = trained(config)
    steps = len(keeper.steps) // 2
    average = keeper.steps[0]
    for number, weights in enumerate(keeper.steps[1:], start=2):
        average = [0.8 * mean + 0.2 * value for mean, value in zip(average, weights, strict=True)]
        if number % steps == 0:
            for mean, kept in zip(average, keeper.averages[number // steps - 1], strict=True):
                np.testing.assert_allclose(kept, mean, rtol=1e-4, atol=1e-6)
    apart = [np.abs(raw - kept).max() for raw, kept in zip(keeper.steps[-1], keeper.averages[-1], strict=True)]
    assert max(apart) > 1e-4
    rows = data.split.validation
    answers = predict(keeper.answers[-1], data.features, rows, 4).argmax(axis=1)
    assert history[-1].val_accuracy == pytest.approx((answers == data.samples.labels[rows]).mean())


def test_without_an_average_the_trained_network_answers(store, tmp_path):
    keeper, _, _ = trained(settings(store, tmp_path, epochs=1))
    for raw, kept in zip(keeper.steps[-1], keeper.averages[-1], strict=True):
        np.testing.assert_array_equal(raw, kept)


def test_epochs_fixed_in_advance_keep_the_last_and_show_the_scores(store, tmp_path):
    config = settings(store, tmp_path / "run", select="last", average=0.9, validation_people=["dot"], note="A note.")
    metrics = fit(config, quiet())
    history = read_history(tmp_path / "run" / "history.jsonl", 99)
    assert metrics["best_epoch"] == 2 and [result.best for result in history] == [True, True]
    assert metrics["uf1"] == pytest.approx(history[-1].val_uf1) and metrics["n"] == 6
    told = json.loads((tmp_path / "run" / "contract.json").read_text())["training_data"]
    assert told.endswith("; 2 epochs, fixed in advance, scored on 6 clips of 1 other people. A note.")
    assert list((tmp_path / "run").glob("best-*")) == []


_WHOLE_AND_INTERRUPTED = """
import io, json, sys
from dataclasses import replace
from train.loso.fold import prepare_process
prepare_process(1)
from rich.console import Console
from train.config_file import config_from
from train.fit.fit import fit
from train.fit.trainer import TrainingProgress

class Interrupted(TrainingProgress):
    def step(self, epoch, step, steps, loss):
        if (epoch, step) == (2, 4):
            raise KeyboardInterrupt

config = config_from(json.loads(sys.argv[1]))
for name, changes in (("whole", {}), ("plain", {"average": 0.0}), ("stopped", {"backup_steps": 3})):
    run = replace(config, out=f"{config.out}/{name}", **changes)
    if name == "stopped":
        try:
            fit(run, Console(file=io.StringIO()), listener=Interrupted)
        except KeyboardInterrupt:
            pass
    fit(run, Console(file=io.StringIO()))
"""


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_bits_and_averaging_leaves_the_training_alone(store, tmp_path):
    """On one thread, where TensorFlow repeats itself exactly."""
    config = settings(store, tmp_path, average=0.9, threads=1, noise=0.01, rotate=5, validation_people=["dot"])
    process = subprocess.run(
        [sys.executable, "-c", _WHOLE_AND_INTERRUPTED, json.dumps(config.to_dict())],
        capture_output=True, text=True, timeout=600, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    whole, plain, stopped = (read_history(tmp_path / n / "history.jsonl", 99) for n in ("whole", "plain", "stopped"))
    assert [(r.val_loss, r.val_uf1) for r in stopped] == [(r.val_loss, r.val_uf1) for r in whole]
    assert [result.loss for result in plain] == [result.loss for result in whole]
    assert [result.val_loss for result in plain] != [result.val_loss for result in whole]
    networks = [load_network(tmp_path / name / "model.keras").get_weights() for name in ("whole", "stopped", "plain")]
    for one, two in zip(networks[0], networks[1], strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one, other) for one, other in zip(networks[0], networks[2], strict=True))
