"""How many clips and subjects the full copies of datasets hold whose list of clips nobody has published, and is it all here?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from train.datasets.class_maps import emotions_in
from train.datasets.source import Reading, SourceClip


@dataclass(frozen=True)
class ClipCount:
    """Of a dataset or of a part of it. `subjects` None, and `emotions` empty, where they are not published."""

    title: str
    clips: int
    subjects: int | None = None
    emotions: Mapping[str, int] = field(default_factory=dict)
    part: str = ""

    def __str__(self) -> str:
        return _clips(self.clips) + (f" of {_subjects(self.subjects)}" if self.subjects is not None else "")


PUBLISHED_COUNTS: Mapping[str, tuple[ClipCount, ...]] = {
    "mmew": (ClipCount("MMEW", 300, 36, {"surprise": 89, "disgust": 72, "others": 66, "happiness": 36, "fear": 16,
                                         "sadness": 13, "anger": 8}),),
    "dfme": (ClipCount("DFME training", 1856, 176, part="training"), ClipCount("DFME testA", 474, 42, part="testA"),
             ClipCount("DFME testB", 299, 41, part="testB")),
    "4dme": (ClipCount("4DME micro", 267),),
    "smic-e": (ClipCount("SMIC-E HS", 157, None, {"negative": 66, "positive": 51, "surprise": 40}, "HS"),
               ClipCount("SMIC-E VIS", 71, part="VIS"), ClipCount("SMIC-E NIR", 71, part="NIR")),
}  # fmt: skip
"""As they are annotated, whatever classes they are put in: MMEW (Ben et al., 2021), the challenge's release of DFME (Zhao et
al., 2023), 4DME (Li et al., 2022), and the sheet of SMIC-E (Li et al., 2013)."""


@dataclass(frozen=True)
class CountCheck:
    """A reading's numbers beside the published ones."""

    name: str
    found: ClipCount
    expected: ClipCount

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs, in words."""
        found, expected = self.found, self.expected
        told = []
        if found.clips != expected.clips:
            told.append(f"{_clips(found.clips)} instead of {expected.clips:,}")
        if expected.subjects is not None and found.subjects != expected.subjects:
            told.append(f"{_subjects(found.subjects or 0)} instead of {expected.subjects}")
        for emotion, count in expected.emotions.items():
            if found.emotions.get(emotion, 0) != count:
                told.append(f"{emotion} {found.emotions.get(emotion, 0)} instead of {count}")
        return tuple(told)

    @property
    def matches(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        if self.matches:
            return f"{self.expected.title}: {self.expected} as published"
        return (
            f"{self.expected.title}: differs from the published numbers: {', '.join(self.differences)}; "
            "usual cause: a part or a later copy of it, or rows that could not be read"
        )

    def to_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "part": self.name,
            "matches": self.matches,
            "n": self.found.clips,
            "expected_n": self.expected.clips,
            "differences": list(self.differences),
            "text": str(self),
        }


def count_checks(reading: Reading) -> list[CountCheck]:
    """A check for each part that is there of a dataset whose numbers are known."""
    found = []
    for expected in PUBLISHED_COUNTS.get(reading.dataset, ()):
        clips = [clip for clip in reading.clips if clip.part == expected.part]
        if clips:
            found.append(CountCheck(reading.dataset, _counted(clips, expected), expected))
    return found


def _counted(clips: Sequence[SourceClip], expected: ClipCount) -> ClipCount:
    emotions = Counter(emotion for clip in clips for emotion in emotions_in(clip.emotion))
    return ClipCount(expected.title, len(clips), len({clip.subject for clip in clips}), emotions, expected.part)


def _clips(number: int) -> str:
    return f"{number:,} {'clip' if number == 1 else 'clips'}"


def _subjects(number: int) -> str:
    return f"{number} {'subject' if number == 1 else 'subjects'}"
