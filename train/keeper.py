"""Where a trainer puts what it makes: the folder of a run, from which an interrupted run goes on."""

from types import TracebackType
from typing import Protocol, Self

import keras
import tensorflow as tf

from train.backup import Backup, Position
from train.history import EpochResult, append_result, best_epoch, read_history
from train.rundir import RunDir, write_with


class Keeper(Protocol):
    """Keeps what a trainer makes, and knows how far it was."""

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        """Puts the network where the training was interrupted; that position, and the epochs before it."""
        ...

    def step(self, network: keras.Model, position: Position) -> None:
        """Within an epoch: `config.backup_steps` more steps are done."""
        ...

    def epoch(self, network: keras.Model, history: list[EpochResult]) -> None:
        """An epoch is done; its result is the history's last."""
        ...


class RunKeeper:
    """Keeps backups, the best epoch's weights, the history and TensorBoard's scalars in a run's folder."""

    def __init__(self, run: RunDir) -> None:
        self._run, self._backup = run, Backup(run.backup)

    def __enter__(self) -> Self:
        parts = ("train", "validation")
        self._summaries = {part: tf.summary.create_file_writer(str(self._run.tensorboard / part)) for part in parts}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._summaries.values():
            writer.close()

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        position = self._backup.restore(network)
        return position, read_history(self._run.history, position.epoch)

    def step(self, network: keras.Model, position: Position) -> None:
        self._backup.save(network, position)

    def epoch(self, network: keras.Model, history: list[EpochResult]) -> None:
        result = history[-1]
        if result.best:
            write_with(self._run.best_weights(result.epoch), lambda path: _weights_only(network).save_weights(path))
        append_result(self._run.history, result)
        self._backup.save(network, Position(result.epoch))
        self._run.drop_weights(keep=best_epoch(history).epoch)
        self._summarise(result)

    def _summarise(self, result: EpochResult) -> None:
        train = {"loss": result.loss, "learning_rate": result.learning_rate, "clips_per_s": result.clips_per_s}
        held = {"loss": result.val_loss, "uf1": result.val_uf1, "uar": result.val_uar, "accuracy": result.val_accuracy}
        for part, values in (("train", train), ("validation", held)):
            with self._summaries[part].as_default(step=result.epoch):
                for name, value in values.items():
                    if value is not None:
                        tf.summary.scalar(name, value)
            self._summaries[part].flush()


def _weights_only(network: keras.Model) -> keras.Model:
    """The same layers without the optimizer, so that its state is not saved along."""
    return keras.Model(network.inputs, network.outputs, name=network.name)
