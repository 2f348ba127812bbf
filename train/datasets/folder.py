"""The plain folder layout: `<root>/<class>/<subject>_<clip>.mp4`, or a folder of frames by such a name.

File names that do not tell the subject need a sheet that does, with the columns file and subject. A sheet with the columns
onset, offset and, if wanted, apex and fps says which frames to use (it may be the same one); without it a clip is taken
whole. Videos' frames are numbered from 0.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from model.atomic import regular_file
from model.errors import MicroliveError
from stream.sources.base import SourceError
from stream.sources.file import FileSource
from train.datasets.frames import VIDEOS, frames_of, scan
from train.datasets.source import THREE_CLASSES, DatasetError, Defect, FrameFolder, Reading, SourceClip, VideoFile
from train.datasets.spreadsheet import Sheet, SheetKind, SheetRow, frame_number, open_sheet

ASSUMED_FPS = 30.0

_NAME = re.compile(r"([^_]+)_(.+)")
# After a comma no three digits: that can be a thousand.
_FPS = re.compile(r"(?=.*[1-9])[0-9]{1,6}(\.[0-9]*|,(?![0-9]{3}$)[0-9]*)?")
_LAYOUT = "<class>/<subject>_<clip>.mp4, .avi or .mov, or <class>/<subject>_<clip>/ with frames in it"
_SHEET = SheetKind(
    "a folder's clips",
    "clips.csv",
    columns=(("Filename", "file", "name", "clip", "video"),),
    clip_name=re.compile(""),
    optional=(
        ("Subject", "person", "participant"),
        ("Onset", "OnsetFrame", "OnsetF"),
        ("Apex", "ApexFrame", "ApexF"),
        ("Offset", "OffsetFrame", "OffsetF"),
        ("fps", "frame rate"),
    ),
)


@dataclass(frozen=True)
class _Entry:
    """A video or a folder of frames below a class."""

    label: str
    name: str
    path: Path

    @property
    def clip(self) -> str:
        return f"{self.label}/{self.name}"


@dataclass(frozen=True)
class _Told:
    """What a sheet says of the clips: their rows, and whether it tells subjects and frames."""

    path: Path
    rows: Mapping[_Entry, SheetRow]
    subjects: bool
    frames: bool


def read(
    root: Path,
    subjects: Path | None = None,
    annotation: Path | None = None,
    dataset: str | None = None,
    filmed_fps: float | None = None,
) -> Reading:
    """The clips under `root`. `dataset` names them (left out: the root's name), so that people of two roots stay apart.
    `filmed_fps`: the rate at which all were filmed of which no sheet says it.

    Either sheet may hold the other's columns as well.

    Raises:
        DatasetError: nothing there is laid out so, or a sheet cannot be read.
    """
    defects: list[Defect] = []
    entries = _entries(root, defects)
    paths = tuple(dict.fromkeys(path for path in (subjects, annotation) if path))
    sheets = [_told(path, entries, defects) for path in paths]
    people = next((sheet for sheet in sheets if sheet.subjects), None)
    frames = next((sheet for sheet in sheets if sheet.frames), None)
    dataset = dataset or root.resolve().name.casefold()
    clips: list[SourceClip] = []
    unknown_fps: list[str] = []
    for entry in entries:
        try:
            pictures, fps, notice = _pictures(entry, defects, filmed_fps)
            subject = _subject(entry, people)
            told_fps, onset, apex, offset = _moments(entry, frames, defects)
        except _Unusable as error:
            defects.append(error.defect)
            continue
        fps = told_fps or filmed_fps or fps
        if notice is not None and not told_fps:
            defects.append(Defect("warning", entry.path, notice, clip=entry.clip))
        if not fps:
            unknown_fps.append(entry.clip)
        clips.append(
            SourceClip(
                dataset, subject, entry.clip, entry.label, entry.label, fps or ASSUMED_FPS, pictures,
                onset=onset, apex=apex, offset=offset,
            )
        )  # fmt: skip
    if unknown_fps:
        which = unknown_fps[0] + (f" and {len(unknown_fps) - 1} more" if len(unknown_fps) > 1 else "")
        reason = (
            f"{which}: frame rate not known, {ASSUMED_FPS:g} fps assumed, on which durations alone depend; "
            "give it with --fps, or in a sheet's column fps"
        )
        defects.append(Defect("warning", root, reason))
    clips.sort(key=lambda clip: (clip.subject, clip.clip))
    return Reading(dataset, _classes(entry.label for entry in entries), tuple(clips), tuple(defects), paths)


def _classes(labels: Iterable[str]) -> tuple[str, ...]:
    found = set(labels)
    return (*(name for name in THREE_CLASSES if name in found), *sorted(found - set(THREE_CLASSES)))


def _entries(root: Path, defects: list[Defect]) -> list[_Entry]:
    """What could be clips, in the order of their names."""
    below = _visible(root)
    loose = [path for path in below if path.is_file() and path.suffix.casefold() in VIDEOS]
    entries: dict[str, _Entry] = {}
    for folder in (path for path in below if path.is_dir()):
        for path in _visible(folder):
            video = path.suffix.casefold() in VIDEOS
            entry = _Entry(folder.name.casefold(), path.stem if video else path.name, path)
            if not (video or path.is_dir()):
                defects.append(
                    Defect("warning", path, f"neither a video ({', '.join(VIDEOS)}) nor a folder: passed over")
                )
            elif entry.clip.casefold() in entries:
                reason = f"the same clip as {entries[entry.clip.casefold()].path}: rename one of them"
                defects.append(Defect("error", path, reason, clip=entry.clip))
            else:
                entries[entry.clip.casefold()] = entry
    if not entries:
        found = f"{len(loose)} videos right in it; give the folder above" if loose else "none"
        raise DatasetError(f"{root}: expected clips as {_LAYOUT}, found {found}")
    for path in loose:
        defects.append(Defect("error", path, f"not in the folder of a class: expected {_LAYOUT}"))
    return list(entries.values())


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror})") from error


class _Unusable(MicroliveError):
    """A clip that cannot be used."""

    def __init__(self, file: Path, reason: str, entry: _Entry, row: int | None = None) -> None:
        super().__init__(reason)
        self.defect = Defect("error", file, reason, row, entry.clip)


def _subject(entry: _Entry, people: _Told | None) -> str:
    """From the sheet where there is one, else from the name."""
    if people is not None:
        row = people.rows.get(entry)
        if row is None or not row["Subject"]:
            why = "no row has it" if row is None else "the cell is empty; write the subject in every row"
            raise _Unusable(people.path, f"no subject for this clip: {why}", entry, row and row.number)
        return row["Subject"]
    named = _NAME.fullmatch(entry.name)
    if named is None:
        reason = "expected a name like <subject>_<clip>; rename it, or give a sheet with the columns file and subject"
        raise _Unusable(entry.path, reason, entry)
    return named[1]


def _pictures(
    entry: _Entry, defects: list[Defect], filmed_fps: float | None
) -> tuple[FrameFolder | VideoFile, float, str | None]:
    """The clip's pictures, their frame rate, 0 where it is unknown, and what is to be known of it."""
    if not entry.path.is_dir():
        try:
            with FileSource(regular_file(entry.path), fps=filmed_fps) as source:
                return VideoFile(entry.path), source.info.fps, source.notice
        except OSError as error:  # it is no file: a pipe or a device
            raise _Unusable(entry.path, error.strerror or "cannot be read", entry) from error
        except SourceError as error:
            raise _Unusable(entry.path, str(error).removeprefix(str(entry.path)).strip(), entry) from error
    folders = [folder for folder in scan([entry.path]).folders if folder.names]
    if len(folders) != 1:
        raise _Unusable(entry.path, f"expected one folder with frames in it, found {len(folders)}", entry)
    frames, found = frames_of(folders[0], entry.clip)
    defects.extend(defect for defect in found if defect.severity == "warning")
    if frames is None:
        raise _Unusable(entry.path, "no picture in it has a frame number at the end of its name", entry)
    return frames, 0.0, None


def _moments(
    entry: _Entry, frames: _Told | None, defects: list[Defect]
) -> tuple[float, int | None, int | None, int | None]:
    """Frame rate (0: not told), onset, apex and offset (None: not told) from the sheet."""
    row = frames.rows.get(entry) if frames else None
    if frames is None or row is None:
        if frames:
            defects.append(Defect("warning", frames.path, "no row for this clip: taken whole", clip=entry.clip))
        return 0.0, None, None, None
    numbers = {name: frame_number(row[name]) for name in ("Onset", "Apex", "Offset")}
    for name, number in numbers.items():
        if row[name] and number is None:
            raise _Unusable(frames.path, f"{name}: expected a frame number, found {row[name]!r}", entry, row.number)
    if row["fps"] and not _FPS.fullmatch(row["fps"]):
        raise _Unusable(
            frames.path, f"fps: expected a number above 0 such as 29.97, found {row['fps']!r}", entry, row.number
        )
    return float(row["fps"].replace(",", ".") or 0), numbers["Onset"], numbers["Apex"], numbers["Offset"]


def _told(path: Path, entries: list[_Entry], defects: list[Defect]) -> _Told:
    sheet = open_sheet(path, _SHEET)
    defects.extend(sheet.remarks)
    columns = sheet.rows[0].cells
    told = _Told(path, _rows(sheet, entries, defects), "subject" in columns, {"onset", "offset"} <= columns.keys())
    if not (told.subjects or told.frames):
        raise DatasetError(
            f"{path}, row {sheet.header_row}: expected a column subject, or onset and offset, beside the file names; "
            f"found neither in {', '.join(columns)}"
        )
    return told


def _rows(sheet: Sheet, entries: list[_Entry], defects: list[Defect]) -> dict[_Entry, SheetRow]:
    """A sheet's row of each clip. Its files are named with or without class folder and ending."""
    by_name: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        for name in (entry.name, entry.clip):
            by_name[_folded(name)].append(entry)
    rows: dict[_Entry, SheetRow] = {}
    path = sheet.path
    for row in sheet.rows:
        matches = _named(row["Filename"], by_name)
        if not matches:
            defects.append(Defect("warning", path, f"no clip {row['Filename']!r} in the folders", row.number))
        elif len(matches) > 1:
            reason = f"{row['Filename']!r} is in several classes: write {' or '.join(entry.clip for entry in matches)}"
            defects.append(Defect("error", path, reason, row.number))
        elif matches[0] in rows:
            reason = f"a second row for this clip, after row {rows[matches[0]].number}: the first is used"
            defects.append(Defect("error", path, reason, row.number, matches[0].clip))
        else:
            rows[matches[0]] = row
    return rows


def _named(cell: str, by_name: Mapping[str, list[_Entry]]) -> list[_Entry]:
    """The clips that a cell names, the longest end of its path first."""
    path = PureWindowsPath(_folded(cell))  # takes both kinds of slash
    parts = [*path.parts[:-1], path.stem if path.suffix in VIDEOS else path.name]
    for name in ("/".join(parts[-2:]), parts[-1]):
        if name in by_name:
            return by_name[name]
    return []


def _folded(name: str) -> str:
    """Without case, and whether an accent is a character of its own: macOS writes file names so, sheets do not."""
    return unicodedata.normalize("NFC", name.casefold())
