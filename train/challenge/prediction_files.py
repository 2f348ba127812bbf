"""Found events in files: those of anybody's program read, ours written, as the challenge servers take them or in seconds.

Three forms, told apart by their headings: MEGC 2021's logs (`vid,pred_onset,pred_offset,type`), those of 2023
(`vid,onset,offset,type`), and a table with seconds (`video,onset_s,offset_s,type[,apex_s,label,probability,subject]`). Without
headings the first four columns are as in the challenges. Frames are the dataset's own numbers, both ends included; seconds count
from a video's first frame, and an event ends with the frame at `offset_s`.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from model.types import EventKind
from train.challenge.rules import KINDS
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.datasets.sheet_file import Cells, read_cells
from train.datasets.source import DatasetError, Defect, Severity
from train.files import write_text

Form = Literal["megc2021", "megc2023", "seconds"]
_HEADINGS: Mapping[Form, tuple[str, ...]] = MappingProxyType(
    {
        "megc2021": ("vid", "pred_onset", "pred_offset", "type"),
        "megc2023": ("vid", "onset", "offset", "type"),
        "seconds": ("video", "onset_s", "offset_s", "type", "apex_s", "label", "probability", "subject"),
    }
)
_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "video": ("vid", "video", "video_name", "video_id", "filename"),
        "subject": ("subject", "sub", "sub_id", "subject_id"),
        "onset": ("onset", "pred_onset", "onset_frame"),
        "offset": ("offset", "pred_offset", "offset_frame"),
        "apex": ("apex", "pred_apex", "apex_frame"),
        "onset_s": ("onset_s",),
        "offset_s": ("offset_s",),
        "apex_s": ("apex_s",),
        "type": ("type", "kind", "expression_type"),
        "label": ("label", "emotion", "class"),
        "probability": ("probability", "confidence", "score"),
    }
)
"""What a column may be called: small letters, everything else an underscore."""
_TYPES: Mapping[str, EventKind] = MappingProxyType(
    {"me": "micro", "micro": "micro", "microexpression": "micro", "mae": "macro", "macro": "macro", "macroexpression": "macro"}
)  # fmt: skip
_HEADING_ROWS = 20
_MOST_DEFECTS = 100
_LARGEST = 10**9
"""Frames and seconds: numbers of a video are far smaller."""
_ENDINGS = re.compile(r"\.(avi|mp4|mov|mkv|webm|m4v|wmv|jpg|png)$", re.IGNORECASE)


@dataclass(frozen=True)
class PredictionReading:
    """The videos with what was found in them, and what was odd. With an error among the `defects` nothing is to be scored: rows
    with errors are left out."""

    videos: tuple[ScoredVideo, ...]
    defects: tuple[Defect, ...]

    @property
    def errors(self) -> tuple[Defect, ...]:
        return tuple(defect for defect in self.defects if defect.severity == "error")


def read_predictions(path: Path, videos: Sequence[ScoredVideo]) -> PredictionReading:
    """The events of a file in these videos, in place of what was found there; `videos` are all that the file may name.

    Raises:
        DatasetError: it is no table of predictions: one line that says what to do.
    """
    sheets = [cells for cells in read_cells(path).values() if any(map(any, cells))]
    if not sheets:
        raise DatasetError(
            f"{path}: expected a table of predictions, found an empty file; a heading alone says: none found"
        )
    rows = sheets[0]
    columns, after = _headings(path, rows)
    reader = _Reader(path, columns, VideoNames(videos))
    for number, row in enumerate(rows[after:], after + 1):
        if any(row):
            reader.read(number, row)
    return PredictionReading(
        tuple(replace(video, found=tuple(reader.found[place])) for place, video in enumerate(videos)),
        reader.defects(),
    )


def write_predictions(
    path: Path, videos: Sequence[ScoredVideo], form: Form, least: float | Mapping[str, float] = 0.0
) -> None:
    """What was found, of micro-expressions those at least so probable (one value, or one by subject)."""
    names = Counter(video.video for video in videos)
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEADINGS[form])
    for video in videos:
        name = video.video if names[video.video] == 1 else f"{video.subject}_{video.video}"
        own = least[video.subject] if isinstance(least, Mapping) else least
        events = [event for kind in KINDS for event in video.found_events(kind, own)]
        for event in sorted(events, key=lambda one: (one.onset, one.offset)):
            table.writerow(_row(video, name, event, form))
    write_text(path, text.getvalue())


def _row(video: ScoredVideo, name: str, event: FrameEvent, form: Form) -> list[object]:
    if form != "seconds":
        return [name, event.onset, event.offset, "me" if event.kind == "micro" else "mae"]

    def seconds(frame: int | None) -> str:
        return "" if frame is None else f"{(frame - video.first) / video.fps:.6f}"

    return [
        video.video, seconds(event.onset), seconds(event.offset), event.kind, seconds(event.apex), event.label or "",
        "" if event.probability is None else repr(float(event.probability)), video.subject,
    ]  # fmt: skip


# Which column is what


def _headings(path: Path, rows: Cells) -> tuple[dict[str, int], int]:
    """Places of the columns, and how many rows stand above the first event."""
    for number, row in enumerate(rows[:_HEADING_ROWS]):
        columns = _named(row)
        if "video" in columns and (_pair(columns, "") or _pair(columns, "_s")):
            twice = [name for name, times in Counter(map(_column, row)).items() if name and times > 1]
            if twice:
                raise DatasetError(f"{path}, row {number + 1}: expected one column for {twice[0]}, found several")
            return columns, number + 1
    first = next(row for row in rows if any(row))
    if len(first) >= 4 and _number(first[1]) is not None and _number(first[2]) is not None and _kind(first[3]):
        return {"video": 0, "onset": 1, "offset": 2, "type": 3}, 0
    known = "; ".join(",".join(headings) for headings in _HEADINGS.values())
    shown = ",".join(first)[:80]
    raise DatasetError(f"{path}: expected predictions with the headings {known}; found {shown!r}")


def _pair(columns: Mapping[str, int], unit: str) -> bool:
    return f"onset{unit}" in columns and f"offset{unit}" in columns


def _column(cell: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", cell.casefold()).strip("_")
    return next((name for name, words in _COLUMNS.items() if plain in words), "")


def _named(row: Sequence[str]) -> dict[str, int]:
    return {name: place for place, cell in reversed(list(enumerate(row))) if (name := _column(cell))}


def _kind(cell: str) -> EventKind | None:
    """`me`, `mae`, and words: "Micro - 1/2", "macro-expression"."""
    return _TYPES.get(re.sub(r"[^a-z]", "", cell.casefold()))


def _number(cell: str) -> float | None:
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < _LARGEST else None


class _Reader:
    """Turns rows into events: `found` by the video's place, `defects()` in the order of the rows, the first hundred one by one."""

    def __init__(self, path: Path, columns: Mapping[str, int], names: "VideoNames") -> None:
        self._path, self._columns, self._names = path, columns, names
        self._seconds = not _pair(columns, "")
        self._seen: dict[tuple[int, EventKind, int, int], int] = {}
        self.found: list[list[FrameEvent]] = [[] for _ in names.videos]
        self._defects: list[Defect] = []
        self._more: Counter[Severity] = Counter()
        if "type" not in columns:
            self._note("warning", None, "no column says the type; every event is taken for a micro-expression")

    def read(self, number: int, row: Sequence[str]) -> None:
        try:
            place = self._names.place_of(self._cell(row, "video"), self._cell(row, "subject"))
            event = self._event(number, row, self._names.videos[place])
        except ValueError as error:
            self._note("error", number, str(error))
            return
        video = self._names.videos[place]
        if event.onset < video.first or event.offset > video.last:
            self._note(
                "warning", number,
                f"{event.onset} to {event.offset} reaches beyond {video.subject}/{video.video}, which has the frames "
                f"{video.first} to {video.last}; scored as it is",
            )  # fmt: skip
        key = (place, event.kind, event.onset, event.offset)
        if key in self._seen:
            self._note("warning", number, f"the same event as in row {self._seen[key]}; scored anyway, so one is false")
        self._seen.setdefault(key, number)
        self.found[place].append(event)

    def _event(self, number: int, row: Sequence[str], video: ScoredVideo) -> FrameEvent:
        """Raises ValueError in words."""
        said = self._cell(row, "type")
        kind = _kind(said) if "type" in self._columns else "micro"
        if kind is None:
            raise ValueError(f"type: expected me, mae, micro or macro, found {said!r}")
        onset, offset = self._frame(row, "onset", video), self._frame(row, "offset", video)
        if onset is None or offset is None:
            name = "onset" if onset is None else "offset"
            raise ValueError(f"{name}: expected a number, found an empty cell")
        if offset < onset:
            raise ValueError(f"expected onset <= offset, found {onset} and {offset}")
        apex = self._frame(row, "apex", video)
        if apex is not None and not onset <= apex <= offset:
            self._note("warning", number, f"the apex {apex} lies outside of {onset} to {offset}; left out")
            apex = None
        return FrameEvent(kind, onset, offset, apex, self._cell(row, "label") or None, self._probability(row))

    def _cell(self, row: Sequence[str], name: str) -> str:
        place = self._columns.get(name)
        return row[place] if place is not None and place < len(row) else ""

    def _frame(self, row: Sequence[str], name: str, video: ScoredVideo) -> int | None:
        """A frame's number; None where the cell is empty or there is no such column."""
        name = f"{name}_s" if self._seconds else name
        cell = self._cell(row, name)
        if not cell:
            return None
        value = _number(cell)
        if value is None:
            raise ValueError(f"{name}: expected a number, found {cell[:40]!r}")
        if self._seconds:
            return video.first + math.floor(value * video.fps + 0.5)
        if value != int(value):
            raise ValueError(f"{name}: expected a whole number of frames, found {cell[:40]!r}")
        return int(value)

    def _probability(self, row: Sequence[str]) -> float | None:
        cell = self._cell(row, "probability")
        value = _number(cell) if cell else None
        if cell and (value is None or not 0 <= value <= 1):
            raise ValueError(f"probability: expected a number from 0 to 1, found {cell[:40]!r}")
        return value

    def defects(self) -> tuple[Defect, ...]:
        more = [
            Defect(severity, self._path, f"{count} more {severity}s in later rows")
            for severity, count in sorted(self._more.items())
        ]
        return (*self._defects, *more)

    def _note(self, severity: Severity, row: int | None, reason: str) -> None:
        if len(self._defects) < _MOST_DEFECTS:
            self._defects.append(Defect(severity, self._path, reason, row))
        else:
            self._more[severity] += 1


# Which video is meant


class VideoNames:
    """Finds a video by what others call it: with or without its subject, an ending, zeros, words; in capitals or not.

    The strictest way in which a name fits any video decides; `place_of` raises ValueError where none fits, or several.
    """

    def __init__(self, videos: Sequence[ScoredVideo]) -> None:
        self.videos = tuple(videos)
        self._places: list[dict[object, list[int]]] = [{}, {}, {}]
        for place, video in enumerate(self.videos):
            for level, forms in enumerate(_forms_of(video)):
                for form in set(forms):
                    self._places[level].setdefault(form, []).append(place)

    def place_of(self, name: str, subject: str = "") -> int:
        if not name:
            raise ValueError("expected a video's name, found an empty cell")
        for places, forms in zip(self._places, _forms(name), strict=True):
            fitting = sorted({place for form in forms for place in places.get(form, ())})
            if subject:
                fitting = [place for place in fitting if _same_subject(self.videos[place].subject, subject)]
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                told = ", ".join(f"{self.videos[place].subject}/{self.videos[place].video}" for place in fitting[:3])
                raise ValueError(f"video {name[:60]!r} may be {len(fitting)} ({told} …); name the subject too")
        of = f" of subject {subject[:60]!r}" if subject else ""
        raise ValueError(f"video {name[:60]!r}{of} is none of the {len(self.videos)} videos")


_Forms = tuple[Iterable[object], Iterable[object], Iterable[object]]


def _forms_of(video: ScoredVideo) -> _Forms:
    """How a video may be called: as it is; in plain letters; by its numbers."""
    both = f"{video.subject}_{video.video}"
    own, person = _parts(video.video), _parts(video.subject)
    numbers = tuple(part for part in person if part.isdigit())
    short = _without_words(own)
    return (
        (video.video, both, f"{video.subject}/{video.video}"),
        (_plain(video.video), _plain(both)),
        (own, short, person + own, numbers + own, person + short, numbers + short),
    )


def _forms(name: str) -> _Forms:
    stem = _ENDINGS.sub("", name)
    parts = _parts(stem)
    first_number = next((place for place, part in enumerate(parts) if part.isdigit()), 0)
    onwards = parts[first_number:]
    return (name, stem), (_plain(stem),), (parts, onwards, _without_words(parts), _without_words(onwards))


def _plain(text: str) -> str:
    return re.sub(r"[^\w]|_", "", text.casefold())


def _parts(text: str) -> tuple[str, ...]:
    """Words and numbers, the latter without zeros in front."""
    found = re.findall(r"[0-9]+|[^\W\d_]+", text.casefold())
    return tuple(part.lstrip("0") or "0" if part.isdigit() else part for part in found)


def _without_words(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Without the words after two numbers or more: what follows `15_0101` is a stimulus, spelt in many ways."""
    end = len(parts)
    while end and not parts[end - 1].isdigit():
        end -= 1
    return parts[:end] if sum(part.isdigit() for part in parts[:end]) >= 2 else parts


def _same_subject(ours: str, theirs: str) -> bool:
    if _plain(ours) == _plain(theirs):
        return True
    numbers = [tuple(part for part in _parts(name) if part.isdigit()) for name in (ours, theirs)]
    return bool(numbers[0]) and numbers[0] == numbers[1]
