"""Which emotion is which class: three, four or seven classes, in the words of every dataset.

Two things are a choice and not a fact, so they are settings that every result states. Contempt is negative in the three
classes of MEGC2019 (See et al., 2019), or left out. A one-sided action unit 12 alone is a smile to the coders of CASME II
and SAMM, and contempt to those of DFME.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from train.datasets.source import THREE_CLASSES, DatasetError

Contempt = Literal["negative", "left-out"]
OneSided12 = Literal["annotated", "contempt", "happiness"]
ClassCount = Literal[3, 4, 7]

NEGATIVE, POSITIVE, SURPRISE = THREE_CLASSES
OTHERS = "others"
SEVEN_CLASSES = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

_THREE: Mapping[str, str | None] = {
    "anger": NEGATIVE, "contempt": NEGATIVE, "disgust": NEGATIVE, "fear": NEGATIVE, "negative": NEGATIVE,
    "repression": NEGATIVE, "sadness": NEGATIVE, "happiness": POSITIVE, "positive": POSITIVE, "surprise": SURPRISE,
    "others": None, "tense": None,
}  # fmt: skip
"""By the emotion; None is in no class, or in a fourth. Repression is negative as in MEGC2019."""

EMOTIONS = tuple(_THREE)
"""What an emotion can be called here, whatever a dataset calls it."""

_SPELLINGS: Mapping[str, str] = {
    "angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "disgusting": "disgust", "afraid": "fear",
    "fearful": "fear", "happy": "happiness", "joy": "happiness", "sad": "sadness", "surprised": "surprise",
    "repressed": "repression", "other": "others", "tension": "tense",
}  # fmt: skip
_SEVERAL = re.compile(r"[+&,;/\uff0c]| and ")
_ONE_SIDED_12 = re.compile(r"[LRU]12([A-E](/[A-E])?)?")


@dataclass(frozen=True)
class ClassMap:
    """Which emotion is which class.

    Attributes:
        classes: 3, negative, positive and surprise; 4, others as well; 7, `SEVEN_CLASSES`.
        contempt: where there are 3 or 4 classes, negative or in none.
        one_sided_12: what a clip shows whose only action unit is a 12 of one side: what was annotated, or this.

    Raises:
        DatasetError: a setting is none of these.
    """

    classes: ClassCount = 3
    contempt: Contempt = "negative"
    one_sided_12: OneSided12 = "annotated"

    def __post_init__(self) -> None:
        for name, kind in (("classes", ClassCount), ("contempt", Contempt), ("one_sided_12", OneSided12)):
            if getattr(self, name) not in get_args(kind):
                expected = ", ".join(map(str, get_args(kind)))
                raise DatasetError(f"class map: expected {name} to be one of {expected}, found {getattr(self, name)!r}")

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of their index."""
        return {3: THREE_CLASSES, 4: (*THREE_CLASSES, OTHERS), 7: SEVEN_CLASSES}[self.classes]

    def label(
        self, emotion: str, units: Sequence[str] = (), published: Mapping[str, str | None] | None = None
    ) -> str | None:
        """The class of a clip, None for none of them.

        `emotion` as annotated, in any spelling known here; several, joined by + or a comma, are in no class unless all of
        them are in the same. `units` as `au_codes.parse_units` gives them. `published`: a dataset's published three
        classes by emotion, which go first where there are three.
        """
        if self.one_sided_12 != "annotated" and is_one_sided_12(units):
            names: tuple[str, ...] = (self.one_sided_12,)
        else:
            names = emotions_in(emotion)
        labels = {self._label_of(name, published) for name in names}
        return labels.pop() if len(labels) == 1 else None

    def in_words(self, published: Mapping[str, str | None] | None = None) -> str:
        """Which emotion is which class and what was chosen, for results; `published` as in `label`."""
        emotions = EMOTIONS
        if published is not None and self.classes == 3:
            chosen = [self.one_sided_12] if self.one_sided_12 != "annotated" else []
            emotions = tuple(dict.fromkeys((*published, *chosen)))
        by_class: dict[str | None, list[str]] = {name: [] for name in self.class_names}
        for emotion in emotions:
            by_class.setdefault(self._label_of(emotion, published), []).append(emotion)
        nowhere = by_class.pop(None, [])
        classes = ", ".join(
            name if members in ([], [name]) else f"{name} ({', '.join(members)})"
            for name, members in by_class.items()
            if name is not None
        )
        one_sided = "as annotated" if self.one_sided_12 == "annotated" else self.one_sided_12
        return "; ".join([
            f"{self.classes} classes: {classes}",
            *([f"in none: {', '.join(nowhere)}"] if nowhere else []),
            f"a one-sided 12 alone: {one_sided}",
        ])  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values: two maps are the same where these are."""
        return asdict(self)

    def _label_of(self, emotion: str, published: Mapping[str, str | None] | None) -> str | None:
        if self.classes == 7:
            return emotion if emotion in SEVEN_CLASSES else None
        if emotion == "contempt" and self.contempt == "left-out":
            return None
        if self.classes == 3 and published is not None and emotion in published:
            return published[emotion]
        label = _THREE.get(emotion)
        return OTHERS if label is None and self.classes == 4 and emotion in _THREE else label


USUAL_MAP = ClassMap()
"""What is taken unless something else is asked for."""


def emotions_in(text: str) -> tuple[str, ...]:
    """The emotions that a cell names, each as in `EMOTIONS` where it is one of them; empty for an empty cell."""
    # Blanks first: a pattern that looks for them takes for ever over very many.
    words = [part.strip() for part in _SEVERAL.split(" ".join(text.casefold().split()))]
    return tuple(dict.fromkeys(_SPELLINGS.get(word, word) for word in words if word))


def unknown_emotions(names: Iterable[str]) -> tuple[str, ...]:
    """Those of `emotions_in` that are no emotion known here."""
    return tuple(name for name in names if name not in _THREE)


def is_one_sided_12(units: Sequence[str]) -> bool:
    """Whether a 12 of one side (L12, R12, U12, with or without an intensity, L12|R12) is all that acts."""
    return len(units) == 1 and all(_ONE_SIDED_12.fullmatch(option) for option in units[0].split("|"))
