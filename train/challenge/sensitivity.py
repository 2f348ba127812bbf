"""The least probability with which a micro-expression counts: fixed in advance, or chosen for each subject on all the others."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from train.challenge.rules import Rules, count_video, probability
from train.challenge.scored_video import ScoredVideo
from train.spotting.curves import thresholds

Choose = Literal["fixed", "loso"]


def chosen_by_others(videos: Sequence[ScoredVideo], otherwise: float, rules: Rules = "pooled") -> dict[str, float]:
    """For each subject the least probability at which the pooled micro F1 of all other subjects is best: the largest of equally
    good ones. `otherwise` where the others have no hit at any, and for a single subject."""
    tried = thresholds(np.array([probability(e) for video in videos for e in video.found_events("micro")], np.float64))
    subjects = sorted({video.subject for video in videos})
    counts = np.zeros((len(subjects), len(tried), 3))  # hits, false ones, misses
    for video in videos:
        of = subjects.index(video.subject)
        for place, least in enumerate(tried):
            counted = count_video(video, "micro", least, rules)
            counts[of, place] += (counted.tp, counted.fp, counted.fn)
    hits, false, missed = np.moveaxis(counts.sum(axis=0) - counts, -1, 0)
    f1 = np.divide(2 * hits, 2 * hits + false + missed, out=np.zeros(hits.shape), where=hits > 0)
    # Growing: the last of equally good ones is the largest.
    best = len(tried) - 1 - f1[:, ::-1].argmax(axis=1)
    return {
        subject: tried[place] if own.max() > 0 else otherwise
        for subject, place, own in zip(subjects, best.tolist(), f1, strict=True)
    }


def in_words(choose: Choose, least: float, given: bool) -> str:
    """How it was chosen, for every result. `given`: by the user, not by the model."""
    if choose == "loso":
        return (
            "chosen for each subject as the one that gives all other subjects the best micro F1 (leave one subject out)"
        )
    return f"fixed in advance: {least:.3g}, " + ("as asked for" if given else "the model's own")
