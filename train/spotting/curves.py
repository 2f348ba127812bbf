"""Misses traded for false events: what is found, and what falsely, over the least probability that counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.decision import counts
from model.types import Event
from train.spotting.match import Counts, SpottedVideo, matching_pairs, watchable_minutes

RATES_PER_MIN = (0.25, 0.5, 1.0, 2.0, 4.0)
"""False events a watchable minute at which recall is told."""
_CURVE_POINTS = 60


@dataclass(frozen=True)
class ThresholdPoint:
    """What a least probability gives. `false_per_min` a watchable minute, None where nothing was watchable;
    `quiet_false_per_min` is that of videos without any annotated event."""

    min_probability: float
    f1: float
    f1_with_class: float
    recall: float
    false_per_min: float | None
    quiet_false_per_min: float | None


@dataclass(frozen=True, eq=False)
class MicroCandidates:
    """The micro events of some videos that count at one threshold or another, matched with the truth once for all of them.

    What has no probability is as its detector decided, and counts at every threshold if it counts at all.
    """

    videos: Sequence[SpottedVideo]

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(n,) Of all candidates, growing."""
        return np.sort([_probability(event.probability) for _, event in self._found])

    def counts(self, min_probability: float, with_label: bool = False) -> Counts:
        """As `train.spotting.match.count` counts them."""
        taken: tuple[set[tuple[int, int]], set[tuple[int, int]]] = (set(), set())
        for _, video, t, f, probability, same_label in self._pairs:
            if probability < min_probability or (with_label and not same_label):
                continue
            if (video, t) not in taken[0] and (video, f) not in taken[1]:
                taken[0].add((video, t))
                taken[1].add((video, f))
        tp, total = len(taken[0]), len(self.probabilities)
        found = total - int(np.searchsorted(self.probabilities, min_probability, side="left"))
        return Counts(tp, found - tp, self._true - tp)

    @cached_property
    def watchable_min(self) -> float:
        return watchable_minutes(self.videos)

    def false_per_min(self, min_probability: float) -> float | None:
        """A watchable minute; None where nothing was watchable."""
        return self.counts(min_probability).fp / self.watchable_min if self.watchable_min else None

    def recall_at(self, false_per_min: float) -> float | None:
        """The largest share of the true ones that is found with no more false ones a watchable minute than that; None where
        nothing was watchable."""
        if not self.watchable_min:
            return None
        most = 0.0
        # From the likeliest on, until there are more false ones: there never are fewer again.
        for threshold in np.unique(self.probabilities)[::-1].tolist():
            found = self.counts(threshold)
            if found.fp > false_per_min * self.watchable_min + 1e-9:
                break
            most = max(most, found.recall)
        return most

    @cached_property
    def _found(self) -> list[tuple[int, Event]]:
        """With the place of their video."""
        return [
            (number, event)
            for number, video in enumerate(self.videos)
            for event in video.found
            if event.kind == "micro" and counts(event.kind, event.probability, event.rejected, 0.0)
        ]

    @cached_property
    def _true(self) -> int:
        return sum(len(video.true_events("micro")) for video in self.videos)

    @cached_property
    def _pairs(self) -> list[tuple[float, int, int, int, float, bool]]:
        """(-IoU, video, true event, found event, its probability, whether the labels agree), the best first."""
        pairs: list[tuple[float, int, int, int, float, bool]] = []
        for number, video in enumerate(self.videos):
            truth, found = video.true_events("micro"), [event for place, event in self._found if place == number]
            for lack, t, f in matching_pairs(truth, found):
                event = found[f]
                pairs.append((lack, number, t, f, _probability(event.probability), truth[t].label == event.label))
        return sorted(pairs)


def _probability(told: float | None) -> float:
    return 1.0 if told is None else told


def curve(videos: Sequence[SpottedVideo], quiet: Sequence[SpottedVideo]) -> list[ThresholdPoint]:
    """Scores over growing thresholds, from none up to the likeliest event's; close together where few events are left."""
    annotated, still = MicroCandidates(videos), MicroCandidates(quiet)
    return [
        ThresholdPoint(
            threshold,
            (found := annotated.counts(threshold)).f1,
            annotated.counts(threshold, with_label=True).f1,
            found.recall,
            annotated.false_per_min(threshold),
            still.false_per_min(threshold),
        )
        for threshold in thresholds(np.concatenate([annotated.probabilities, still.probabilities]))
    ]


def thresholds(probabilities: NDArray[np.float64]) -> list[float]:
    """Least probabilities to draw a curve over, growing: 0 and the probabilities, at most `_CURVE_POINTS`, thinned evenly in the logarithm of how many are above."""
    falling = np.unique(np.append(probabilities, 0.0))[::-1]
    if len(falling) > _CURVE_POINTS:
        places = np.geomspace(1, len(falling), _CURVE_POINTS).round().astype(int) - 1
        falling = falling[np.unique(places)]
    return falling[::-1].tolist()
