"""Losses over the epochs of a leave-one-subject-out run: mean and spread over its folds, and which loss it was."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.config_file import config_from
from train.errors import UsageError
from train.loso_scores import Fold, LosoRun

SPREAD_PERCENT = (10, 90)
"""Percentiles over folds between which the spread is drawn."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A value by epoch, each (epochs,): the mean over `folds` folds of all seeds, and the spread's lower and upper end."""

    epochs: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    folds: int


@dataclass(frozen=True)
class RunCurves:
    """A run's curves; those of the validation people are None where a run has none."""

    training: Curve | None
    validation: Curve | None
    validation_uf1: Curve | None


def curves_of(run: LosoRun) -> RunCurves:
    """The curves over all finished folds of all seeds."""
    folds = [fold for by_person in run.folds.values() for fold in by_person.values()]
    return RunCurves(*(_curve(folds, key) for key in ("loss", "val_loss", "val_uf1")))


def loss_in_words(config: Mapping[str, Any], class_names: Sequence[str], counts: Sequence[int]) -> str:
    """ "plain cross-entropy", or "weighted cross-entropy" with its weights; `counts` are all clips of each class."""
    try:
        settings = config_from(config)
        weights = settings.loss_weights(tuple(class_names), [max(count, 1) for count in counts])
    except (UsageError, TypeError, ValueError):  # settings of another version of the program
        return f"cross-entropy, class weights {config.get('class_weights', 'unknown')}"
    if len(set(weights)) == 1:
        return "plain cross-entropy"
    return f"weighted cross-entropy ({'/'.join(f'{weight:.3g}' for weight in weights)})"


def _curve(folds: Iterable[Fold], key: str) -> Curve | None:
    by_epoch: dict[int, list[float]] = {}
    used = 0
    for fold in folds:
        values = {int(line["epoch"]): float(line[key]) for line in fold.epochs if line.get(key) is not None}
        used += bool(values)
        for epoch, value in values.items():
            if np.isfinite(value):
                by_epoch.setdefault(epoch, []).append(value)
    if not by_epoch:
        return None
    epochs = sorted(by_epoch)
    spread = np.array([np.percentile(by_epoch[epoch], SPREAD_PERCENT) for epoch in epochs])
    mean = np.array([np.mean(by_epoch[epoch]) for epoch in epochs])
    return Curve(np.array(epochs, np.int64), mean, spread[:, 0], spread[:, 1], used)
