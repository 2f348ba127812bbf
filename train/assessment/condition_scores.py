"""Scores of an assessment: several models on the same clips, as mean and spread, with chance beside them.

Static-frame probes say what a single picture tells of the class. A micro-expression is a change against the person's own
neutral face: a model, or a plain classifier, that does better than guessing on a clip's first frame has found something in
the made clips that gives the class away. At the apex a raised brow is a raised brow in a single picture too: there, a
little better than guessing is no fault of the clips.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from model.contract import NEUTRAL
from train.assessment.answers import Crops
from train.clips.store import ClipStore
from train.scores.calibration import expected_calibration_error
from train.scores.metrics import CHANCE_DRAWS, Confusion, confusion_matrix, pooled, scores

BANDS_PX: Mapping[str, tuple[float, float]] = {
    "all": (0.0, math.inf),
    "0.8-3 px": (0.8, math.inf),
    "< 1.2 px": (0.0, 1.2),
    "1.2-2 px": (1.2, 2.0),
    "> 2 px": (2.0, math.inf),
}
"""Bands of peak motion, in pixels of the crop: from (included) and to (left out). No made clip is over 3 px."""
METRICS = ("uf1", "uar", "accuracy")
PROBE_PX = 32
"""Side of the pictures that the logistic regression sees."""
WEIGHT_PENALTY = 10.0
"""Factor on the half squared weights, against the summed cross-entropy of clips with pixels of unit variance."""


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


def still_frame(store: ClipStore, row: int) -> int:
    """The clip's frame that is shown: the apex, or for a clip without one a frame of its window, drawn by its number."""
    record, manifest = store.records[row], store.manifest
    if record.apex_frame is not None:
        return record.apex_frame
    return int(np.random.default_rng((manifest.seed or 0, row)).integers(record.window_start, manifest.frames))


def standing_still(store: ClipStore, row: int, crops: Crops) -> Crops:
    """The clip with its still frame in place of every frame."""
    return np.repeat(crops[[still_frame(store, row)]], len(crops), axis=0)


def model_probe(answered: Answered) -> dict[str, Any]:
    """Scores of the models' answers to still frames, with `at_chance` saying that no model's accuracy is above guessing."""
    found = whole(answered)
    kept = {name: found[name] for name in ("n", "uf1", "accuracy", "chance")}
    return kept | {"at_chance": max(found["accuracy"]["values"]) <= found["chance"]["accuracy"]["high"]}


def picture_probe(
    store: ClipStore, people: Sequence[str], class_names: Sequence[str], first: bool = False
) -> dict[str, Any] | None:
    """Logistic regression on single raw frames (the still frame, or the clip's `first`), each person answered by one
    trained on the others; None for one person.

    Frames are grey, 32 x 32, each brought to zero mean and unit variance.
    """
    if len(set(people)) < 2:
        return None
    pictures = np.stack([_picture(store, row, 0 if first else still_frame(store, row)) for row in range(len(store))])
    labels, names = store.labels, np.array(people)
    guesses = np.empty(len(labels), np.int64)
    for person in sorted(set(people)):
        held = names == person
        weights = _fit(pictures[~held], labels[~held], len(class_names))
        guesses[held] = _scores(pictures[held], weights).argmax(axis=1)
    confusion = confusion_matrix(labels, guesses, len(class_names))
    uf1, _, accuracy = (float(value) for value in pooled(confusion))
    chance = chance_range(confusion.sum(axis=1))
    found = {"n": len(labels), "people": len(set(people)), "uf1": uf1, "accuracy": accuracy, "chance": chance}
    return found | {"at_chance": accuracy <= chance["accuracy"]["high"]}


def _picture(store: ClipStore, row: int, frame: int) -> NDArray[np.float64]:
    crop = np.asarray(store.clips[row, frame])
    grey = crop[..., 0] if crop.shape[-1] == 1 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (PROBE_PX, PROBE_PX), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    return (small - small.mean()) / max(float(small.std()), 1e-6)


def _fit(pictures: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Weights (1 + pixels, classes) of multinomial logistic regression with a penalty on all but the first row."""
    inputs, wanted = _with_one(pictures), np.eye(classes)[labels]
    penalty = np.full((inputs.shape[1], 1), WEIGHT_PENALTY)
    penalty[0] = 0.0

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(-1, classes)
        log_p = log_softmax(inputs @ weights, axis=1)
        value = -(wanted * log_p).sum() + (penalty * weights**2).sum() / 2
        gradient = inputs.T @ (np.exp(log_p) - wanted) + penalty * weights
        return float(value), gradient.ravel()

    start = np.zeros(inputs.shape[1] * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x.reshape(-1, classes)


def _scores(pictures: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return _with_one(pictures) @ weights


def _with_one(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.ones(len(pictures)), pictures])
