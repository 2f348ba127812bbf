"""How far two coders agree on action units: which act in an event, and when each of them acts.

Units count without their side, as in published agreements: L12 and 12 are both a 12. A unit acts from the onset to the
offset of the accepted events that have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.labels.agreement import CodedRecording, Pair, cohens_kappa_of, counted, shared_recordings
from stream.labels.label_log import LabelledEvent

TOLERANCES_S = (0.0, 1 / 6, 1 / 3, 1 / 2)
"""As in Sayette et al., Journal of Nonverbal Behavior 25 (2001), 167–186."""


@dataclass(frozen=True)
class UnitAgreement:
    """Of one action unit: in how many events the first and the second coder have it, and Cohen's kappa of whether it acts
    at each of the tolerances. A kappa is None where the unit acts always, or never, with both."""

    unit: str
    events: tuple[int, int]
    kappas: tuple[float | None, ...]


def facs_index(pairs: Sequence[Pair]) -> float | None:
    """2 · (units that both have) / (units of the first + units of the second), added up over events that both see; None
    where neither has any."""
    both = every = 0
    for first, second in pairs:
        mine, theirs = units_of(first), units_of(second)
        both += 2 * len(mine & theirs)
        every += len(mine) + len(theirs)
    return both / every if every else None


def agree_on_units(coders: tuple[str, str], recordings: Sequence[CodedRecording]) -> tuple[UnitAgreement, ...]:
    """Of every unit that one of them has, by number, over the recordings that both have looked at."""
    shared = shared_recordings(coders, recordings)
    counts = [
        [unit for recording in shared for event in counted(recording.codings[coder]) for unit in units_of(event)]
        for coder in coders
    ]
    return tuple(
        UnitAgreement(
            unit,
            (counts[0].count(unit), counts[1].count(unit)),
            tuple(cohens_kappa_of(_table(unit, coders, shared, tolerance_s)) for tolerance_s in TOLERANCES_S),
        )
        for unit in sorted({*counts[0], *counts[1]}, key=int)
    )


def units_of(event: LabelledEvent) -> set[str]:
    """Its units without their sides."""
    return {str(int(unit.lstrip("LR"))) for unit in event.action_units}


def _table(unit: str, coders: tuple[str, str], recordings: Sequence[CodedRecording], tolerance_s: float) -> np.ndarray:
    """Seconds in which the unit acts to both, to one, to none (rows: the first coder, columns: the second; acts, rests).
    Every face has all the recording's time."""
    table = np.zeros((2, 2))
    for recording in recordings:
        first, second = (
            [event for event in counted(recording.codings[coder]) if unit in units_of(event)] for coder in coders
        )
        for face in _faces([*first, *second]):
            mine, theirs = (
                np.array([(one.onset_s, one.offset_s) for one in events if face in (None, one.track)]).reshape(-1, 2)
                for events in (first, second)
            )
            table += acting_table(mine, theirs, (recording.begin_s, recording.end_s), tolerance_s)
    return table


def _faces(events: Sequence[LabelledEvent]) -> Sequence[int | None]:
    """Each is compared on its own, where all events say whose they are; None: all are of one. A recording in which
    nobody has the unit has one face, too."""
    tracks = {event.track for event in events}
    return [None] if not tracks or 0 in tracks else sorted(tracks)


def acting_table(first: np.ndarray, second: np.ndarray, whole_s: tuple[float, float], tolerance_s: float) -> np.ndarray:
    """Seconds of agreement on what acts in intervals of time (n × 2, onset and offset), without sampling: frames without end.

    A moment at which it acts to one of them is agreed on where it acts to the other one no further than `tolerance_s`
    away. Returns 2 × 2: it acts or rests to the first (rows) and to the second (columns).
    """
    every = np.concatenate([first.ravel(), second.ravel()])
    edges = np.unique(np.clip([*whole_s, *every, *(every - tolerance_s), *(every + tolerance_s)], *whole_s))
    middles_s, lengths_s = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    mine, theirs = _acts(first, middles_s, 0.0), _acts(second, middles_s, 0.0)
    both = (mine & _acts(second, middles_s, tolerance_s)) | (theirs & _acts(first, middles_s, tolerance_s))
    cells = (both, mine & ~both, theirs & ~both, ~(mine | theirs))
    return np.array([lengths_s[cell].sum() for cell in cells]).reshape(2, 2)


def _acts(intervals: np.ndarray, times_s: np.ndarray, tolerance_s: float) -> np.ndarray:
    """Whether each time lies in one of the intervals, widened by the tolerance."""
    if not len(intervals):
        return np.zeros(len(times_s), bool)
    begins_s = np.sort(intervals[:, 0] - tolerance_s)
    ends_s = np.sort(intervals[:, 1] + tolerance_s)
    return np.searchsorted(begins_s, times_s, "right") > np.searchsorted(ends_s, times_s, "right")
