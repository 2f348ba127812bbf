"""Is a model better than it was? Both asked about the same clips of the same people, who had no part in either.

People are drawn again with replacement, the same ones for both; scores are pooled over those who were drawn. The interval is the
middle of such differences, wider for few people (`train.experiments.paired.tail_share`).
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from train.clips.samples import Samples
from train.experiments.paired import DRAWS, tail_share
from train.scores.metrics import confusion_matrix, pooled, summary

LEAST_PEOPLE, LEAST_CLIPS = 5, 10
"""With fewer people, or fewer clips of a class, nothing is said of a difference."""
_CHUNK = 500

Finding = Literal["better", "worse", "no difference shown", "too few"]


def before_after(samples: Samples, before: NDArray[np.int64], after: NDArray[np.int64]) -> dict[str, Any]:
    """What both answered (n,), as class indices, in the order of the samples' rows.

    Returns `before` and `after` as `train.scores.metrics.summary` has them, `difference` (of "uf1" and "uar": value, low and
    high, 95 %), `people`, `lacking` (in words, what there is too little of) and `finding`.
    """
    names, truth = samples.class_names, samples.labels
    people = sorted(set(samples.people))
    mine = [np.flatnonzero(np.array(samples.people) == person) for person in people]
    counted = [
        np.stack([confusion_matrix(truth[rows], answers[rows], len(names)) for rows in mine])
        for answers in (before, after)
    ]
    differences = _differences(counted[0], counted[1])
    lacking = _lacking(samples, people)
    return {
        "before": summary(truth, before, names),
        "after": summary(truth, after, names),
        "difference": differences,
        "people": people,
        "lacking": lacking,
        "finding": _finding(differences["uf1"], lacking),
    }


def _differences(before: NDArray[np.int64], after: NDArray[np.int64], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Of confusion matrices (people, classes, classes); no interval for one person alone."""
    people = len(before)
    found: dict[str, dict[str, Any]] = {}
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=DRAWS)
    scored = [_drawn_scores(one, drawn) for one in (before, after)]
    for place, name in enumerate(("uf1", "uar")):
        value = float(pooled(after.sum(axis=0))[place] - pooled(before.sum(axis=0))[place])
        low = high = None
        if people > 1:
            tail = tail_share(people)
            low, high = (float(edge) for edge in np.quantile(scored[1][place] - scored[0][place], [tail, 1 - tail]))
        found[name] = {"value": value, "low": low, "high": high}
    return found


def _drawn_scores(confusions: NDArray[np.int64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """(2, draws): UF1 and UAR pooled over the drawn people, (draws, people) times each."""
    parts = [
        pooled(np.einsum("bp,pij->bij", drawn[start : start + _CHUNK], confusions))[:2]
        for start in range(0, len(drawn), _CHUNK)
    ]
    return np.concatenate([np.stack(part) for part in parts], axis=1)


def _lacking(samples: Samples, people: Sequence[str]) -> list[str]:
    found = [f"{len(people)} people, fewer than {LEAST_PEOPLE}"] if len(people) < LEAST_PEOPLE else []
    for index, name in enumerate(samples.class_names):
        rows = np.flatnonzero(samples.labels == index)
        if len(rows) < LEAST_CLIPS:
            found.append(f"{len(rows)} clips of {name}, fewer than {LEAST_CLIPS}")
        elif len(samples.people_of(rows)) < 2:
            found.append(f"clips of {name} of one person alone")
    return found


def _finding(uf1: dict[str, Any], lacking: Sequence[str]) -> Finding:
    if lacking:
        return "too few"
    return "better" if uf1["low"] > 0 else "worse" if uf1["high"] < 0 else "no difference shown"
