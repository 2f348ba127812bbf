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
from scipy.optimize import linear_sum_assignment

from model.types import EventKind
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.spotting.match import MIN_IOU, Counts

Rules = Literal["pooled", "megc2020", "softnet", "abpn"]
KINDS: tuple[EventKind, EventKind] = ("micro", "macro")

Pairs = list[tuple[int, int]]
"""(index of a true, index of a found event)."""
Overlap = tuple[int, int, float]
"""Index of a true and of a found event, and their IoU, above 0."""
Hit = tuple[FrameEvent, FrameEvent]
"""A true event and the found one that hits it."""


def overlaps(truth: Sequence[FrameEvent], found: Sequence[FrameEvent], inclusive: bool = True) -> list[Overlap]:
    """All that overlap, the true ones first to last. Not `inclusive`: n frames have a length of n - 1, a single one none."""
    more = int(inclusive)
    pairs: list[Overlap] = []
    for t, true in enumerate(truth):
        for f, event in enumerate(found):
            shared = min(true.offset, event.offset) - max(true.onset, event.onset) + more
            if shared > 0:
                both = true.offset - true.onset + event.offset - event.onset + 2 * more - shared
                pairs.append((t, f, shared / both))
    return pairs


def most_pairs(overlapping: Sequence[Overlap]) -> Pairs:
    """One to one, as many as there can be; of those ways the one with the largest sum of IoU."""
    fits = [pair for pair in overlapping if pair[2] >= MIN_IOU]
    truth, found = sorted({t for t, _, _ in fits}), sorted({f for _, f, _ in fits})
    if len(truth) == len(found) == len(fits):
        return [(t, f) for t, f, _ in fits]
    # A pair more is worth more than all that IoU can add.
    worth = np.zeros((len(truth), len(found)))
    for t, f, iou in fits:
        worth[truth.index(t), found.index(f)] = min(worth.shape) + 1 + iou
    chosen = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return [(truth[row], found[column]) for row, column in chosen if worth[row, column]]


def _all_pairs(overlapping: Sequence[Overlap]) -> Pairs:
    return [(t, f) for t, f, iou in overlapping if iou >= MIN_IOU]


def _first_come(overlapping: Sequence[Overlap]) -> Pairs:
    """The likeliest found event first, each with the true one that it overlaps most: taken already, it is false."""
    pairs: Pairs = []
    taken: set[int] = set()
    for f, (t, iou) in sorted(_best_of_found(overlapping).items()):
        if iou >= MIN_IOU and t not in taken:
            taken.add(t)
            pairs.append((t, f))
    return pairs


def _each_with_any(overlapping: Sequence[Overlap]) -> Pairs:
    """Every found event with the true one that it overlaps most, be it taken or not."""
    return [(t, f) for f, (t, iou) in _best_of_found(overlapping).items() if iou > MIN_IOU]


def _best_of_found(overlapping: Sequence[Overlap]) -> dict[int, tuple[int, float]]:
    """By found event, the true one that it overlaps most (the first of equals), and by how much."""
    best: dict[int, tuple[int, float]] = {}
    for t, f, iou in overlapping:
        if f not in best or iou > best[f][1]:
            best[f] = (t, iou)
    return best


@dataclass(frozen=True)
class RuleSet:
    """A way to count, in words and as it is done.

    `words`: what it does. `hides`: what it lets pass that the proper rules do not. `used_by`: whose published figures are
    counted so. `pairs` of what overlaps, found events the likeliest first. `empty_videos`: those without a true event
    of the wanted kind count. `on_test`: the sensitivity is the best on each test subject itself.
    """

    name: Rules
    words: str
    hides: str
    used_by: str
    pairs: Callable[[Sequence[Overlap]], Pairs]
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
            "the grand challenges, who ask for it",
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
            "chance so. Several found events on one true event are all hits, so that F1 can even pass 1.",
            "ABPN and the methods that descend from it",
            _each_with_any,
            inclusive=False,
            on_test=True,
        ),
    }
)


def hits(video: ScoredVideo, kind: EventKind, least: float, rules: Rules = "pooled") -> list[Hit]:
    """Pairs of one kind of a video, when a micro-expression must be at least so probable, by the true event's onset."""
    truth, found, pairs = _paired(video, kind, least, RULES[rules])
    return [(truth[t], found[f]) for t, f in sorted(pairs, key=lambda pair: (pair[0], _order(found[pair[1]])))]


def count_video(video: ScoredVideo, kind: EventKind, least: float, rules: Rules = "pooled") -> Counts:
    """Hits, false events and misses of one kind in a video: what is pooled by adding.

    As `abpn` counts, misses are the true events less the hits: a true one that was hit twice makes up for another.
    """
    rule = RULES[rules]
    truth, found, pairs = _paired(video, kind, least, rule)
    missed = len(truth) - (len(pairs) if rule.on_test else len({t for t, _ in pairs}))
    return Counts(len(pairs), len(found) - len({f for _, f in pairs}), missed)


def _paired(
    video: ScoredVideo, kind: EventKind, least: float, rule: RuleSet
) -> tuple[list[FrameEvent], list[FrameEvent], Pairs]:
    """The true and the found events that the rules look at, and their pairs, whatever the order in which they were listed."""
    truth = video.true_events(kind)
    if not truth:
        return [], video.found_events(kind, least) if rule.empty_videos else [], []
    truth.sort(key=_order)
    found = sorted(video.found_events(kind, least), key=_likeliest_first)
    return truth, found, rule.pairs(overlaps(truth, found, rule.inclusive))


def _order(event: FrameEvent) -> tuple[int, int, int, str, float]:
    apex = -1 if event.apex is None else event.apex
    return event.onset, event.offset, apex, event.label or "", probability(event)


def _likeliest_first(event: FrameEvent) -> tuple[float, tuple[int, int, int, str, float]]:
    return -probability(event), _order(event)


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
        truth, found, pairs = _paired(video, "micro", 0.0, rule)
        hit = {f for _, f in pairs}
        told += [(probability(event), f in hit) for f, event in enumerate(found)]
        true += len(truth)
    if not told:
        return 0.0
    told.sort(key=lambda one: -one[0])
    probabilities = np.array([one[0] for one in told])
    f1 = 2 * np.cumsum([one[1] for one in told]) / (np.arange(1, len(told) + 1) + true)
    last_of_equals = np.append(probabilities[:-1] != probabilities[1:], True)
    return float(probabilities[np.argmax(np.where(last_of_equals, f1, -1.0))])
