"""CAS(ME)² (Qu et al., 2018): long videos at 30 frames a second, macro- and micro-expressions.

Layout: `rawpic/s15/15_0101disgustingteeth/img001.jpg`, `rawvideo/s15/15_0101disgustingteeth.avi` or `cropped/…`. The sheet has
no header row: it is known by what stands in its cells. It names subjects by a running number and videos by their stimulus;
two more sheets of the workbook say which folder that is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.frames import Folder, FoundClip, Tree, parts_below, passed_over, scan
from train.datasets.long_videos import (
    CodedRow,
    Coding,
    Key,
    LongDataset,
    event_kind,
    join,
    told_in_another_folder,
)
from train.datasets.sheet_file import Cells, read_cells
from train.datasets.source import DatasetError, Defect, VideoReading
from train.datasets.spreadsheet import candidates, several_fit

DATASET = LongDataset(
    "casme2-long", "CAS(ME)²", 30.0, ("rawpic", "rawvideo", "cropped"), first=1, offset_from_apex=True
)
USUAL_FILE = "CAS(ME)^2code_final(Updated).xlsx"

SUBJECTS = (15, 16, *range(19, 28), *range(29, 39), 40)
"""Of the folders, in the order of their numbers in the sheet, from 1."""
STIMULI = {
    "disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402", "happy1": "0502", "happy2": "0503",
    "happy3": "0505", "happy4": "0507", "happy5": "0508",
}  # fmt: skip
"""The number in a folder's name by the stimulus in the sheet."""

_VIDEO = re.compile(r"0*([0-9]{1,3})_([0-9]{4})(?![0-9]).*")
_SUBJECT_FOLDER = re.compile(r"s0*([0-9]{1,3})", re.IGNORECASE)
_SUBJECT_CELL = re.compile(r"0*([0-9]{1,3})(?:\.0)?")
_STIMULUS = re.compile(r"([a-z]{3,}[0-9]+)(_[0-9]+)?")
_CODE = re.compile(r"[0-9]{3,4}")
_BEFORE_KIND = 7
"""Columns of the sheet before that of the kind: subject, video, onset, apex, offset, action units, emotion."""
_NOT_VIDEOS = "selectedpic"


@dataclass(frozen=True)
class _Code:
    """What a workbook holds: the cells of its first sheet, the column of the kinds, and how folders are called."""

    path: Path
    cells: Cells
    column: int
    subjects: dict[int, int]
    stimuli: dict[str, str]
    unnamed: bool


def read_videos(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> VideoReading:
    """Reads CAS(ME)²; raises DatasetError without its sheet."""
    tree = scan(roots)
    code, defects = _find_code(tree, annotations)
    coding, problems = _coding(code)
    defects += problems
    found = find_videos(tree)
    reading = join(DATASET, tree, found, coding, layout, class_map)
    strays = [told_in_another_folder(place, said, place.key[0]) for place in found if (said := _stray(place))]
    claimed = {place.folder.path for place in found}
    claimed |= {folder.path for folder in tree.folders if _NOT_VIDEOS in parts_below(tree, folder)}
    rest = passed_over(tree, claimed, DATASET.title, "rawpic/s15/15_0101disgustingteeth")
    return replace(reading, defects=(*defects, *reading.defects, *strays, *rest))


def find_videos(tree: Tree) -> list[FoundClip]:
    """The folders and files named like a video, those first that lie with their own subject."""
    found: list[FoundClip] = []
    files = [Folder(path, (path.name,)) for path in tree.videos]
    for place in (*tree.folders, *files):
        name = _VIDEO.fullmatch(place.path.name.strip())
        parts = parts_below(tree, place)
        if name is not None and _NOT_VIDEOS not in parts:
            layout = "rawvideo" if place in files else "cropped" if "cropped" in parts else "rawpic"
            subject = int(name[1])
            found.append(FoundClip((f"s{subject:02d}", f"{subject:02d}_{name[2]}"), layout, place))
    return sorted(found, key=lambda clip: _stray(clip) is not None)


def _stray(place: FoundClip) -> str | None:
    """The subject whose folder a video lies in where that is another one."""
    folder = _SUBJECT_FOLDER.fullmatch(place.folder.path.absolute().parent.name)
    return folder[0] if folder is not None and f"s{int(folder[1]):02d}" != place.key[0] else None


def _find_code(tree: Tree, annotations: Sequence[Path]) -> tuple[_Code, list[Defect]]:
    fitting: list[_Code] = []
    reasons: list[str] = []
    for paths in candidates(USUAL_FILE, tree.roots, tree.sheets, annotations):
        for path in paths:
            try:
                fitting.append(_opened(path))
            except DatasetError as error:
                reasons.append(str(error))
        if fitting:
            break
    if not fitting:
        if annotations:
            raise DatasetError("; ".join(reasons))
        looked = f" (looked at {'; '.join(reasons[:3])})" if reasons else ""
        raise DatasetError(
            f"{DATASET.title}: no annotation sheet under {', '.join(map(str, tree.roots))}, usually CAS(ME)^2code_final.xlsx"
            f"{looked}; give it with --annotation FILE"
        )
    code, defects = fitting[0], several_fit([one.path for one in fitting])
    if code.unnamed:
        reason = "no sheets with the naming rules: subjects and stimuli are named as in the release"
        defects.append(Defect("warning", code.path, reason))
    return code, defects


def _opened(path: Path) -> _Code:
    """Raises DatasetError where no sheet of the file holds the table."""
    sheets = read_cells(path)
    columns = {name: _kind_column(cells) for name, cells in sheets.items()}
    name = max(columns, key=lambda name: columns[name][1], default=None)
    if name is None or columns[name][1] == 0:
        raise DatasetError(
            f"{path}: no sheet with a row an expression (subject, video such as anger1_1, onset, apex, offset, action units, "
            f"emotion, macro- or micro-expression); is this the annotation of {DATASET.title}?"
        )
    subjects: dict[int, int] = {}
    stimuli: dict[str, str] = {}
    for other, cells in sheets.items():
        if other != name:
            _add_names(cells, subjects, stimuli)
    usual = {number: folder for number, folder in enumerate(SUBJECTS, 1)}
    return _Code(path, sheets[name], columns[name][0], {**usual, **subjects}, {**STIMULI, **stimuli}, not subjects)


def _kind_column(cells: Cells) -> tuple[int, int]:
    """The column in which most rows say macro or micro, and in how many the video before it is a stimulus."""
    counts = [0] * max((len(row) for row in cells), default=0)
    for row in cells:
        for column in range(_BEFORE_KIND, len(row)):
            video = row[column - _BEFORE_KIND + 1]
            counts[column] += event_kind(row[column]) is not None and _stimulus(video) is not None
    best = max(range(len(counts)), key=counts.__getitem__, default=0)
    return best, counts[best] if counts else 0


def _add_names(cells: Cells, subjects: dict[int, int], stimuli: dict[str, str]) -> None:
    """What a sheet of naming rules says: 15, s15, 1 (the folder of subject 1), or 0101, disgust1."""
    for row in cells:
        for before, cell, after in zip(("", *row), row, (*row[1:], ""), strict=False):
            folder, number, stimulus = _SUBJECT_FOLDER.fullmatch(cell), _SUBJECT_CELL.fullmatch(after), _stimulus(cell)
            if folder is not None and number is not None:
                subjects.setdefault(int(number[1]), int(folder[1]))
            elif stimulus is not None and _CODE.fullmatch(before):
                stimuli.setdefault(stimulus, before.zfill(4))  # as a number it has lost its zero


def _stimulus(text: str) -> str | None:
    """ "anger1" of "anger1_1", which is the first expression to it."""
    name = _STIMULUS.fullmatch(re.sub(r"\s", "", text).casefold())
    return name[1] if name is not None else None


def _coding(code: _Code) -> tuple[Coding, list[Defect]]:
    rows: list[CodedRow] = []
    defects: list[Defect] = []
    for number, cells in enumerate(code.cells, 1):
        first = code.column - _BEFORE_KIND
        told = [cells[column] if column < len(cells) else "" for column in range(first, code.column + 1)]
        subject, video, onset, apex, offset, units, emotion, kind_text = told
        kind, key = event_kind(kind_text), _key(code, subject, video)
        if not any(told) or (not rows and kind is None and _SUBJECT_CELL.fullmatch(subject) is None):
            continue  # an empty row, or what stands above the table
        if isinstance(key, str):
            defects.append(Defect("error", code.path, key, number))
        elif kind is None:
            reason = f"expected macro-expression or micro-expression, found {kind_text!r}"
            defects.append(Defect("error", code.path, reason, number, "/".join(key)))
        else:
            rows.append(CodedRow(number, key, kind, onset, apex, offset, emotion, units))
    return Coding(code.path, tuple(rows)), defects


def _key(code: _Code, subject: str, video: str) -> Key | str:
    """The video of a row, or what is wrong with its names."""
    number, stimulus = _SUBJECT_CELL.fullmatch(subject), _stimulus(video)
    if number is None or int(number[1]) not in code.subjects:
        return f"subject: expected a number from 1 to {len(code.subjects)}, found {subject!r}"
    if stimulus not in code.stimuli:
        return f"video: expected a stimulus such as anger1_1, found {video!r}"
    folder = code.subjects[int(number[1])]
    return f"s{folder:02d}", f"{folder:02d}_{code.stimuli[stimulus]}"
