"""What coders decided about a session's events, as one list: what one of them said, or what most of them agree on.

Of several coders those who decided about an event count: it is accepted or rejected where more than half of them say so. An
event that coders added is one where more than half of all added it (times overlap by half). Its class is the one that most of
those who accepted it gave; onset, apex and offset are their medians, and the action units those that more than half of them gave.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from stream.labels.label_log import LabelFile, LabelledEvent
from train.spotting.match import MIN_IOU, iou


@dataclass(frozen=True)
class Decided:
    """Events with a verdict, by onset; and those of which the coders are not of one mind, with why."""

    events: tuple[LabelledEvent, ...]
    disputed: tuple[tuple[LabelledEvent, str], ...] = ()


def decide(files: Sequence[LabelFile], recorded: Sequence[LabelledEvent]) -> Decided:
    """From one coder's labels or several's. Raises LabelError for labels of events that there are not."""
    by_coder = [file.events(recorded) for file in files]
    if len(by_coder) == 1:
        return Decided(tuple(event for event in by_coder[0] if event.verdict is not None))
    events: list[LabelledEvent] = []
    disputed: list[tuple[LabelledEvent, str]] = []
    for votes, voters in [*_votes(by_coder), *_added(by_coder)]:
        accepted = [event for event in votes if event.verdict == "accepted"]
        if 2 * len(accepted) > voters:
            merged, label_n = _merged(accepted)
            if 2 * label_n > len(accepted):
                events.append(merged)
            else:
                said = ", ".join(sorted({event.label for event in accepted}))
                disputed.append((merged, f"accepted as {said}"))
        elif 2 * (voters - len(accepted)) > voters:
            if votes[0].event.startswith("e"):
                events.append(next(event for event in votes if event.verdict == "rejected"))
        else:
            disputed.append((votes[0], f"{len(accepted)} of {voters} coders accept it"))
    return Decided(tuple(sorted(events, key=lambda event: (event.onset_s, event.event))), tuple(disputed))


def _votes(by_coder: Sequence[Sequence[LabelledEvent]]) -> list[tuple[list[LabelledEvent], int]]:
    """Of every event of the program that anybody decided about: as they see it, and how many they are."""
    found: dict[str, list[LabelledEvent]] = {}
    for events in by_coder:
        for event in events:
            if event.event.startswith("e") and event.verdict is not None:
                found.setdefault(event.event, []).append(event)
    return [(votes, len(votes)) for votes in found.values()]


def _added(by_coder: Sequence[Sequence[LabelledEvent]]) -> list[tuple[list[LabelledEvent], int]]:
    """Events that coders added, those of different coders together that mean the same; all coders could have added each."""
    groups: list[dict[int, LabelledEvent]] = []
    for coder, events in enumerate(by_coder):
        for event in events:
            if not event.event.startswith("a") or event.verdict != "accepted":
                continue
            near = [g for g in groups if coder not in g and max(iou(event, one) for one in g.values()) >= MIN_IOU]
            if near:
                near[0][coder] = event
            else:
                groups.append({coder: event})
    return [(list(group.values()), len(by_coder)) for group in groups]


def _merged(accepted: Sequence[LabelledEvent]) -> tuple[LabelledEvent, int]:
    """The event as those who accepted it see it together, and how many of them gave its class."""
    ((label, label_n),) = Counter(event.label for event in accepted).most_common(1)
    units = Counter(unit for event in accepted for unit in set(event.action_units))
    merged = replace(
        accepted[0],
        label=label,
        onset_s=median(event.onset_s for event in accepted),
        apex_s=median(event.apex_s for event in accepted),
        offset_s=median(event.offset_s for event in accepted),
        action_units=tuple(sorted(unit for unit, n in units.items() if 2 * n > len(accepted))),
    )
    return merged, label_n
