"""What a dataset reader gives: clips as they lie on the disk, and what it could not read or found odd."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model.errors import MicroliveError
from model.types import EventKind

Severity = Literal["error", "warning"]
"""error: a clip or row that cannot be used. warning: a known quirk that was dealt with, as the text says."""

THREE_CLASSES = ("negative", "positive", "surprise")
"""The classes of the MEGC2019 composite, in the order of their index."""


@dataclass(frozen=True)
class FrameFolder:
    """A clip as image files: (camera frame number, file), sorted by number, numbers different."""

    path: Path
    files: tuple[tuple[int, Path], ...]


@dataclass(frozen=True)
class VideoFile:
    """A clip as a video; its frames are numbered from `first`."""

    path: Path
    first: int = 0


@dataclass(frozen=True)
class StoredClip:
    """A clip of one of the project's own clip stores (already aligned crops); frames are numbered from 0."""

    path: Path
    row: int


@dataclass(frozen=True)
class SessionMoment:
    """A stretch of a recorded session about the moment `apex_s`, seconds of its source's clock; frames are numbered as in its
    rows. What happens there begins and ends at `onset_s` and `offset_s`; nothing does where they are None."""

    path: Path
    apex_s: float
    onset_s: float | None = None
    offset_s: float | None = None


Pictures = FrameFolder | VideoFile | StoredClip | SessionMoment


@dataclass(frozen=True)
class SourceClip:
    """One annotated clip. `dataset`, `subject` and `clip` together are its only key: none of them is unique alone.

    `emotion` as annotated; `label` one of the reader's classes, None when the clip is in none of them.
    `onset`, `apex` and `offset` are the dataset's own frame numbers, None where it has none.
    `pictures` is None when nothing lies on the disk for it. `cropped`: the pictures show the face alone. `part`: which of
    a dataset's parts it is in, where that comes in several, such as training and test.
    """

    dataset: str
    subject: str
    clip: str
    emotion: str
    label: str | None
    fps: float
    pictures: Pictures | None
    action_units: tuple[str, ...] = ()
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    cropped: bool = False
    part: str = ""

    @property
    def id(self) -> str:
        """dataset/subject/clip."""
        return f"{self.dataset}/{self.subject}/{self.clip}"


@dataclass(frozen=True)
class AnnotatedEvent:
    """A movement that coders saw in a long video.

    `onset`, `apex` and `offset` are the dataset's own frame numbers, onset and offset both within the event: it is
    offset - onset + 1 frames long. `apex` is None where nobody annotated it. `emotion` as annotated, "" where it is not;
    `label` one of the reading's classes, None for none of them. `row`: of the sheet, as a spreadsheet counts.
    """

    kind: EventKind
    onset: int
    offset: int
    apex: int | None = None
    emotion: str = ""
    label: str | None = None
    action_units: tuple[str, ...] = ()
    row: int | None = None


@dataclass(frozen=True)
class SourceVideo:
    """A long video as it was recorded. `dataset`, `subject` and `video` together are its only key.

    `pictures` are numbered as the events are, with the camera's gaps; None when nothing lies on the disk for it. `events` by
    onset; a video without any is one in which nothing may be found. `cropped`: the pictures show the face alone.
    """

    dataset: str
    subject: str
    video: str
    fps: float
    pictures: FrameFolder | VideoFile | None
    events: tuple[AnnotatedEvent, ...] = ()
    cropped: bool = False

    @property
    def id(self) -> str:
        """dataset/subject/video."""
        return f"{self.dataset}/{self.subject}/{self.video}"


@dataclass(frozen=True)
class Defect:
    """Something wrong or odd: where (file, and row of the sheet as a spreadsheet counts, from 1) and what, in words.

    `mended`: a warning that another number is used than the one that is written.
    """

    severity: Severity
    file: Path
    reason: str
    row: int | None = None
    clip: str | None = None
    mended: bool = False

    @property
    def strict(self) -> bool:
        """Whether --strict refuses it: an error, or a number that was mended."""
        return self.severity == "error" or self.mended

    def __str__(self) -> str:
        row = f", row {self.row}" if self.row is not None else ""
        clip = f" ({self.clip})" if self.clip else ""
        return f"{self.file}{row}{clip}: {self.reason}"


@dataclass(frozen=True)
class Reading:
    """What a reader found: the clips, in the order of their keys, the defects, and the annotation sheets it read.

    `class_map` says in words which emotion is which class, where that can be chosen; `notes` what every result of these clips
    has to say besides, a line each.
    """

    dataset: str
    classes: tuple[str, ...]
    clips: tuple[SourceClip, ...]
    defects: tuple[Defect, ...] = field(default=())
    sheets: tuple[Path, ...] = ()
    class_map: str = ""
    notes: tuple[str, ...] = ()

    def labelled(self) -> tuple[SourceClip, ...]:
        """The clips that belong to one of the classes."""
        return tuple(clip for clip in self.clips if clip.label is not None)


@dataclass(frozen=True)
class VideoReading:
    """What a reader of long videos found, in the order of their keys. `class_map` says in words which emotion is which class.

    `notes`: what every result of these videos has to say besides, a line each.
    """

    dataset: str
    classes: tuple[str, ...]
    videos: tuple[SourceVideo, ...]
    defects: tuple[Defect, ...] = ()
    sheets: tuple[Path, ...] = ()
    class_map: str = ""
    notes: tuple[str, ...] = ()


class DatasetError(MicroliveError, ValueError):
    """A dataset cannot be read at all: one line that says what is wrong and what to do."""
