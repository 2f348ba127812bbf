"""Scores of a classifier from its pooled confusion matrix.

UF1 and UAR as in the Facial Micro-Expressions Grand Challenge (See et al., MEGC 2019): true and false positives are
pooled over all clips first, then F1_c = 2 TP / (2 TP + FP + FN) with 0/0 = 0, UF1 = mean of F1_c, UAR = mean of
TP_c / N_c. Always beside them: what guessing by the classes' frequencies scores under the same rules.

scikit-learn gives the same numbers (tests hold them equal), but from one list of labels at a time, in a millisecond or
three: here a thousand guesses and weighted matrices are scored at once, and an epoch in a tenth of that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Confusion = NDArray[np.int64]

CHANCE_DRAWS = 1000
PEAK_BINS_PX = (1.2, 2.0)
"""Limits of the three bins of peak motion, in pixels of a 128 px crop: below, between, above."""


@dataclass(frozen=True)
class ClassScore:
    """One class: precision, recall and F1 (0 where 0/0) and its number of clips `n`."""

    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says. `absent` names the classes with no clip: they are left out of `uar`."""

    n: int
    uf1: float
    uar: float
    accuracy: float
    per_class: Mapping[str, ClassScore]
    absent: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Chance:
    """Mean scores of guesses drawn by the classes' own frequencies."""

    uf1: float
    uar: float
    accuracy: float


def join(
    truth: Iterable[tuple[str, int]], predicted: Iterable[tuple[str, int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True and predicted labels in the same order, matched by sample id whatever order they came in.

    Raises:
        ValueError: an id occurs twice, or on one side only.
    """
    true_by_id, predicted_by_id = _unique(truth, "truth"), _unique(predicted, "predictions")
    if true_by_id.keys() != predicted_by_id.keys():
        odd = sorted(true_by_id.keys() ^ predicted_by_id.keys())
        raise ValueError(
            f"sample ids: expected the same {len(true_by_id)} on both sides, found {len(odd)} on one side only, e.g. {odd[0]!r}"
        )
    order = list(true_by_id)
    return (
        np.array([true_by_id[i] for i in order], np.int64),
        np.array([predicted_by_id[i] for i in order], np.int64),
    )


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Confusion:
    """Counts (classes, classes), rows truth, columns prediction, from two equally long lists of class indices.

    Raises:
        ValueError: lengths differ, or an index is outside 0 … classes - 1.
    """
    true, guess = np.asarray(truth, np.int64).ravel(), np.asarray(predicted, np.int64).ravel()
    if true.shape != guess.shape:
        raise ValueError(f"labels: expected as many predictions as true labels, found {guess.size} and {true.size}")
    both = np.concatenate([true, guess])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise ValueError(f"labels: expected 0 to {classes - 1}, found {both.min()} to {both.max()}")
    return np.bincount(true * classes + guess, minlength=classes * classes).reshape(classes, classes)


def scores(confusion: ArrayLike, class_names: Sequence[str]) -> Scores:
    """All scores of a confusion matrix (rows truth) whose classes are called `class_names`.

    Raises:
        ValueError: the matrix is not (classes, classes) or holds a negative count.
    """
    counts = np.asarray(confusion, np.int64)
    classes = len(class_names)
    if counts.shape != (classes, classes) or (counts < 0).any():
        raise ValueError(f"confusion matrix: expected {classes}x{classes} counts, found {counts.tolist()}")
    support, hits = counts.sum(axis=1), counts.diagonal()
    precision, recall, f1 = ratio(hits, counts.sum(axis=0)), ratio(hits, support), _f1(counts)
    uf1, uar, accuracy = pooled(counts)
    return Scores(
        n=int(counts.sum()),
        uf1=float(uf1),
        uar=float(uar),
        accuracy=float(accuracy),
        per_class={
            name: ClassScore(float(precision[c]), float(recall[c]), float(f1[c]), int(support[c]))
            for c, name in enumerate(class_names)
        },
        absent=tuple(name for c, name in enumerate(class_names) if support[c] == 0),
        confusion=tuple(tuple(int(v) for v in row) for row in counts),
    )


def chance(support: ArrayLike, draws: int = CHANCE_DRAWS, seed: int = 0) -> Chance:
    """What guessing scores: each clip's class drawn by the classes' frequencies, averaged over seeded draws.

    `support` (classes,) counts the clips of each class.

    Raises:
        ValueError: there is no clip, or a count is negative.
    """
    counts = np.asarray(support, np.int64)
    if counts.ndim != 1 or counts.size < 2 or (counts < 0).any() or counts.sum() == 0:
        raise ValueError(
            f"clips of each class: expected two or more counts and one clip or more, found {counts.tolist()}"
        )
    rng = np.random.default_rng(seed)
    prior = counts / counts.sum()
    guesses = np.stack([rng.multinomial(n, prior, size=draws) for n in counts], axis=1)
    uf1, uar, accuracy = (float(value.mean()) for value in pooled(guesses))
    return Chance(uf1=uf1, uar=uar, accuracy=accuracy)


def summary(truth: ArrayLike, predicted: ArrayLike, class_names: Sequence[str]) -> dict[str, Any]:
    """Scores and chance as plain JSON values: n, uf1, uar, accuracy, chance_*, per_class, absent, confusion."""
    confusion = confusion_matrix(truth, predicted, len(class_names))
    result = scores(confusion, class_names)
    guess = chance(confusion.sum(axis=1))
    return {
        "n": result.n,
        "uf1": result.uf1,
        "uar": result.uar,
        "accuracy": result.accuracy,
        "chance_uf1": guess.uf1,
        "chance_uar": guess.uar,
        "chance_accuracy": guess.accuracy,
        "classes": list(class_names),
        "per_class": {name: vars(score).copy() for name, score in result.per_class.items()},
        "absent": list(result.absent),
        "confusion": [list(row) for row in result.confusion],
    }


def by_peak(
    truth: ArrayLike, predicted: ArrayLike, peaks_px: Sequence[float | None], class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """n, uf1, uar and accuracy by peak motion: "< 1.2 px", "1.2-2 px", "> 2 px"; empty bins are left out.

    Clips without motion (peak unknown, or 0 as in a neutral clip) are in no bin. UF1 is the mean over the classes
    that occur in the bin, since a bin cannot hold those that do not move.
    """
    true, guess = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    peaks = np.array([np.nan if not peak else float(peak) for peak in peaks_px])
    low, high = PEAK_BINS_PX
    with np.errstate(invalid="ignore"):
        bins = {
            f"< {low:g} px": peaks < low,
            f"{low:g}-{high:g} px": (peaks >= low) & (peaks <= high),
            f"> {high:g} px": peaks > high,
        }
    result: dict[str, dict[str, Any]] = {}
    for name, inside in bins.items():
        if inside.any():
            found = scores(confusion_matrix(true[inside], guess[inside], len(class_names)), class_names)
            f1 = [score.f1 for score in found.per_class.values() if score.n]
            result[name] = {"n": found.n, "uf1": float(np.mean(f1)), "uar": found.uar, "accuracy": found.accuracy}
    return result


def _unique(pairs: Iterable[tuple[str, int]], what: str) -> dict[str, int]:
    labels: dict[str, int] = {}
    for sample_id, label in pairs:
        if sample_id in labels:
            raise ValueError(f"sample ids: expected each once in the {what}, found {sample_id!r} twice")
        labels[sample_id] = label
    return labels


def ratio(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    """part / whole with 0/0 = 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole != 0)


def _f1(counts: NDArray) -> NDArray[np.float64]:
    """F1 of each class, (..., classes), of confusion matrices (..., classes, classes)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return ratio(2 * hits, counts.sum(axis=-1) + counts.sum(axis=-2))


def pooled(counts: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """UF1, UAR and accuracy of confusion matrices (..., classes, classes), of counts or of clips with weights."""
    support = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    present = (support > 0).sum(axis=-1)
    uar = ratio(ratio(hits, support).sum(axis=-1), present)
    accuracy = ratio(hits.sum(axis=-1), support.sum(axis=-1))
    return _f1(counts).mean(axis=-1), uar, accuracy
