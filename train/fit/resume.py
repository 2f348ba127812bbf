"""What each epoch of a run gave, who is told, and what is kept in its folder so that an interrupted run goes on.

No TensorFlow until something is kept: every command knows an epoch's results.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from pydantic import TypeAdapter

from model.checked import MisfitError, checked_json
from train.errors import UsageError
from train.files import RunDir, write_text, write_with

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class EpochResult:
    """One epoch (counted from 1). `loss` is the last batch's and holds the weight penalties, `val_loss` the cross-entropy alone.

    The `val_` values are None without validation people. `best` says that the epoch is kept for now: it beat all before
    it, or is the newest where that is what is kept.
    """

    epoch: int
    loss: float
    learning_rate: float
    val_loss: float | None
    val_uf1: float | None
    val_uar: float | None
    val_accuracy: float | None
    best: bool
    seconds: float
    clips_per_s: float


class EpochListener(Protocol):
    """Told how a run goes."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """`step` of `steps` of an epoch (both from 1) is done; `loss` is that batch's."""

    def epoch(self, result: EpochResult) -> None:
        """An epoch is done and backed up."""


def best_epoch(history: list[EpochResult]) -> EpochResult:
    """The epoch of the highest UF1 on the validation people, the lower loss where equal; the last without them, or where
    that was fixed in advance."""
    return [result for result in history if result.best][-1]


def beats(uf1: float, loss: float, history: list[EpochResult]) -> bool:
    """Whether these validation scores are better than those of all epochs before."""
    if not history:
        return True
    before = best_epoch(history)
    assert before.val_uf1 is not None and before.val_loss is not None
    return (uf1, -loss) > (before.val_uf1, -before.val_loss)


def append_result(path: Path, result: EpochResult) -> None:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(result)) + "\n")


def read_history(path: Path, epochs: int) -> list[EpochResult]:
    """The first `epochs` results; the file is cut to them, since a kill may have left one more, or half of one."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[:epochs]
    write_text(path, "".join(f"{line}\n" for line in lines))
    kind = TypeAdapter(EpochResult)
    try:
        return [checked_json(kind, line) for line in lines]
    except MisfitError as error:
        raise UsageError(
            f"{path}: expected an epoch's results in every line ({error}); begin again with --overwrite"
        ) from error


@dataclass(frozen=True)
class Position:
    """How far a run is: `step` steps of epoch `epoch` (from 0) are done; `seconds` were spent in that epoch."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _State(Position):
    """What `state.json` says: a position, and the name of the file with its weights."""

    weights: str


class Backup:
    """One position and its weights in a folder.

    Keras' own BackupAndRestore writes weights and position one after the other into fixed names (a kill in between
    leaves a broken pair), and within an epoch it forgets the epoch after a second interruption. Here the position names
    its weights file, and both appear at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state.json"

    def save(self, network: keras.Model, position: Position) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        weights = self._folder / f"epoch-{position.epoch:04d}-step-{position.step:06d}.weights.h5"
        write_with(weights, network.save_weights)
        write_text(self._state, json.dumps(asdict(_State(weights=weights.name, **asdict(position)))))
        for old in self._folder.glob("*.weights.h5"):
            if old != weights:
                old.unlink()

    def restore(self, network: keras.Model) -> Position:
        """Puts the saved weights and optimizer state into a compiled network; the beginning when there is no backup."""
        if not self._state.is_file():
            return Position()
        network.optimizer.build(network.trainable_variables)
        try:
            state = checked_json(TypeAdapter(_State), self._state.read_bytes())
            network.load_weights(self._folder / state.weights)
            return Position(state.epoch, state.step, state.seconds)
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{self._state}: the backup is damaged ({error}); begin again with --overwrite") from error


class Keeper(Protocol):
    """Keeps what a trainer makes, and knows how far it was."""

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        """Puts the network where the training was interrupted; that position, and the epochs before it."""
        ...

    def step(self, network: keras.Model, position: Position) -> None:
        """Within an epoch: `config.backup_steps` more steps are done."""
        ...

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        """An epoch is done; its result, of the network `answering`, is the history's last. `network` is trained on; it is
        the same one unless weights are averaged."""
        ...


class RunKeeper:
    """Keeps backups, the best epoch's weights, the history and TensorBoard's scalars in a run's folder."""

    def __init__(self, run: RunDir) -> None:
        self._run, self._backup = run, Backup(run.backup)

    def __enter__(self) -> Self:
        import tensorflow as tf

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

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        result = history[-1]
        if result.best:
            write_with(self._run.best_weights(result.epoch), lambda path: _weights_only(answering).save_weights(path))
        append_result(self._run.history, result)
        self._backup.save(network, Position(result.epoch))
        self._run.drop_weights(keep=best_epoch(history).epoch)
        self._summarise(result)

    def _summarise(self, result: EpochResult) -> None:
        import tensorflow as tf

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
    import keras

    return keras.Model(network.inputs, network.outputs, name=network.name)
