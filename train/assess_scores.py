"""Scores of an assessment: several models on the same clips, as mean and spread, with chance beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.contract import NEUTRAL
from train.calibration import expected_calibration_error
from train.metrics import CHANCE_DRAWS, Confusion, confusion_matrix, pooled, scores

BANDS_PX: Mapping[str, tuple[float, float]] = {
    "all": (0.0, math.inf),
    "0.8-3 px": (0.8, math.inf),
    "< 1.2 px": (0.0, 1.2),
    "1.2-2 px": (1.2, 2.0),
    "> 2 px": (2.0, math.inf),
}
"""Bands of peak motion, in pixels of the crop: from (included) and to (left out). No made clip is over 3 px."""
METRICS = ("uf1", "uar", "accuracy")


@dataclass(frozen=True, eq=False)
class Answered:
    """Clips with their truth and what each model answered: labels (n,), peaks (n,) px (0: no event), (n, classes) each."""

    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    peaks_px: NDArray[np.float64]
    probabilities: Sequence[NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: NDArray[np.bool_]) -> "Answered":
        return Answered(
            self.class_names,
            self.labels[chosen],
            self.peaks_px[chosen],
            [answers[chosen] for answers in self.probabilities],
        )

    def confusions(self) -> list[Confusion]:
        """Of each model: (classes, classes), rows truth."""
        count = len(self.class_names)
        return [confusion_matrix(self.labels, answers.argmax(axis=1), count) for answers in self.probabilities]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and sample standard deviation (None for one value), and the values."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "values": [float(value) for value in values]}


def whole(answered: Answered) -> dict[str, Any]:
    """n, uf1, uar, accuracy and ece as `spread` has them, what guessing scores, and classes with their confusions."""
    confusions = answered.confusions()
    found = [scores(confusion, answered.class_names) for confusion in confusions]
    per_class = {
        name: {"n": found[0].per_class[name].n}
        | {key: spread([getattr(f.per_class[name], key) for f in found]) for key in ("recall", "precision", "f1")}
        for name in answered.class_names
    }
    return {
        "n": len(answered),
        **{name: spread([getattr(f, name) for f in found]) for name in METRICS},
        "ece": spread([expected_calibration_error(answers, answered.labels) for answers in answered.probabilities]),
        "chance": chance_range(found_support(confusions)),
        "per_class": per_class,
        "confusions": [confusion.tolist() for confusion in confusions],
    }


def by_band(answered: Answered) -> dict[str, dict[str, Any]]:
    """Scores by the events' size; bands without an event are left out.

    A band holds the clips whose event peaks in it and all neutral clips. These are weighted so that together they count
    as much as a class with an event does on average: UF1 is over all classes, and a band with few events is not swamped
    by neutral clips. `n` counts the events, `n_neutral` the neutral clips. Chance is that of as many clips as the weights
    add up to.
    """
    neutral = answered.labels == _neutral(answered.class_names)
    result: dict[str, dict[str, Any]] = {}
    for name, (low, high) in BANDS_PX.items():
        events = ~neutral & (answered.peaks_px >= low) & (answered.peaks_px < high)
        if not events.any():
            continue
        inside = answered.rows(events | neutral)
        weighted = [balanced(confusion, answered.class_names) for confusion in inside.confusions()]
        found = [dict(zip(METRICS, pooled(confusion), strict=True)) for confusion in weighted]
        result[name] = {
            "n": int(events.sum()),
            "n_neutral": int(neutral.sum()),
            **{metric: spread([float(f[metric]) for f in found]) for metric in METRICS},
            "chance": chance_range(found_support(weighted)),
        }
    return result


def balanced(confusion: Confusion, class_names: Sequence[str]) -> NDArray[np.float64]:
    """The confusion with its neutral row scaled to the mean size of the other classes' rows (those that have clips)."""
    weighted = confusion.astype(np.float64)
    neutral = _neutral(class_names)
    others = np.delete(weighted.sum(axis=1), neutral) if neutral >= 0 else np.zeros(0)
    total = weighted[neutral].sum() if neutral >= 0 else 0.0
    if total and (others > 0).any():
        weighted[neutral] *= others[others > 0].mean() / total
    return weighted


def by_group(answered: Answered, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """n, uf1, uar and accuracy of the clips of each group (a person, a difficulty), which `groups` names clip by clip."""
    names = np.array(groups)
    result: dict[str, dict[str, Any]] = {}
    for group in sorted(set(groups)):
        found = [scores(c, answered.class_names) for c in answered.rows(names == group).confusions()]
        result[group] = {"n": found[0].n} | {key: spread([getattr(f, key) for f in found]) for key in METRICS}
    return result


def found_support(confusions: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Clips of each class, weights rounded to whole clips."""
    return np.rint(confusions[0].sum(axis=1)).astype(np.int64)


def chance_range(support: ArrayLike, draws: int = CHANCE_DRAWS, seed: int = 0) -> dict[str, dict[str, float]]:
    """What guessing classes by their frequency scores on these clips: mean, and the middle 95 % of the guesses."""
    counts = np.asarray(support, np.int64)
    rng = np.random.default_rng(seed)
    guesses = np.stack([rng.multinomial(n, counts / counts.sum(), size=draws) for n in counts], axis=1)
    result: dict[str, dict[str, float]] = {}
    for name, values in zip(METRICS, pooled(guesses), strict=True):
        low, high = np.percentile(values, (2.5, 97.5))
        result[name] = {"mean": float(values.mean()), "low": float(low), "high": float(high)}
    return result


def _neutral(class_names: Sequence[str]) -> int:
    """Index of the neutral class, -1 without one."""
    return class_names.index(NEUTRAL) if NEUTRAL in class_names else -1
