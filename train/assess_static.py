"""Static-frame probes: what a single picture tells of the class. It should tell nothing: then motion is what is learnt.

A micro-expression is a change against the person's own neutral face. A model, or a plain classifier, that does better
than guessing on a clip's first frame has found something in the made clips that gives the class away. At the apex a raised
brow is a raised brow in a single picture too: there, a little better than guessing is no fault of the clips.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from train.assess_answers import Crops
from train.assess_scores import Answered, chance_range, whole
from train.metrics import confusion_matrix, pooled
from train.store import ClipStore

PROBE_PX = 32
"""Side of the pictures that the logistic regression sees."""
WEIGHT_PENALTY = 10.0
"""Factor on the half squared weights, against the summed cross-entropy of clips with pixels of unit variance."""


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
