"""The three classes of MEGC2019 (See et al., 2019): which emotion is which, and is the reading the published list?

Canonical lines: `{dataset},{subject},{clip},{0|1|2}` a clip, sorted, each ended by a newline. Their SHA-256 is known for
the official annotation files.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.datasets.class_maps import NEGATIVE, POSITIVE, SURPRISE, USUAL_MAP
from train.datasets.published_counts import CountCheck, count_checks
from train.datasets.source import THREE_CLASSES, Reading, SourceClip

SMIC_LABELS: Mapping[str, str] = {"ne": NEGATIVE, "po": POSITIVE, "sur": SURPRISE}
"""By the middle part of a clip's name."""

CASME2_LABELS: Mapping[str, str | None] = {
    "disgust": NEGATIVE, "repression": NEGATIVE, "happiness": POSITIVE, "surprise": SURPRISE,
    "others": None, "sadness": None, "fear": None,
}  # fmt: skip
"""By the annotated emotion, in the spelling of `class_maps`; None is in no class."""

SAMM_LABELS: Mapping[str, str | None] = {
    "anger": NEGATIVE, "contempt": NEGATIVE, "disgust": NEGATIVE, "fear": NEGATIVE, "sadness": NEGATIVE,
    "happiness": POSITIVE, "surprise": SURPRISE, "others": None,
}  # fmt: skip
"""By the annotated emotion, in the spelling of `class_maps`; None is in no class."""


def megc2019_words(name: str) -> str:
    """The published classes of a dataset, or of the composite, in words."""
    labels = {
        "smic": {label: label for label in SMIC_LABELS.values()}, "casme2": CASME2_LABELS, "samm": SAMM_LABELS
    }  # fmt: skip
    if name == "composite":
        return "; ".join(f"{part}: {USUAL_MAP.in_words(published)}" for part, published in labels.items())
    return USUAL_MAP.in_words(labels[name])


@dataclass(frozen=True)
class Part:
    """Counts and hash of a list of clips: `per_class` in the order of THREE_CLASSES."""

    title: str
    clips: int
    subjects: int
    per_class: tuple[int, int, int]
    sha256: str


KNOWN_PARTS: Mapping[str, Part] = {
    "composite": Part("MEGC2019 composite", 442, 68, (250, 109, 83),
                      "423e3d4e8f145eb662176ff63908e9a767eb6e6a5ec6b30be87812c819750c93"),
    "smic": Part("SMIC-HS", 164, 16, (70, 51, 43),
                 "ee04ac002186af7bfee184ff1ce7f4e377bab18f9227e37142ac6a3b3918bd5d"),
    "casme2": Part("CASME II", 145, 24, (88, 32, 25),
                   "bfaff179ce66080584f2cdc04bbce3ac4cbda441eafcd680b85223fae2252b2d"),
    "samm": Part("SAMM", 133, 28, (92, 26, 15),
                 "9cd4c30bcec114aacd37aca24c7d7a0a2a40e997c4877513505ff55482e2e138"),
}  # fmt: skip

_USUAL_CAUSES: Mapping[str, str] = {
    "smic": "clips missing on the disk, or names taken from the sheet alone, which lacks some",
    "casme2": "a later or edited copy of the sheet, or rows that could not be read",
    "samm": "a later or edited copy of the sheet, or rows that could not be read",
    "composite": "one of its parts differs",
}


@dataclass(frozen=True)
class Check:
    """A reading's list of clips beside the published one."""

    name: str
    found: Part
    expected: Part

    @property
    def matches(self) -> bool:
        return self.found.sha256 == self.expected.sha256

    def __str__(self) -> str:
        if self.matches:
            return f"{self.expected.title}: {_numbers(self.found)}, the published list exactly (SHA-256 matches)"
        if _numbers(self.found) == _numbers(self.expected):
            return (
                f"{self.expected.title}: differs from the published list though the numbers agree ({_numbers(self.found)}): "
                "a clip has another name, subject or class; compare the lines of --canonical"
            )
        return (
            f"{self.expected.title}: differs from the published list: found {_numbers(self.found)}; "
            f"expected {_numbers(self.expected)}; usual cause: {_USUAL_CAUSES[self.name]}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "part": self.name,
            "matches": self.matches,
            "n": self.found.clips,
            "expected_n": self.expected.clips,
            "sha256": self.found.sha256,
            "expected_sha256": self.expected.sha256,
            "text": str(self),
        }


def canonical_lines(clips: Iterable[SourceClip], classes: Sequence[str] = THREE_CLASSES) -> list[str]:
    """The canonical lines of the clips that are in one of the classes, sorted, without line ends."""
    index = {name: number for number, name in enumerate(classes)}
    return sorted(
        f"{clip.dataset},{clip.subject},{clip.clip},{index[clip.label]}" for clip in clips if clip.label is not None
    )


def canonical_sha256(lines: Iterable[str]) -> str:
    """SHA-256, in hexadecimal, of the lines, each ended by a newline."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def checks(reading: Reading) -> list[Check] | list[CountCheck]:
    """A check for each dataset in the reading whose list is known, the composite's last; where only counts are known, of
    those. None for other datasets, or classes other than the published ones."""
    if reading.dataset not in KNOWN_PARTS:
        return count_checks(reading)
    if reading.class_map not in ("", megc2019_words(reading.dataset)):
        return []
    names = ("smic", "casme2", "samm", "composite") if reading.dataset == "composite" else (reading.dataset,)
    found = []
    for name in names:
        clips = [clip for clip in reading.labelled() if name in (clip.dataset, "composite")]
        found.append(Check(name, _part(KNOWN_PARTS[name].title, clips), KNOWN_PARTS[name]))
    return found


def _part(title: str, clips: Sequence[SourceClip]) -> Part:
    counts = Counter(clip.label for clip in clips)
    subjects = len({(clip.dataset, clip.subject) for clip in clips})
    per_class = (counts[NEGATIVE], counts[POSITIVE], counts[SURPRISE])
    return Part(title, len(clips), subjects, per_class, canonical_sha256(canonical_lines(clips)))


def _numbers(part: Part) -> str:
    return f"{part.clips} clips of {part.subjects} subjects, {'/'.join(map(str, part.per_class))}"
