"""The training loop: epochs over shuffled batches, scores on held-out people after each, the best epoch kept."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model.config import NetworkConfig
from model.losses import KnownBinaryCrossentropy, WeightedCategoricalCrossentropy
from model.network import build_network
from model.quiet import native_log_held_back
from train.clips.batches import plain_batches, steps_per_epoch, training_batches
from train.clips.samples import FeatureRows, TrainingSet
from train.fit.resume import EpochListener, EpochResult, Keeper, Position, beats
from train.fit_config import TrainConfig
from train.scores.metrics import confusion_matrix, scores


class Trainer:
    """One run's network and loop. `train()` goes on where the keeper left off, and returns all epochs' results.

    `start`, where given, is to put weights into the network before its first step. `build` makes the network.

    With the config's `average`, a second network answers after every epoch: it has the moving average of the weights that
    Keras keeps in the optimizer, so that training and backups never see it. (Keras' own SwapEMAWeights swaps by adding and
    subtracting, which leaves the trained weights rounded.) Weights that are not trained, as of batch normalisation, are
    those of the trained network.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: TrainingSet,
        keeper: Keeper,
        start: Callable[[keras.Model], None] | None = None,
        build: Callable[[NetworkConfig], keras.Model] = build_network,
    ) -> None:
        self._config, self._data, self._keeper, self._start, self._build = config, data, keeper, start, build
        names = data.samples.class_names
        self._architecture = config.network_config(data.features.shape[1], len(names), data.scaling)
        self._steps = steps_per_epoch(data.training_rows, config.batch)
        weights = config.loss_weights(names, data.training_counts)
        self._loss = WeightedCategoricalCrossentropy(weights, config.label_smoothing)

    def train(self, listener: EpochListener) -> list[EpochResult]:
        network = self.compiled()
        if self._start:
            self._start(network)
        answering = self.fresh_network() if self._config.average else network
        position, history = self._keeper.restore(network)
        for epoch in range(position.epoch, self._config.epochs):
            loss, clips_per_s, seconds = self._one_epoch(network, position, listener)
            if answering is not network:
                answering.set_weights(network.get_weights())
                network.optimizer.finalize_variable_values(answering.trainable_variables)
            history.append(self.assess(answering, history, epoch, loss, clips_per_s, seconds))
            self._keeper.epoch(network, answering, history)
            position = Position(epoch + 1)
            listener.epoch(history[-1])
        return history

    def fresh_network(self) -> keras.Model:
        """The network before training, all float32, not compiled."""
        return self._build(self._architecture)

    def compiled(self) -> keras.Model:
        """The network ready to train, its weights drawn by the config's seed."""
        keras.utils.set_random_seed(self._config.seed)
        with _precision(self._config):
            network = self._build(self._architecture)
        # With XLA, an epoch's last, smaller batch would have the whole network compiled a second time.
        average = {"use_ema": True, "ema_momentum": self._config.average} if self._config.average else {}
        settings: dict[str, Any] = {
            "optimizer": keras.optimizers.Adam(self._config.learning_rate, **average),
            "jit_compile": False,
        }
        losses: Any = self._loss
        if self._config.action_units:
            losses = {"probabilities": self._loss, "action_units": KnownBinaryCrossentropy()}
            settings["loss_weights"] = {"probabilities": 1.0, "action_units": self._config.unit_weight}
        network.compile(loss=losses, **settings)
        return network

    def _one_epoch(
        self, network: keras.Model, position: Position, listener: EpochListener
    ) -> tuple[float, float, float]:
        """Trains the rest of the position's epoch; returns the last batch's loss, clips a second, and seconds in all."""
        config, epoch = self._config, position.epoch
        network.optimizer.learning_rate = config.learning_rate_at(epoch)
        network.reset_metrics()
        _seed_dropout(network, config.seed, epoch * self._steps + position.step)
        batches = training_batches(self._data, config, epoch, position.step)
        loss, clips, started = float("nan"), 0, time.monotonic()
        warm_clips, warm_s = 0, started
        size = 0
        for step, (inputs, targets) in enumerate(batches, start=position.step + 1):
            # A batch of another size has the graph made anew; a rewrite of it that does not apply is logged as an error.
            with native_log_held_back() if inputs.shape[0] != size else nullcontext():
                loss = self._class_loss(network.train_on_batch(inputs, targets, return_dict=True))
            size = inputs.shape[0]
            clips += size
            if warm_clips == 0:
                warm_clips, warm_s = clips, time.monotonic()
            listener.step(epoch + 1, step, self._steps, loss)
            if config.backup_steps and step % config.backup_steps == 0 and step < self._steps:
                self._keeper.step(network, Position(epoch, step, position.seconds + time.monotonic() - started))
        now = time.monotonic()
        # The first step also traces the graph.
        rate = (clips - warm_clips) / (now - warm_s) if clips > warm_clips else clips / (now - started)
        return loss, rate, position.seconds + now - started

    def _class_loss(self, losses: Any) -> float:
        """What is minimised, without the action units' part: comparable with a network that has no such output."""
        units = self._config.unit_weight * losses["action_units_loss"] if self._config.action_units else 0.0
        return float(losses["loss"] - units)

    def assess(
        self,
        network: keras.Model,
        history: list[EpochResult],
        epoch: int,
        loss: float,
        clips_per_s: float,
        seconds: float,
    ) -> EpochResult:
        """How the network answers the validation people after `epoch` (from 0), and whether that beats the history."""
        config, samples, rows = self._config, self._data.samples, self._data.split.validation
        rate = config.learning_rate_at(epoch)
        if not len(rows):
            return EpochResult(epoch + 1, loss, rate, None, None, None, None, True, seconds, clips_per_s)
        started = time.monotonic()
        probabilities = predict(network, self._data.features, rows, config.batch)
        truth, classes = samples.labels[rows], len(samples.class_names)
        found = scores(confusion_matrix(truth, probabilities.argmax(axis=1), classes), samples.class_names)
        loss_value: Any = self._loss(np.eye(classes, dtype=np.float32)[truth], probabilities)
        val_loss = float(loss_value)
        best = config.select == "last" or beats(found.uf1, val_loss, history)
        seconds += time.monotonic() - started
        return EpochResult(
            epoch + 1, loss, rate, val_loss, found.uf1, found.uar, found.accuracy, best, seconds, clips_per_s
        )


def predict(network: keras.Model, features: FeatureRows, rows: NDArray[np.int64], batch: int) -> NDArray[np.float32]:
    """Probabilities (clips, classes) of these rows."""
    return predict_units(network, features, rows, batch)[0]


def predict_units(
    network: keras.Model, features: FeatureRows, rows: NDArray[np.int64], batch: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Probabilities (clips, classes) of these rows, and those of the action units (clips, 2 units) where it tells them."""
    with native_log_held_back():
        parts: list[Any] = [network.predict_on_batch(clips) for clips in plain_batches(features, rows, batch)]
    if not isinstance(parts[0], dict):
        return np.concatenate(parts).astype(np.float32), None
    classes, units = (np.concatenate([part[name] for part in parts]) for name in ("probabilities", "action_units"))
    return classes.astype(np.float32), units.astype(np.float32)


def _seed_dropout(network: keras.Model, seed: int, steps_done: int) -> None:
    """Makes the dropout masks follow from seed and step, so that a resumed run repeats an uninterrupted one."""
    for number, layer in enumerate(layer for layer in network.layers if isinstance(layer, keras.layers.Dropout)):
        if layer.rate > 0:
            layer.seed_generator.state.assign([seed * 1_000 + number, steps_done])


@contextmanager
def _precision(config: TrainConfig) -> Iterator[None]:
    """Mixed precision for the layers built inside the block, when the config wants it."""
    wanted = config.mixed_precision == "on" or (
        config.mixed_precision == "auto" and bool(tf.config.list_physical_devices("GPU"))
    )
    before = keras.config.dtype_policy()
    if wanted:
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class TrainingProgress:
    """The trainer's listener: a bar with loss, score and time left in a terminal, a line an epoch elsewhere."""

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._epochs = console, epochs
        columns = (
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=12),
            TextColumn("loss {task.fields[loss]:.3f}{task.fields[score]}"),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
        )
        self._bar = Progress(*columns, console=console, transient=True, speed_estimate_period=600)
        self._task = self._bar.add_task("", total=None, epoch=1, epochs=epochs, loss=float("nan"), score="")
        self._best_uf1 = 0.0
        self._started = False

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # elsewhere the bar would leave an empty line
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        done = (epoch - 1) * steps + step
        if not self._started:  # what a run had behind it before it was resumed says nothing about its speed
            self._bar.reset(self._task, total=self._epochs * steps, completed=done)
            self._started = True
        self._bar.update(self._task, completed=done, epoch=epoch, loss=loss)

    def epoch(self, result: EpochResult) -> None:
        if result.val_uf1 is None:
            told = ""
        else:
            self._best_uf1 = max(self._best_uf1, result.val_uf1)
            told = f", UF1 {result.val_uf1:.3f} (best {self._best_uf1:.3f})"
        self._bar.update(self._task, score=told)
        if result.best or not self._console.is_terminal:
            line = (
                f"epoch {result.epoch}/{self._epochs}: loss {result.loss:.3f}{told}, {result.clips_per_s:.1f} clips/s"
            )
            self._console.print(line, highlight=False, soft_wrap=True)
