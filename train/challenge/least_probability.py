"""The least probability with which a micro-expression counts: fixed in advance, or chosen for each subject on all the others."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from train.challenge.rules import Rules, count_video, probability
from train.challenge.scored_video import ScoredVideo

Choose = Literal["fixed", "loso"]


def chosen_by_others(videos: Sequence[ScoredVideo], otherwise: float, rules: Rules = "pooled") -> dict[str, float]:
    """For each subject the least probability at which the pooled micro F1 of all other subjects is best, of the probabilities that
    their candidates have, the largest of equally good ones. `otherwise` where they have no hit at any, and for a single subject.
    """
    told: dict[str, set[float]] = {video.subject: set() for video in videos}
    for video in videos:
        told[video.subject] |= {probability(event) for event in video.found_events("micro")}
    tried = np.array(sorted(set().union(*told.values())))
    counts = {subject: np.zeros((len(tried), 3)) for subject in told}
    for video in videos:
        counts[video.subject] += _counts_at(video, tried, rules)
    total = sum(counts.values(), np.zeros((len(tried), 3)))
    chosen: dict[str, float] = {}
    for subject, own in counts.items():
        hits, false, missed = (total - own).T
        f1 = np.divide(2 * hits, 2 * hits + false + missed, out=np.zeros(len(tried)), where=hits > 0)
        theirs = set().union(*(values for other, values in told.items() if other != subject))
        f1[~np.isin(tried, sorted(theirs))] = 0.0
        best = f1.max(initial=0.0)
        chosen[subject] = float(tried[f1 == best].max()) if best > 0 else otherwise
    return chosen


def _counts_at(video: ScoredVideo, tried: NDArray[np.float64], rules: Rules) -> NDArray[np.float64]:
    """(len(tried), 3) Hits, false events and misses of micro-expressions when they must be so probable. They change at the video's
    own probabilities only."""
    own = sorted({probability(event) for event in video.found_events("micro")})
    steps = [count_video(video, "micro", least, rules) for least in (*own, math.inf)]
    table = np.array([(step.tp, step.fp, step.fn) for step in steps], np.float64)
    return table[np.searchsorted(own, tried, side="left")]


def in_words(choose: Choose, least: float, given: bool) -> str:
    """How it was chosen, for every result. `given`: by the user, where it is fixed."""
    if choose == "loso":
        return (
            "chosen for each subject as the one that gives all other subjects the best micro F1 (leave one subject out)"
        )
    if least <= 0:
        return "fixed in advance: 0, all that was found counts"
    return f"fixed in advance: {least:.3g}, " + ("as asked for" if given else "the model's own")
