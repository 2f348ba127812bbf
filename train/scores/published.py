"""The scoring behind many published numbers, to compare with, and what guessing gets under it (numpy only).

For each left-out person the epoch that scored best on that very person is kept, a fold without a mistake counts 1.0,
and scores are averaged over folds, however few clips they have. Both choices raise every score, guesses included: on
the folds of MEGC 2019 the best of 200 blind guesses reaches a UF1 of .74 (SMIC), .94 (SAMM) and .90 (CASME II).
Scores to rely on are those of `train.scores.metrics`, pooled over all folds with the epoch chosen without the test person.

In detail, as the reference implementation of Fang, Liu, Liu (MLSP 2024) scores a fold: its confusion matrix has the
classes 0 to the highest index among its labels and answers, so that absent classes above are not counted and those
below count 0 in both means; the best epoch is the first of the highest UF1, whose UAR is kept with it; accuracy is the
highest of any epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from train.scores.metrics import Chance, ratio

OPTIMISTIC = (
    "optimistic: the best epoch on each left-out person, a fold without a mistake counted 1.0, averaged over folds"
)
CHANCE_REPEATS = 200


@dataclass(frozen=True, eq=False)
class FoldAnswers:
    """One fold's test clips: true class indices (n,), and the answers after every epoch, (epochs, n)."""

    truth: NDArray[np.int64]
    answers: NDArray[np.int64]

    def __post_init__(self) -> None:
        truth, answers = np.asarray(self.truth), np.asarray(self.answers)
        if truth.ndim != 1 or not truth.size or answers.ndim != 2 or not len(answers):
            raise ValueError(
                f"fold: expected labels (n,) and answers (epochs, n), found {truth.shape} and {answers.shape}"
            )
        if answers.shape[1] != truth.size:
            raise ValueError(f"fold: expected {truth.size} answers in every epoch, found {answers.shape[1]}")

    def confusions(self, classes: int) -> NDArray[np.int64]:
        """Confusion matrices (epochs, classes, classes), rows truth. Raises ValueError for an index of no class."""
        truth, answers = np.asarray(self.truth), np.asarray(self.answers)
        low, high = min(truth.min(), answers.min()), max(truth.max(), answers.max())
        if low < 0 or high >= classes:
            raise ValueError(f"fold: expected labels and answers of 0 to {classes - 1}, found {low} to {high}")
        counts = np.zeros((len(answers), classes, classes), np.int64)
        np.add.at(counts, (np.arange(len(answers))[:, None], truth[None, :], answers), 1)
        return counts


@dataclass(frozen=True)
class PublishedScores:
    """Averages over folds of each fold's best epoch: comparable with published tables, and optimistic."""

    uf1: float
    uar: float
    accuracy: float


def published_scores(folds: Sequence[FoldAnswers], classes: int) -> PublishedScores:
    """The published scoring of one run's folds.

    Raises:
        ValueError: there is no fold, or an index is of no class.
    """
    if not folds:
        raise ValueError("published scoring: expected one fold or more, found none")
    best = np.array([_best_epoch(fold.confusions(classes)) for fold in folds])
    uf1, uar, accuracy = (float(value) for value in best.mean(axis=0))
    return PublishedScores(uf1=uf1, uar=uar, accuracy=accuracy)


def published_chance(supports: ArrayLike, draws: int, repeats: int = CHANCE_REPEATS, seed: int = 0) -> Chance:
    """What guessing scores under the published scoring: the best of `draws` guesses in every fold, averaged.

    `supports` (folds, classes) counts each fold's clips of each class; every guess draws each clip's class by the
    classes' frequencies over all folds. `draws` is the number of epochs that a run could choose from. The mean of
    `repeats` seeded runs: over MEGC 2019's folds a single run scatters by .01 to .02 (sd), the mean of 200 by .0015 at most.

    Raises:
        ValueError: a fold without clips, a negative count, or no draws or repeats.
    """
    counts = np.asarray(supports, np.int64)
    if (
        counts.ndim != 2
        or counts.shape[1] < 2
        or not len(counts)
        or (counts < 0).any()
        or (counts.sum(axis=1) == 0).any()
    ):
        raise ValueError(
            f"clips of each fold and class: expected (folds, two or more) counts, a clip or more a fold, found {counts.tolist()}"
        )
    if draws < 1 or repeats < 1:
        raise ValueError(f"guesses: expected one draw and one repeat or more, found {draws} and {repeats}")
    rng = np.random.default_rng(seed)
    prior = counts.sum(axis=0) / counts.sum()
    shape = (len(counts), draws, counts.shape[1])
    runs = [_best_epoch(rng.multinomial(counts[:, None, :], prior, size=shape)).mean(axis=0) for _ in range(repeats)]
    uf1, uar, accuracy = (float(value) for value in np.mean(runs, axis=0))
    return Chance(uf1=uf1, uar=uar, accuracy=accuracy)


def epoch_scores(confusions: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """UF1, UAR and accuracy (...,) of one fold's confusion matrices (..., classes, classes), as published."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    support, given = confusions.sum(axis=-1), confusions.sum(axis=-2)
    # Classes above the highest that occurs are not counted; F1 and recall of those that do not occur are 0.
    counted = confusions.shape[-1] - ((support + given) > 0)[..., ::-1].argmax(axis=-1)
    accuracy = ratio(hits.sum(axis=-1), support.sum(axis=-1))
    uf1 = ratio(2 * hits, support + given).sum(axis=-1) / counted
    uar = ratio(hits, support).sum(axis=-1) / counted
    return np.where(accuracy == 1, 1.0, uf1), np.where(accuracy == 1, 1.0, uar), accuracy


def _best_epoch(confusions: NDArray) -> NDArray[np.float64]:
    """(..., 3): UF1, UAR and accuracy that stay of the epochs in (..., epochs, classes, classes)."""
    uf1, uar, accuracy = epoch_scores(confusions)
    # Rounded, since sums of the same fractions in another order may differ in the last digit.
    best = uf1.round(12).argmax(axis=-1)[..., None]
    kept = [np.take_along_axis(scores, best, axis=-1)[..., 0] for scores in (uf1, uar)]
    return np.stack([*kept, accuracy.max(axis=-1)], axis=-1)
