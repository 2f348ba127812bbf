"""Adapts a network on a fold's training people and has it answer the one who was left out.

The epoch is chosen on the validation people, who are of the training people and not trained on; epoch 0, the network as it was,
is among those to choose from.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model.config import NetworkConfig
from model.network import build_network
from train.adapt.adapt_job import HEAD, AdaptJob
from train.clips.samples import FeatureRows, Split, TrainingSet
from train.errors import TrainError
from train.files import write_with
from train.fit.pretrained import transfer
from train.fit.resume import EpochResult, Position, best_epoch
from train.fit.trainer import Trainer, predict
from train.loso.fold import Unheard, weighted_for
from train.loso.fold_job import FoldData, FoldResult


def adapt_fold(data: FoldData, job: AdaptJob) -> FoldResult:
    """Trains on the job's training rows, the head first, and answers its test rows.

    Without validation rows the last epoch is kept. The test rows have no part in any of it.

    Raises:
        TrainError: the network's answers are not finite. UsageError: the network before does not fit.
    """
    started = time.monotonic()
    keras.utils.clear_session()  # nothing of the fold before
    features, split, names = FeatureRows.open(data.features), job.split, data.samples.class_names
    training = TrainingSet(features, data.samples, Split(split.train, split.validation), job.scaling)
    config = weighted_for(job.config, training)
    assert job.pretrained is not None
    kept = _Best()
    before = Trainer(config, training, kept)
    network = before.fresh_network()
    transfer(job.pretrained, network, names)
    kept.begin(network, before.assess(network, [], 0, 0.0, 0.0, 0.0))
    for epochs, rate, build in (
        (job.head_epochs, config.learning_rate, _head_only),
        (job.head_epochs + job.all_epochs, job.all_learning_rate, build_network),
    ):
        if epochs > kept.done:
            stage = replace(config, epochs=epochs, learning_rate=rate)
            Trainer(stage, training, kept, kept.resume, build).train(Unheard())
    network.set_weights(kept.best)
    probabilities = _answers(network, features, split.test, config.batch, len(names))
    if job.keep_in is not None:
        write_with(Path(job.keep_in), network.save)
    told = kept.history[1:]
    return FoldResult(
        seed=config.seed,
        person=split.person,
        train_n=len(split.train),
        validation_people=split.validation_people,
        rows=split.test,
        probabilities=probabilities,
        epoch=best_epoch(kept.history).epoch,
        epochs=tuple(told),
        test_answers=None,
        seconds=time.monotonic() - started,
        clips_per_s=float(np.median([result.clips_per_s for result in told])) if told else 0.0,
    )


def _head_only(config: NetworkConfig) -> keras.Model:
    """The network of which the head alone learns."""
    network = build_network(config)
    for layer in network.layers:
        layer.trainable = layer.name in HEAD
    return network


def _answers(
    network: keras.Model, features: FeatureRows, rows: NDArray[np.int64], batch: int, classes: int
) -> NDArray[np.float32]:
    if not len(rows):
        return np.zeros((0, classes), np.float32)
    probabilities = predict(network, features, rows, batch)
    if not np.isfinite(probabilities).all():
        raise TrainError("the network's answers are no numbers any more; a lower --learning-rate may help")
    return probabilities


class _Best:
    """The trainers' keeper: the weights of the best epoch of all stages so far, and those to go on from."""

    def begin(self, network: keras.Model, result: EpochResult) -> None:
        """With the network before it learned anything, and how it answered then."""
        self.history, self.done = [replace(result, epoch=0)], 0
        self.best: list[Any] = network.get_weights()
        self._newest = self.best

    def resume(self, network: keras.Model) -> None:
        """Puts the newest weights into a stage's network."""
        network.set_weights(self._newest)

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        return Position(self.done), self.history

    def step(self, network: keras.Model, position: Position) -> None:
        pass

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        result = history[-1]
        self._newest, self.done = network.get_weights(), result.epoch
        if result.best:
            self.best = self._newest
