"""How far those who looked at the same recordings agree: on events, on when they are, and on their classes.

Of a coder the events that are accepted count, and nothing else: what was rejected, and what was never decided, is no event of
that coder. Of the program those count that it accepted itself, at the sensitivity of its run.

Events match as in the Micro-Expression Grand Challenges, when their intersection over union (IoU) is 0.5 or more, one to one. The
kappas are statsmodels'.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from stream.labels.coded_spans import UNLABELLED
from stream.labels.label_log import LabelledEvent
from stream.session.session_folder import SessionFolder

MIN_IOU = 0.5
MOMENTS = ("onset", "apex", "offset")
_ROUNDING = 1e-9
Pair = tuple[LabelledEvent, LabelledEvent]


@dataclass(frozen=True)
class CodedRecording:
    """A recording and what coders say of it: all their events, whatever the verdict, by coder. It lasts from `begin_s` to
    `end_s` of its source's time; `session` where it is one."""

    name: str
    begin_s: float
    end_s: float
    codings: Mapping[str, Sequence[LabelledEvent]]
    session: SessionFolder | None = None


@dataclass(frozen=True)
class SeenEvent:
    """An event of a recording as two coders see it; None with the one who does not."""

    recording: CodedRecording
    first: LabelledEvent | None
    second: LabelledEvent | None

    @property
    def pair(self) -> Pair | None:
        """Where both see it."""
        return None if self.first is None or self.second is None else (self.first, self.second)


@dataclass(frozen=True)
class Differences:
    """Of one moment over matched events: the second coder's time less the first one's, in milliseconds. None without
    events. `apart`: how far they are, whichever came first."""

    mean_ms: float | None
    median_ms: float | None
    mean_apart_ms: float | None
    median_apart_ms: float | None


@dataclass(frozen=True)
class Kappa:
    """Agreement beyond chance on `n` things. `value` None where it says nothing: there is nothing, or all is of one kind to
    everybody, so that chance alone would have them agree."""

    value: float | None
    n: int


@dataclass(frozen=True)
class EventAgreement:
    """Of two coders, over the recordings that both have looked at: every event of either."""

    coders: tuple[str, str]
    seen: tuple[SeenEvent, ...]

    @property
    def pairs(self) -> list[Pair]:
        """What both see."""
        return [one.pair for one in self.seen if one.pair is not None]

    @property
    def only_first(self) -> int:
        """How many events the second coder has not."""
        return sum(one.second is None for one in self.seen)

    @property
    def only_second(self) -> int:
        return sum(one.first is None for one in self.seen)

    @property
    def f1(self) -> float | None:
        """2 · matched / (events of the one + events of the other), pooled over recordings; None where neither has any."""
        both = 2 * len(self.pairs)
        every = both + self.only_first + self.only_second
        return both / every if every else None

    def differences(self, moment: str) -> Differences:
        """`moment`: onset, apex or offset."""
        found = [1000 * (getattr(two, f"{moment}_s") - getattr(one, f"{moment}_s")) for one, two in self.pairs]
        if not found:
            return Differences(None, None, None, None)
        apart = [abs(one) for one in found]
        return Differences(
            statistics.fmean(found), statistics.median(found), statistics.fmean(apart), statistics.median(apart)
        )

    def class_kappa(self) -> Kappa:
        """Cohen's, on the classes of what both see, as far as both give it one."""
        labels = [(one.label, two.label) for one, two in self.pairs if UNLABELLED not in (one.label, two.label)]
        names = sorted({label for both in labels for label in both})
        table = np.zeros((len(names), len(names)))
        for one, two in labels:
            table[names.index(one), names.index(two)] += 1
        return Kappa(cohens_kappa_of(table), len(labels))


def agree_on_events(
    coders: tuple[str, str], recordings: Sequence[CodedRecording], min_iou: float = MIN_IOU
) -> EventAgreement:
    """Of two coders; recordings that one of them has not looked at are left out."""
    seen: list[SeenEvent] = []
    for recording in shared_recordings(coders, recordings):
        first, second = (counted(recording.codings[coder]) for coder in coders)
        pairs = match_events(first, second, min_iou)
        ours, theirs = ({id(pair[side]) for pair in pairs} for side in (0, 1))
        here = [SeenEvent(recording, one, two) for one, two in pairs]
        here += [SeenEvent(recording, one, None) for one in first if id(one) not in ours]
        here += [SeenEvent(recording, None, two) for two in second if id(two) not in theirs]
        seen += sorted(here, key=lambda one: _by_what_it_says(one.first or one.second))  # type: ignore[arg-type]
    return EventAgreement(coders, tuple(seen))


def shared_recordings(coders: Sequence[str], recordings: Sequence[CodedRecording]) -> list[CodedRecording]:
    """Those that all of them have looked at."""
    return [recording for recording in recordings if all(coder in recording.codings for coder in coders)]


def counted(events: Sequence[LabelledEvent]) -> list[LabelledEvent]:
    """The accepted ones, in an order that does not depend on the one in which they come."""
    return sorted((event for event in events if event.verdict == "accepted"), key=_by_what_it_says)


def iou(first: LabelledEvent, second: LabelledEvent) -> float:
    """Intersection over union of two events in time, 0 to 1; 0 where they are known to be of two faces."""
    if first.track != second.track and first.track and second.track:
        return 0.0
    shared_s = min(first.offset_s, second.offset_s) - max(first.onset_s, second.onset_s)
    if shared_s <= 0:
        return 0.0
    return shared_s / (first.offset_s - first.onset_s + second.offset_s - second.onset_s - shared_s)


def match_events(
    first: Sequence[LabelledEvent], second: Sequence[LabelledEvent], min_iou: float = MIN_IOU
) -> list[Pair]:
    """Pairs of accepted events with an IoU of `min_iou` or more, one to one: as many as there can be, and of those ways
    the one with the largest IoU altogether."""
    first, second = counted(first), counted(second)
    # Where two ways are as good, both coders' views are the same one.
    if [_by_what_it_says(event) for event in second] < [_by_what_it_says(event) for event in first]:
        return [(mine, theirs) for theirs, mine in _matched(second, first, min_iou)]
    return _matched(first, second, min_iou)


def _matched(first: Sequence[LabelledEvent], second: Sequence[LabelledEvent], min_iou: float) -> list[Pair]:
    found: list[Pair] = []
    for mine, theirs in _clumps(first, second):
        overlap = np.array([[iou(one, two) for two in theirs] for one in mine])
        # One pair more is worth more than all the overlap there can be.
        weights = np.where(overlap >= min_iou - _ROUNDING, overlap + min(overlap.shape) + 1, 0.0)
        rows, columns = linear_sum_assignment(weights, maximize=True)
        found += [
            (mine[row], theirs[column]) for row, column in zip(rows, columns, strict=True) if weights[row, column]
        ]
    return found


def _clumps(
    first: Sequence[LabelledEvent], second: Sequence[LabelledEvent]
) -> Iterator[tuple[list[LabelledEvent], list[LabelledEvent]]]:
    """Events that can match among each other alone: stretches of time without a gap, with events of both sides."""
    every = [(event, side) for side, events in enumerate((first, second)) for event in events]
    clump: tuple[list[LabelledEvent], list[LabelledEvent]] = ([], [])
    until_s = -np.inf
    for event, side in sorted(every, key=lambda one: one[0].onset_s):
        if event.onset_s >= until_s:
            if all(clump):
                yield clump
            clump = ([], [])
        clump[side].append(event)
        until_s = max(until_s, event.offset_s)
    if all(clump):
        yield clump


def fleiss_kappa_of(coders: Sequence[str], recordings: Sequence[CodedRecording], min_iou: float = MIN_IOU) -> Kappa:
    """Fleiss' kappa on the classes of those events that every coder sees, and gives a class: events linked by matches
    between two of them, one of each coder. For three coders or more."""
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    rows = [
        labels
        for recording in shared_recordings(coders, recordings)
        for labels in _labels_of_all([counted(recording.codings[coder]) for coder in coders], min_iou)
        if UNLABELLED not in labels
    ]
    if len({label for labels in rows for label in labels}) < 2:
        return Kappa(None, len(rows))
    return Kappa(float(fleiss_kappa(aggregate_raters(np.array(rows))[0])), len(rows))


def _labels_of_all(events: Sequence[Sequence[LabelledEvent]], min_iou: float) -> Iterator[list[str]]:
    """The labels of every event that all coders see, in the order of the coders."""
    # Linked events are kept in one list, which all of them know.
    known = {id(event): [(coder, event)] for coder, its in enumerate(events) for event in its}
    for coder in range(len(events)):
        for other in range(coder + 1, len(events)):
            for one, two in match_events(events[coder], events[other], min_iou):
                whole, part = known[id(one)], known[id(two)]
                if whole is not part:
                    whole += part
                    known.update((id(event), whole) for _, event in part)
    for linked in {id(linked): linked for linked in known.values()}.values():
        labels = {coder: event.label for coder, event in linked}
        if len(linked) == len(labels) == len(events):
            yield [labels[coder] for coder in range(len(events))]


def cohens_kappa_of(table: np.ndarray) -> float | None:
    """Of a square table, how much of what the first one (rows) says of a kind is of which kind to the second one. None
    where there is nothing, or all of one kind to both."""
    from statsmodels.stats.inter_rater import cohens_kappa

    shares = table / table.sum() if table.sum() > 0 else table
    chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    if not table.sum() > 0 or chance >= 1 - _ROUNDING:
        return None
    return float(cohens_kappa(shares, return_results=False))  # type: ignore[arg-type]


def _by_what_it_says(event: LabelledEvent) -> tuple[float, float, float, int, str, tuple[str, ...], str]:
    return event.onset_s, event.offset_s, event.apex_s, event.track, event.label, event.action_units, event.event
