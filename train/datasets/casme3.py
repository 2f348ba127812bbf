"""Part A of CAS(ME)³ (Li et al., 2022): 30 frames a second, colour and depth, macro- and micro-expressions. Depth is not read.

Layout: `part_A/spNO.138/a/color/1294.jpg`. Pictures have the camera's own numbers, which seldom start at 1 and have gaps.
Where the sheet of part A and that of its micro-expressions disagree, the former is right; only the latter has emotions.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.frames import Folder, FoundClip, Tree, parts_below, passed_over, scan
from train.datasets.long_videos import CodedRow, Coding, Key, LongDataset, event_kind, join
from train.datasets.source import DatasetError, Defect, VideoReading
from train.datasets.spreadsheet import Sheet, SheetKind, SheetRow, find_sheet, frame_number, key, no_sheet, open_sheet

DATASET = LongDataset("casme3", "CAS(ME)³ part A", 30.0, ("colour",), first=None)

_SUBJECT = re.compile(r"sp\s*no\.?\s*0*([0-9]{1,4})", re.IGNORECASE)
_SUBJECT_CELL = re.compile(r"(?:sp\s*no\.?\s*)?0*([0-9]{1,4})(?:\.0)?", re.IGNORECASE)
LETTER = re.compile(r"[a-z]", re.IGNORECASE)
_COLOUR = ("color", "colour")
_DEPTH = "depth"
_MOST_LISTED = 3

CODED = (
    ("Subject", "Sub"),
    ("Filename", "File Name", "Video"),
    ("Onset", "Onset Frame"),
    ("Apex", "Apex Frame"),
    ("Offset", "Offset Frame"),
)
UNITS = ("AU", "AUs", "Action Unit", "Action Units")

KIND = SheetKind(
    title=DATASET.title,
    usual_file="CAS(ME)3_part_A_v2.xls",
    columns=(*CODED, ("Expression type", "Type")),
    clip_name=re.compile(r"[a-z]\s*$", re.IGNORECASE),
    optional=(UNITS,),
    sheets=("AU+Emotion",),
    others=("eye blink",),
)
KIND_EMOTIONS = SheetKind(
    title=f"the micro-expressions of {DATASET.title}",
    usual_file="cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
    columns=(*CODED, ("emotion", "Estimated Emotion")),
    clip_name=KIND.clip_name,
    sheets=("label",),
)
KIND_BLINKS = SheetKind(
    title=f"the eye blinks of {DATASET.title}",
    usual_file=KIND.usual_file,
    columns=(CODED[0], CODED[1], CODED[2], CODED[4]),
    clip_name=KIND.clip_name,
    sheets=KIND.others,
    others=KIND.sheets,
)


def read_videos(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> VideoReading:
    """Reads part A; raises DatasetError without its sheet."""
    tree = scan(roots)
    fitting = [path for path in annotations if _fits(path, KIND)]
    sheet, defects, reasons = find_sheet(KIND, tree.roots, tree.sheets, fitting or annotations)
    if sheet is None:
        raise no_sheet(KIND, tree.roots, annotations, reasons)
    rest = [path for path in annotations if path not in fitting]
    emotions, problems, _ = find_sheet(KIND_EMOTIONS, tree.roots, [p for p in tree.sheets if p != sheet.path], rest)
    defects += problems
    if emotions is None:
        reason = (
            f"no sheet such as {KIND_EMOTIONS.usual_file}: the micro-expressions have no emotion and are in no class"
        )
        defects.append(Defect("warning", sheet.path, reason))
    coding, problems = _coding(sheet, emotions)
    defects += problems
    reading = join(DATASET, tree, find_videos(tree), coding, layout, class_map)
    left = left_over(tree, "part_A/spNO.138/a/color", DATASET.title)
    sheets = (*reading.sheets, *((emotions.path,) if emotions is not None else ()))
    return replace(reading, defects=(*defects, *reading.defects, *left, *_blinks(sheet.path)), sheets=sheets)


def find_videos(tree: Tree) -> list[FoundClip]:
    """The folders of colour pictures below somebody's letter."""
    places = ((folder, colour_place(folder)) for folder in tree.folders)
    return [
        FoundClip((subject, between[0]), "colour", folder)
        for folder, (subject, between) in places
        if subject is not None and len(between) == 1 and LETTER.fullmatch(between[0])
    ]


def colour_place(folder: Folder) -> tuple[str | None, tuple[str, ...]]:
    """The subject that a folder of colour pictures lies under, None where it is none, and the folders between the two, the
    nearest to the pictures first."""
    # Of the whole path: a root may be a folder of somebody's.
    parts = [part.casefold() for part in reversed(folder.path.absolute().parts[1:])]
    if not parts or parts[0] not in _COLOUR:
        return None, ()
    for place, part in enumerate(parts):
        subject = _SUBJECT.fullmatch(part.strip())
        if subject is not None:
            return f"spNO.{int(subject[1])}", tuple(parts[1:place])
    return None, ()


def left_over(tree: Tree, example: str, title: str) -> list[Defect]:
    """The warning about folders of pictures that are neither colour nor depth of anybody, in whatever part."""
    claimed = {folder.path for folder in tree.folders if colour_place(folder)[0] is not None}
    claimed |= {folder.path for folder in tree.folders if _DEPTH in parts_below(tree, folder)}
    return passed_over(tree, claimed, title, example)


def _fits(path: Path, kind: SheetKind) -> bool:
    try:
        open_sheet(path, kind)
    except DatasetError:
        return False
    return True


def _coding(sheet: Sheet, emotions: Sheet | None) -> tuple[Coding, list[Defect]]:
    rows: list[CodedRow] = []
    defects: list[Defect] = []
    labels, problems = _emotions(emotions) if emotions is not None else ({}, [])
    defects += problems
    used: set[tuple[Key, int | None]] = set()
    other_case: list[SheetRow] = []
    alone: list[SheetRow] = []
    differing: list[SheetRow] = []
    for row in sheet.rows:
        video, kind = _row_key(row), event_kind(row["Expression type"])
        if isinstance(video, str):
            defects.append(Defect("error", sheet.path, video, row.number))
            continue
        if kind is None:
            reason = f"Expression type: expected Macro-expression or Micro-expression, found {row['Expression type']!r}"
            defects.append(Defect("error", sheet.path, reason, row.number, "/".join(video)))
            continue
        if row["Filename"] != row["Filename"].casefold():
            other_case.append(row)
        place = (video, frame_number(row["Onset"]))
        known = labels.get(place) if kind == "micro" else None
        if kind == "micro":
            used.add(place)
            alone += [row] if known is None else []
        if known is not None and (known["Apex"], known["Offset"]) != (row["Apex"], row["Offset"]):
            differing.append(row)
        emotion = known["emotion"] if known is not None else ""
        rows.append(CodedRow(row.number, video, kind, row["Onset"], row["Apex"], row["Offset"], emotion, row["AU"]))
    defects += _once(sheet.path, other_case, "Filename: a letter in another case, taken for the same video")
    if emotions is not None:
        name = emotions.path.name
        defects += _once(sheet.path, alone, f"no row for this micro-expression in {name}: without emotion, in no class")
        defects += _once(sheet.path, differing, f"apex or offset differ from {name}: those here are used")
        unused = [row for place, row in labels.items() if place not in used]
        defects += _once(emotions.path, unused, f"no such micro-expression in {sheet.path.name}: not used")
    return Coding(sheet.path, tuple(rows)), defects


def _emotions(sheet: Sheet) -> tuple[Mapping[tuple[Key, int | None], SheetRow], list[Defect]]:
    """Rows by subject, video and onset."""
    found: dict[tuple[Key, int | None], SheetRow] = {}
    defects: list[Defect] = []
    for row in sheet.rows:
        video = _row_key(row)
        if isinstance(video, str):
            defects.append(Defect("error", sheet.path, video, row.number))
            continue
        place = (video, frame_number(row["Onset"]))
        if place in found:
            reason = f"the same subject, video and onset as in row {found[place].number}; that row is used"
            defects.append(Defect("warning", sheet.path, reason, row.number, "/".join(video)))
        found.setdefault(place, row)
    return found, defects


def _row_key(row: SheetRow) -> Key | str:
    """The video of a row, or what is wrong with its names."""
    subject, letter = subject_of(row["Subject"]), row["Filename"].casefold()
    if subject is None:
        return f"Subject: expected one such as spNO.138, found {row['Subject']!r}"
    if LETTER.fullmatch(letter) is None:
        return f"Filename: expected a letter, found {row['Filename']!r}"
    return subject, letter


def subject_of(text: str) -> str | None:
    """spNO.138 of a cell such as spNO.138 or 138."""
    number = _SUBJECT_CELL.fullmatch(text)
    return f"spNO.{int(number[1])}" if number is not None else None


def _blinks(path: Path) -> list[Defect]:
    """What the sheet of eye blinks holds: they are no events, but who looks for them finds them there."""
    try:
        sheet = open_sheet(path, KIND_BLINKS)
    except DatasetError:
        return []
    if key(sheet.name) != key(KIND.others[0]):
        return []
    keys = [video for row in sheet.rows if not isinstance(video := _row_key(row), str)]
    people = len({subject for subject, _ in keys})
    reason = f"sheet {sheet.name!r}: {len(keys)} eye blinks of {people} subjects; they are no events and are not scored"
    return [Defect("warning", path, reason)]


def _once(path: Path, rows: Sequence[SheetRow], reason: str) -> list[Defect]:
    """One warning for something that many rows have."""
    if not rows:
        return []
    listed = ", ".join(str(row.number) for row in rows[:_MOST_LISTED]) + (" ..." if len(rows) > _MOST_LISTED else "")
    many = f" ({len(rows)} rows: {listed})" if len(rows) > 1 else ""
    return [Defect("warning", path, reason + many, rows[0].number)]
