"""One fold as work for another process: what it gets, what it gives back. No TensorFlow until a fold is trained."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.clips.samples import FoldSplit, Samples
from train.errors import TrainError, UsageError
from train.fit.pretrained import Pretrained
from train.fit.resume import EpochResult
from train.fit_config import TrainConfig

FOLDS_A_PROCESS = 16
"""A process is replaced after so many: TensorFlow does not free the graphs of a network, 30 to 100 MB a fold."""


@dataclass(frozen=True, eq=False)
class FoldData:
    """What all folds share: the files of the features, in the order of the samples' rows, and the samples."""

    features: tuple[str, ...]
    samples: Samples


@dataclass(frozen=True, eq=False)
class FoldJob:
    """One fold to train and test.

    All that is random in it (weights, order, dropout, augmentation) follows from `config.seed`, the run's seed, alone:
    the folds of a seed start from the same weights and differ in their people only.

    Attributes:
        every_epoch: keep the answers on the test rows after every epoch, for the published protocol.
        pretrained: the run whose weights the network starts from.
        threads: of TensorFlow, within and between operations each. Results may differ in the last bits between two numbers.
    """

    config: TrainConfig
    split: FoldSplit
    every_epoch: bool = False
    pretrained: Pretrained | None = None
    threads: int = 1

    @property
    def name(self) -> str:
        return fold_name(self.config.seed, self.split.person)


@dataclass(frozen=True, eq=False)
class FoldResult:
    """A finished fold.

    Attributes:
        seed, person: of the run, and who was left out.
        train_n: clips trained on. validation_people: who chose the epoch; empty when it was fixed.
        rows: of the left-out person's clips, (n,). probabilities: of the chosen epoch's network, float32 (n, classes).
        epoch: the chosen one, from 1. epochs: all of them.
        test_answers: class indices (epochs, n), or None when they were not asked for.
        seconds: in all. clips_per_s: in training, median over the epochs.
    """

    seed: int
    person: str
    train_n: int
    validation_people: tuple[str, ...]
    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    epoch: int
    epochs: tuple[EpochResult, ...]
    test_answers: NDArray[np.int64] | None
    seconds: float
    clips_per_s: float


@dataclass(frozen=True)
class FoldFailure:
    """A fold that ended in an error: as one line, whether the user's input is at fault, and where it happened."""

    message: str
    usage: bool
    where: str

    def error(self) -> TrainError:
        """As an exception to raise."""
        error = UsageError(self.message) if self.usage else TrainError(self.message)
        error.__cause__ = RuntimeError(self.where)  # shown by --debug
        return error


def fold_name(seed: int, person: str) -> str:
    """A fold in words."""
    return f"{person} (seed {seed})"
