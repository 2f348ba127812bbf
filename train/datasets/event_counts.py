"""How many events the papers of the long-video datasets count: is this copy a full one?"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.types import EventKind
from train.datasets.class_maps import emotions_in
from train.datasets.source import VideoReading

_KINDS: tuple[EventKind, EventKind] = ("macro", "micro")


@dataclass(frozen=True)
class VideoCounts:
    """Of a dataset: events by kind, by kind and emotion where that is known, subjects and videos (None: not known)."""

    title: str
    events: Mapping[EventKind, int]
    emotions: Mapping[EventKind, Mapping[str, int]] = field(default_factory=dict)
    subjects: int | None = None
    videos: int | None = None


PUBLISHED: Mapping[str, VideoCounts] = {
    "casme2-long": VideoCounts(
        "CAS(ME)²", {"macro": 300, "micro": 57},
        {"macro": {"negative": 105, "positive": 116, "surprise": 16, "others": 63},
         "micro": {"negative": 21, "positive": 8, "surprise": 9, "others": 19}},
        subjects=22, videos=97,
    ),
    "samm-long": VideoCounts("SAMM Long Videos", {"macro": 343, "micro": 159}, subjects=30, videos=147),
    "casme3": VideoCounts(
        "CAS(ME)³ part A", {"macro": 3346, "micro": 860},
        {"micro": {"disgust": 250, "surprise": 187, "others": 161, "fear": 86, "anger": 64, "sadness": 57, "happiness": 55}},
        subjects=100, videos=1300,
    ),
    "casme3-c": VideoCounts("CAS(ME)³ part C", {"macro": 0, "micro": 165}, subjects=31),
}  # fmt: skip


@dataclass(frozen=True)
class EventCountCheck:
    """A reading's counts beside the published ones; `differences` in words, none where all agree."""

    name: str
    found: VideoCounts
    published: VideoCounts
    differences: tuple[str, ...]

    @property
    def matches(self) -> bool:
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "part": self.name,
            "matches": self.matches,
            "events": dict(self.found.events),
            "expected_events": dict(self.published.events),
            "differences": list(self.differences),
            "text": str(self),
        }

    def __str__(self) -> str:
        kinds: list[EventKind] = [kind for kind in _KINDS if self.published.events[kind] or self.found.events[kind]]
        counts = " + ".join(str(self.found.events[kind]) for kind in kinds)
        told = f"{self.published.title}, {' + '.join(kinds)}: {counts}"
        if self.matches:
            return f"{told} as published"
        return f"{told}, not as published: {'; '.join(self.differences)}; usual cause: not all of it is here, or rows left out"


def count_events(reading: VideoReading) -> VideoCounts:
    """Events by kind and emotion, subjects and videos."""
    events = [event for video in reading.videos for event in video.events]
    return VideoCounts(
        reading.dataset,
        {kind: sum(event.kind == kind for event in events) for kind in _KINDS},
        {
            kind: Counter("+".join(emotions_in(event.emotion)) for event in events if event.kind == kind)
            for kind in _KINDS
        },
        len({video.subject for video in reading.videos}),
        len(reading.videos),
    )


def check_counts(reading: VideoReading) -> EventCountCheck | None:
    """The comparison with the published counts; None for a dataset that has none.

    Subjects and videos are compared where pictures are there: without them only those with events are known.
    """
    published = PUBLISHED.get(reading.dataset)
    if published is None:
        return None
    found = count_events(reading)
    differences = [
        f"{kind} {found.events[kind]} instead of {published.events[kind]}"
        for kind in _KINDS
        if found.events[kind] != published.events[kind]
    ]
    for kind, emotions in published.emotions.items():
        there = found.emotions[kind]
        if any(there.values()) and set(there) != {""}:
            differences += [
                f"{kind} {name or 'without emotion'} {there.get(name, 0)} instead of {emotions.get(name, 0)}"
                for name in dict.fromkeys((*emotions, *there))
                if there.get(name, 0) != emotions.get(name, 0)
            ]
    if any(video.pictures is not None for video in reading.videos):
        pairs = (("subjects", found.subjects, published.subjects), ("videos", found.videos, published.videos))
        differences += [f"{noun} {ours} instead of {full}" for noun, ours, full in pairs if full not in (None, ours)]
    return EventCountCheck(reading.dataset, found, published, tuple(differences))
