"""What an interrupted run goes on from: weights, optimizer state and position, written so that no moment is without it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from train.errors import UsageError
from train.json_text import read_object
from train.rundir import write_text, write_with


@dataclass(frozen=True)
class Position:
    """How far a run is: `step` steps of epoch `epoch` (from 0) are done; `seconds` were spent in that epoch."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0


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
        write_text(self._state, json.dumps({"weights": weights.name, **asdict(position)}))
        for old in self._folder.glob("*.weights.h5"):
            if old != weights:
                old.unlink()

    def restore(self, network: keras.Model) -> Position:
        """Puts the saved weights and optimizer state into a compiled network; the beginning when there is no backup."""
        if not self._state.is_file():
            return Position()
        state = read_object(self._state, "where the run stopped")
        network.optimizer.build(network.trainable_variables)
        try:
            network.load_weights(self._folder / state.pop("weights"))
            return Position(**state)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{self._state}: the backup is damaged ({error}); begin again with --overwrite") from error
