"""Which found event hits which true one, by the proper rules and by those of public code that are looser.

The proper ones are those of the Micro-Expression Grand Challenges since 2020: a found interval may hit a true one of its kind
when their intersection over union (IoU) is one half or more, frames counted inclusively ([a, b] being b - a + 1 of them); no
event is in two pairs; and hits, false events and misses are pooled over all videos before F1 is taken, those without any
event included. How pairs are found where several could be is not said there: here it is the pairing of most pairs, and of
the largest sum of IoU among those, so that nothing depends on the order in which events are listed.

What else is in use was read in published code: MEGC 2020's helper, SOFTNet's and MEAN's evaluation, and the evaluation that
ABPN and its descendants share. The rules of `train.spotting.match` are the proper ones in seconds, for made videos.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from model.types import EventKind
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.spotting.match import MIN_IOU, Counts

Rules = Literal["pooled", "megc2020", "softnet", "abpn"]
KINDS: tuple[EventKind, EventKind] = ("micro", "macro")

Pairs = list[tuple[int, int]]
"""(index of a true, index of a found event)."""
Hit = tuple[FrameEvent, FrameEvent]
"""A true event and the found one that hits it."""


def overlaps(truth: Sequence[FrameEvent], found: Sequence[FrameEvent], inclusive: bool = True) -> NDArray[np.float64]:
    """IoU (true, found) of all pairs, 0..1. Not `inclusive`: an interval of n frames has n - 1 of them, a single one none."""
    starts, ends = _ends(truth)
    others, other_ends = _ends(found)
    more = int(inclusive)
    shared = np.minimum(ends[:, None], other_ends) - np.maximum(starts[:, None], others) + more
    shared = np.maximum(shared, 0)
    both = (ends - starts + more)[:, None] + (other_ends - others + more) - shared
    return np.divide(shared, both, out=np.zeros(shared.shape), where=both > 0)


def _ends(events: Sequence[FrameEvent]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ends = np.array([(event.onset, event.offset) for event in events], np.int64).reshape(-1, 2)
    return ends[:, 0], ends[:, 1]


def most_pairs(iou: NDArray[np.float64]) -> Pairs:
    """One to one, as many as there can be; of those ways the one with the largest sum of IoU. `iou` (true, found)."""
    fits = iou >= MIN_IOU
    if (fits.sum(axis=0) <= 1).all() and (fits.sum(axis=1) <= 1).all():
        return _pairs(fits)
    # A pair more is worth more than all that IoU can add.
    worth = np.where(fits, min(iou.shape) + 1 + iou, 0.0)
    chosen = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return [(int(t), int(f)) for t, f in chosen if fits[t, f]]


def _all_pairs(iou: NDArray[np.float64]) -> Pairs:
    return _pairs(iou >= MIN_IOU)


def _first_come(iou: NDArray[np.float64]) -> Pairs:
    """The likeliest found event first, each with the true one that it overlaps most: taken already, it is false."""
    pairs: Pairs = []
    taken: set[int] = set()
    for f in range(iou.shape[1] if len(iou) else 0):
        best = int(np.argmax(iou[:, f]))
        if iou[best, f] >= MIN_IOU and best not in taken:
            taken.add(best)
            pairs.append((best, f))
    return pairs


def _each_with_any(iou: NDArray[np.float64]) -> Pairs:
    """Every found event with the true one that it overlaps most, be it taken or not."""
    return [(int(np.argmax(iou[:, f])), int(f)) for f in np.flatnonzero((iou > MIN_IOU).any(axis=0))]


def _pairs(fits: NDArray[np.bool_]) -> Pairs:
    return [(int(t), int(f)) for t, f in np.argwhere(fits)]


@dataclass(frozen=True)
class RuleSet:
    """A way to count, in words and as it is done.

    `words`: what it does. `hides`: what it lets pass that the proper rules do not. `used_by`: whose published figures are
    counted so. `pairs` of an IoU (true, found), found events the likeliest first. `empty_videos`: those without a true event
    of the wanted kind count. `on_test`: the sensitivity is the best on each test subject itself.
    """

    name: Rules
    words: str
    hides: str
    used_by: str
    pairs: Callable[[NDArray[np.float64]], Pairs]
    inclusive: bool = True
    empty_videos: bool = True
    on_test: bool = False


RULES: Mapping[Rules, RuleSet] = MappingProxyType(
    {
        "pooled": RuleSet(
            "pooled",
            "Hits at an IoU of .5 or more of inclusive frames, one to one; hits, false events and misses are pooled over all "
            "videos, those without any event included.",
            "",
            "what the grand challenges ask for",
            most_pairs,
        ),
        "megc2020": RuleSet(
            "megc2020",
            "As pooled, but not one to one: every pair of a true and a found event at an IoU of .5 or more is a hit.",
            "A found event that lies on two true ones hits both, and several on one true event are all hits.",
            "the helper given out with the baseline of MEGC 2020 (MDMD), and code built on it",
            _all_pairs,
        ),
        "softnet": RuleSet(
            "softnet",
            "Videos without a true event of the wanted kind are left out; the likeliest found events choose first, each the "
            "true one that it overlaps most.",
            "Whatever is found in a video in which there is nothing: a long recording in which nothing happens costs nothing.",
            "SOFTNet, MEAN and code built on them",
            _first_come,
            empty_videos=False,
        ),
        "abpn": RuleSet(
            "abpn",
            "The sensitivity (there: the epoch) is the one with the best micro F1 on each test subject itself; an interval is "
            "offset - onset frames long, the IoU must be above .5, and every found event that overlaps a true one is a hit.",
            "That the best sensitivity for a person is not known before their videos are annotated: guesses score far above "
            "chance so. Several found events on one true event are all hits.",
            "ABPN and the methods that descend from it",
            _each_with_any,
            inclusive=False,
            on_test=True,
        ),
    }
)


def hits(video: ScoredVideo, kind: EventKind, least: float, rules: Rules = "pooled") -> list[Hit]:
    """Pairs of one kind of a video, when a micro-expression must be at least so probable, by the true event's onset."""
    truth, found = _counted(video, kind, least, RULES[rules])
    pairs = _paired(truth, found, RULES[rules])
    return sorted(((truth[t], found[f]) for t, f in pairs), key=lambda hit: (_order(hit[0]), _order(hit[1])))


def count_video(video: ScoredVideo, kind: EventKind, least: float, rules: Rules = "pooled") -> Counts:
    """Hits, false events and misses of one kind in a video: what is pooled by adding.

    As `abpn` counts, misses are the true events less the hits: a true one that was hit twice makes up for another.
    """
    rule = RULES[rules]
    truth, found = _counted(video, kind, least, rule)
    if not truth or not found:
        return Counts(0, len(found), len(truth))
    pairs = _paired(truth, found, rule)
    missed = len(truth) - (len(pairs) if rule.on_test else len({t for t, _ in pairs}))
    return Counts(len(pairs), len(found) - len({f for _, f in pairs}), missed)


def _counted(video: ScoredVideo, kind: EventKind, least: float, rule: RuleSet) -> tuple[list[FrameEvent], ...]:
    """The true and the found events that the rules look at, in an order that does not depend on how they were listed."""
    truth = video.true_events(kind)
    if not truth and not rule.empty_videos:
        return [], []
    found = sorted(video.found_events(kind, least), key=_order)
    return sorted(truth, key=_order), sorted(found, key=lambda event: -probability(event))


def _paired(truth: Sequence[FrameEvent], found: Sequence[FrameEvent], rule: RuleSet) -> Pairs:
    return rule.pairs(overlaps(truth, found, rule.inclusive)) if truth and found else []


def _order(event: FrameEvent) -> tuple[int, int, int, str, float]:
    return (
        event.onset,
        event.offset,
        -1 if event.apex is None else event.apex,
        event.label or "",
        probability(event),
    )


def probability(event: FrameEvent) -> float:
    """What has none counts at every sensitivity."""
    return 1.0 if event.probability is None else event.probability


def best_on_itself(videos: Sequence[ScoredVideo], rules: Rules = "abpn") -> float:
    """The least probability with the best micro F1 on these very videos, the largest of equals; 0 where nothing was found.

    For rules under which a found event is a hit or not whatever else was found.
    """
    rule = RULES[rules]
    told: list[tuple[float, bool]] = []
    true = 0
    for video in videos:
        truth, found = _counted(video, "micro", 0.0, rule)
        hit = {f for _, f in _paired(truth, found, rule)}
        told += [(probability(event), f in hit) for f, event in enumerate(found)]
        true += len(truth)
    if not told:
        return 0.0
    told.sort(key=lambda one: -one[0])
    probabilities = np.array([one[0] for one in told])
    f1 = 2 * np.cumsum([one[1] for one in told]) / (np.arange(1, len(told) + 1) + true)
    last_of_equals = np.append(probabilities[:-1] != probabilities[1:], True)
    return float(probabilities[np.argmax(np.where(last_of_equals, f1, -1.0))])
