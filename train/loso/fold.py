"""Trains and tests one fold: the one function behind local processes and Ray."""

import functools
import time
from dataclasses import replace

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.clips.samples import FeatureRows, Split, TrainingSet, scaling
from train.errors import TrainError
from train.fit.pretrained import transfer
from train.fit.resume import EpochResult, Position, best_epoch
from train.fit.trainer import Trainer, predict
from train.fit_config import TrainConfig
from train.loso.fold_job import FoldData, FoldJob, FoldResult


@functools.cache
def prepare_process(threads: int) -> None:
    """Has TensorFlow give the same bits every time: a fixed number of threads, deterministic operations.

    Must come before TensorFlow's first operation in the process.
    """
    cv2.setNumThreads(threads)
    tf.get_logger().setLevel("ERROR")  # it warns of the graphs that every fold makes anew
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    for gpu in tf.config.list_physical_devices("GPU"):  # several workers may share one
        tf.config.experimental.set_memory_growth(gpu, True)


def run_fold(data: FoldData, job: FoldJob) -> FoldResult:
    """Trains on the fold's training rows and answers its test rows; the input's scaling is that of the training rows.

    The epoch is chosen on the validation rows, and is the last where there are none. The test rows have no part in it.

    Raises:
        TrainError: the network's answers are not finite. UsageError: the pretrained network does not fit.
    """
    started = time.monotonic()
    keras.utils.clear_session()  # nothing of the fold before
    features, split = FeatureRows.open(data.features), job.split
    training = TrainingSet(features, data.samples, Split(split.train, split.validation), scaling(features, split.train))
    answers = _TestAnswers(features, job)
    pretrained, names = job.pretrained, data.samples.class_names
    start = (lambda network: transfer(pretrained, network, names)) if pretrained else None
    history = Trainer(weighted_for(job.config, training), training, answers, start).train(Unheard())
    return FoldResult(
        seed=job.config.seed,
        person=split.person,
        train_n=len(split.train),
        validation_people=split.validation_people,
        rows=split.test,
        probabilities=answers.chosen,
        epoch=best_epoch(history).epoch,
        epochs=tuple(history),
        test_answers=np.stack(answers.every_epoch) if job.every_epoch else None,
        seconds=time.monotonic() - started,
        clips_per_s=float(np.median([result.clips_per_s for result in history])),
    )


def weighted_for(config: TrainConfig, data: TrainingSet) -> TrainConfig:
    """The config with a weight for every class: 1 for those without a training clip, which "balanced" has none for."""
    names, counts = data.samples.class_names, data.samples.counts(data.split.train)
    if all(counts):
        return config
    weights = config.loss_weights(names, [count or 1 for count in counts])
    return replace(config, class_weights=tuple(w if n else 1.0 for w, n in zip(weights, counts, strict=True)))


class _TestAnswers:
    """The trainer's keeper in a fold: keeps no files, but the answers on the left-out person's clips.

    `chosen` are the probabilities (n, classes) of the chosen epoch; `every_epoch` class indices (n,), where asked for.
    """

    chosen: NDArray[np.float32]

    def __init__(self, features: FeatureRows, job: FoldJob) -> None:
        self._features, self._job = features, job
        self.every_epoch: list[NDArray[np.int64]] = []

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        return Position(), []

    def step(self, network: keras.Model, position: Position) -> None:
        pass

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        job, result = self._job, history[-1]
        # Without validation rows every epoch counts as the best so far, and only the last matters.
        chosen = result.best if len(job.split.validation) else result.epoch == job.config.epochs
        if not (chosen or job.every_epoch):
            return
        probabilities = predict(answering, self._features, job.split.test, job.config.batch)
        if not np.isfinite(probabilities).all():
            raise TrainError(
                f"epoch {result.epoch}: the network's answers are no numbers any more (loss {result.loss:g}); "
                "a lower --learning-rate may help"
            )
        if chosen:
            self.chosen = probabilities
        if job.every_epoch:
            self.every_epoch.append(probabilities.argmax(axis=1))


class Unheard:
    """A listener that nobody hears: whole folds are told, not their epochs."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        pass

    def epoch(self, result: EpochResult) -> None:
        pass
