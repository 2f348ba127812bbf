"""Scores of the action units that a network tells: the threshold from which one counts as acting, and F1 unit by unit.

Both sides of a unit are pooled: each side of each clip is one case. Truth is 0, 1 or NaN (not known: no case). Beside every
F1 stands that of always answering "acts", 2 p / (1 + p) for a share p of acting sides: the best that is to be had without
looking.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_ACTING = 5
"""Acting sides of a unit, at least, for it to count in the mean over the units: fewer say too little."""
_GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))

Values = NDArray[np.float64]


@dataclass(frozen=True)
class UnitScore:
    """One unit. `n` acting sides among `known`; precision, recall and F1 of them (0 where 0/0).

    `side_right`: of the clips in which it acts on one side alone and is found on either, the share whose larger
    probability is on the side that acts; None where there are none. `side_n`: how many those are.
    """

    n: int
    known: int
    precision: float
    recall: float
    f1: float
    chance_f1: float
    side_right: float | None
    side_n: int


@dataclass(frozen=True)
class UnitScores:
    """Of every unit by its number; `macro_f1` and `macro_chance_f1` are means over the `macro_units`, those with at least
    `LEAST_ACTING` acting sides (None without any). `side_right` and `side_n` are those of all units together."""

    threshold: float
    macro_f1: float | None
    macro_chance_f1: float | None
    macro_units: tuple[int, ...]
    side_right: float | None
    side_n: int
    units: dict[int, UnitScore]


def choose_threshold(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """The threshold (.05, .1, … .95) of the best mean F1 over the units with at least `LEAST_ACTING` acting sides.

    Of equally good ones the nearest to 0.5, which is also the answer where no unit acts often enough. Takes (n, 2 units)
    each, every unit's left and right in turn. ValueError when they do not fit.
    """
    true, answers = _checked(truth, probabilities)
    counted = np.nansum(true, axis=(0, 2)) >= LEAST_ACTING
    if not counted.any():
        return 0.5
    by_distance = sorted(_GRID, key=lambda threshold: abs(threshold - 0.5))
    # max takes the first of equals
    return max(by_distance, key=lambda t: round(float(_f1(true, answers >= t)[counted].mean()), 9))


def unit_scores(truth: ArrayLike, probabilities: ArrayLike, numbers: Sequence[int], threshold: float) -> UnitScores:
    """Scores of answers (n, 2 units) against truth, of the units with these numbers. ValueError when they do not fit."""
    true, answers = _checked(truth, probabilities)
    if true.shape[1] != len(numbers):
        raise ValueError(f"action units: expected {len(numbers)} on both sides, found {true.shape[1]}")
    units = {number: _unit(true[:, i], answers[:, i], threshold) for i, number in enumerate(numbers)}
    counted = {number: found for number, found in units.items() if found.n >= LEAST_ACTING}
    sides = sum(found.side_n for found in units.values())
    right = sum((found.side_right or 0.0) * found.side_n for found in units.values())
    return UnitScores(
        threshold=threshold,
        macro_f1=float(np.mean([found.f1 for found in counted.values()])) if counted else None,
        macro_chance_f1=float(np.mean([found.chance_f1 for found in counted.values()])) if counted else None,
        macro_units=tuple(counted),
        side_right=right / sides if sides else None,
        side_n=sides,
        units=units,
    )


def _unit(true: Values, answers: Values, threshold: float) -> UnitScore:
    """Of one unit: (n, 2), left and right."""
    given, acts, rests = answers >= threshold, true == 1, true == 0
    hits, misses, false = int((given & acts).sum()), int((~given & acts).sum()), int((given & rests).sum())
    n, known = hits + misses, int((acts | rests).sum())
    one_sided = (acts.sum(axis=1) == 1) & (rests.sum(axis=1) == 1) & given.any(axis=1)
    difference = answers[one_sided, 0] - answers[one_sided, 1]
    # Equal on both sides is no answer.
    right = (difference > 0) & acts[one_sided, 0] | (difference < 0) & acts[one_sided, 1]
    return UnitScore(
        n=n,
        known=known,
        precision=_ratio(hits, hits + false),
        recall=_ratio(hits, n),
        f1=_ratio(2 * hits, 2 * hits + misses + false),
        chance_f1=_ratio(2 * n, n + known),  # 2 p / (1 + p) with p = n / known
        side_right=float(right.mean()) if len(right) else None,
        side_n=len(right),
    )


def _f1(true: Values, given: NDArray[np.bool_]) -> Values:
    """F1 of each unit, from (n, units, 2)."""
    hits = (given & (true == 1)).sum(axis=(0, 2))
    wrong = (given & (true == 0)).sum(axis=(0, 2)) + (~given & (true == 1)).sum(axis=(0, 2))
    return 2 * hits / np.maximum(2 * hits + wrong, 1)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _checked(truth: ArrayLike, probabilities: ArrayLike) -> tuple[Values, Values]:
    """Both as (n, units, 2)."""
    true, answers = np.asarray(truth, np.float64), np.asarray(probabilities, np.float64)
    if true.ndim != 2 or true.shape != answers.shape or not len(true) or true.shape[1] % 2:
        raise ValueError(
            f"action units: expected truth and answers of one shape (n, 2 units), found {true.shape} and {answers.shape}"
        )
    return true.reshape(len(true), -1, 2), answers.reshape(len(answers), -1, 2)
