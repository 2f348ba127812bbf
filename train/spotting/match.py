"""Micro-expression spotting: true and found intervals → F1 at an intersection over union of one half, and errors in time.

As in the Micro-Expression Grand Challenges a found interval counts when its intersection over union (IoU) with a true
one is 0.5 or more, and counts are pooled over all videos before F1 is taken. Intervals here are seconds, and their IoU
is that of continuous time. The challenges count inclusive frames, [a, b] being b − a + 1 of them: frame k of a video at
f fps lasts from k/f to (k + 1)/f, so theirs is the continuous IoU of [a/f, (b + 1)/f], and the two agree up to a frame.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from model.decision import counts
from model.types import Event, EventKind
from train.synth.long_video_script import TruthEvent

MIN_IOU = 0.5


class TimeInterval(Protocol):
    """What true and found events have in common."""

    @property
    def kind(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def onset_s(self) -> float: ...
    @property
    def apex_s(self) -> float: ...
    @property
    def offset_s(self) -> float: ...


@dataclass(frozen=True, eq=False)
class SpottedVideo:
    """A video's true events and what a detector reported of it, rejected candidates included.

    `watchable_s`: of `duration_s`, so long a micro-expression would have been noticed.
    """

    name: str
    duration_s: float
    truth: Sequence[TruthEvent]
    found: Sequence[Event]
    watchable_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.duration_s > 0:
            raise ValueError(f"{self.name}: expected a duration above 0, found {self.duration_s} s")
        if not self.watchable_s >= 0:
            raise ValueError(f"{self.name}: expected 0 s or more to be watchable, found {self.watchable_s} s")

    def true_events(self, kind: EventKind) -> list[TruthEvent]:
        return [event for event in self.truth if event.kind == kind]

    def found_events(self, kind: EventKind, min_probability: float | None = None) -> list[Event]:
        """Events that count: as the detector decided, or with a least probability instead of the one it had."""
        if min_probability is None:
            return [event for event in self.found if event.kind == kind and event.rejected is None]
        return [e for e in self.found if e.kind == kind and counts(kind, e.probability, e.rejected, min_probability)]

    def rejected(self) -> list[Event]:
        return [event for event in self.found if event.rejected is not None]


@dataclass(frozen=True)
class Counts:
    """True and false positives and misses; a ratio of nothing to nothing counts 0."""

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        return self.tp / (self.tp + self.fp) if self.tp else 0.0

    @property
    def recall(self) -> float:
        return self.tp / (self.tp + self.fn) if self.tp else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def as_dict(self) -> dict[str, float]:
        return {
            "tp": self.tp, "fp": self.fp, "fn": self.fn,
            "precision": self.precision, "recall": self.recall, "f1": self.f1,
        }  # fmt: skip


def iou(first: TimeInterval, second: TimeInterval) -> float:
    """Intersection over union of two intervals, 0..1."""
    shared_s = min(first.offset_s, second.offset_s) - max(first.onset_s, second.onset_s)
    if shared_s <= 0:
        return 0.0
    both_s = (first.offset_s - first.onset_s) + (second.offset_s - second.onset_s) - shared_s
    return shared_s / both_s


def matching_pairs(
    truth: Sequence[TimeInterval], found: Sequence[TimeInterval], min_iou: float = MIN_IOU
) -> list[tuple[float, int, int]]:
    """(-IoU, index of a true, index of a found event) of all that overlap by so much, the best first."""
    pairs = ((-iou(true, event), t, f) for t, true in enumerate(truth) for f, event in enumerate(found))
    return sorted(pair for pair in pairs if -pair[0] >= min_iou)


def match(
    truth: Sequence[TimeInterval], found: Sequence[TimeInterval], with_label: bool = False, min_iou: float = MIN_IOU
) -> list[tuple[int, int]]:
    """Pairs (index of a true, index of a found event), one to one, the best IoU first. `with_label`: labels must agree."""
    taken: tuple[set[int], set[int]] = (set(), set())
    matched: list[tuple[int, int]] = []
    for _, t, f in matching_pairs(truth, found, min_iou):
        if t not in taken[0] and f not in taken[1] and (not with_label or truth[t].label == found[f].label):
            taken[0].add(t)
            taken[1].add(f)
            matched.append((t, f))
    return sorted(matched)


def count(
    videos: Sequence[SpottedVideo], kind: EventKind, with_label: bool = False, min_probability: float | None = None
) -> Counts:
    """Counts of one kind of event, pooled over all videos."""
    total = Counts(0, 0, 0)
    for video in videos:
        truth, found = video.true_events(kind), video.found_events(kind, min_probability)
        tp = len(match(truth, found, with_label))
        total += Counts(tp, len(found) - tp, len(truth) - tp)
    return total


def count_classes(
    videos: Sequence[SpottedVideo], kind: EventKind, class_names: Sequence[str], min_probability: float | None = None
) -> dict[str, Counts]:
    """Counts by class: events of one class against true events of that class."""
    totals: dict[str, Counts] = {}
    for name in class_names:
        total = Counts(0, 0, 0)
        for video in videos:
            truth = [event for event in video.true_events(kind) if event.label == name]
            found = [event for event in video.found_events(kind, min_probability) if event.label == name]
            tp = len(match(truth, found))
            total += Counts(tp, len(found) - tp, len(truth) - tp)
        totals[name] = total
    return totals


def timing_errors(
    videos: Sequence[SpottedVideo], kind: EventKind, min_probability: float | None = None
) -> dict[str, Any]:
    """Of matched events, whatever their class, how far onset, apex and offset are off, ms: `median` and `p95` of the
    error's size, `bias` the median of the error itself (above 0: late). None without a match."""
    errors: dict[str, list[float]] = {"onset": [], "apex": [], "offset": []}
    for video in videos:
        truth, found = video.true_events(kind), video.found_events(kind, min_probability)
        for t, f in match(truth, found):
            for name, list_ms in errors.items():
                list_ms.append(1000 * (getattr(found[f], f"{name}_s") - getattr(truth[t], f"{name}_s")))
    return {name: spread_of(list_ms, "ms") for name, list_ms in errors.items()}


def spread_of(errors: Sequence[float], unit: str) -> dict[str, float] | None:
    """`median_UNIT` and `p95_UNIT` of the errors' size, `bias_UNIT` the median of the errors themselves; None of none."""
    if not errors:
        return None
    return {
        f"median_{unit}": float(np.median(np.abs(errors))),
        f"p95_{unit}": float(np.percentile(np.abs(errors), 95)),
        f"bias_{unit}": float(np.median(errors)),
    }


def false_per_minute(videos: Sequence[SpottedVideo], min_probability: float | None = None) -> float | None:
    """Micro events found where there is none, a watchable minute of video; None where nothing was watchable."""
    minutes = watchable_minutes(videos)
    return count(videos, "micro", min_probability=min_probability).fp / minutes if minutes else None


def watchable_minutes(videos: Sequence[SpottedVideo]) -> float:
    return sum(video.watchable_s for video in videos) / 60


def rejections(videos: Sequence[SpottedVideo]) -> dict[str, dict[str, int]]:
    """By reason: how many candidates were rejected, and how many of them were true micro-expressions (IoU 0.5)."""
    numbers: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for video in videos:
        truth, rejected = video.true_events("micro"), video.rejected()
        numbers.update(str(event.rejected) for event in rejected)
        true.update(str(rejected[f].rejected) for _, f in match(truth, rejected))
    return {reason: {"n": n, "true": true[reason]} for reason, n in numbers.most_common()}


def recall_by_peak(videos: Sequence[SpottedVideo], edges_px: Sequence[float] = (1.2, 2.0)) -> dict[str, dict[str, Any]]:
    """Found share of true micro-expressions (localised, whatever class) by the size of their motion."""
    bounds = [0.0, *edges_px, float("inf")]
    sizes: list[tuple[float, bool]] = []
    for video in videos:
        truth = video.true_events("micro")
        hits = {t for t, _ in match(truth, video.found_events("micro"))}
        sizes += [(event.peak_px, t in hits) for t, event in enumerate(truth)]
    bins: dict[str, dict[str, Any]] = {}
    for low, high in pairwise(bounds):
        inside = [hit for peak_px, hit in sizes if low <= peak_px < high]
        if inside:
            name = f"under {high:g} px" if low == 0 else f"{low:g} px or more" if high == float("inf") else f"{low:g} to {high:g} px"  # fmt: skip
            bins[name] = {"n": len(inside), "recall": sum(inside) / len(inside)}
    return bins
