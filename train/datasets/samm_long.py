"""SAMM Long Videos (Yap et al., 2020): 200 frames a second, grey. Layout: `SAMM_longvideos/006_1/006_1_0001.jpg`, one sheet.

The sheet has no emotions: those of micro-expressions come from SAMM's own sheet where it is there, joined by their name.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets import samm
from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.frames import FoundClip, Tree, passed_over, scan
from train.datasets.labels import SAMM_LABELS
from train.datasets.long_videos import CodedRow, Coding, Key, LongDataset, event_kind, join
from train.datasets.source import DatasetError, Defect, VideoReading
from train.datasets.spreadsheet import Sheet, SheetKind, SheetRow, find_sheet, frame_number, no_sheet, open_sheet

DATASET = LongDataset("samm-long", "SAMM Long Videos", 200.0, ("raw",), first=1)

_NAME = re.compile(r"([0-9]{1,3})_([0-9]{1,9})_([0-9]{1,9})")
_VIDEO = re.compile(r"([0-9]{1,3})_([0-9]{1,9})")
_SUBJECT = re.compile(r"0*([0-9]{1,9})(?:\.0)?")
_VERSION = re.compile(r"long.?videos.?v([0-9]{1,9})", re.IGNORECASE)

KIND = SheetKind(
    title=DATASET.title,
    usual_file="SAMM_LongVideos_V3_Release.xlsx",
    columns=(
        ("Subject", "Subjects"),
        ("Filename", "File Name"),
        ("Onset", "Onset Frame"),
        ("Apex", "Apex Frame"),
        ("Offset", "Offset Frame"),
        ("Type",),
    ),
    clip_name=_NAME,
    optional=(("Action Units", "Action Unit", "AUs", "AU"),),
    sheets=("FACS_Movement_Only",),
)


def read_videos(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> VideoReading:
    """Reads SAMM Long Videos; raises DatasetError without its sheet."""
    tree = scan(roots)
    ours, emotions = _given(annotations)
    sheet, defects, reasons = find_sheet(KIND, tree.roots, _newest(tree.sheets), ours)
    if sheet is None:
        raise no_sheet(KIND, tree.roots, annotations, reasons)
    micro, problems = _micro_sheet(tree, emotions)
    defects += problems
    coding, problems = _coding(sheet, micro)
    defects += problems
    found = find_videos(tree)
    reading = join(DATASET, tree, found, coding, layout, class_map, SAMM_LABELS)
    claimed = {place.folder.path for place in found} | samm.claimed(tree)
    rest = passed_over(tree, claimed, DATASET.title, "006_1")
    sheets = (*reading.sheets, *((micro.path,) if micro is not None else ()))
    return replace(reading, defects=(*defects, *reading.defects, *rest), sheets=sheets)


def find_videos(tree: Tree) -> list[FoundClip]:
    """The folders named like a video."""
    named = ((folder, _VIDEO.fullmatch(folder.path.name.strip())) for folder in tree.folders)
    return [FoundClip(_key(name), "raw", folder) for folder, name in named if name is not None]


def _key(name: re.Match[str]) -> Key:
    subject = f"{int(name[1]):03d}"
    return subject, f"{subject}_{int(name[2])}"


def _newest(paths: Sequence[Path]) -> list[Path]:
    """Without older versions of a sheet of which a newer one is there."""
    versions = {path: int(version[1]) for path in paths if (version := _VERSION.search(path.name)) is not None}
    newest = max(versions.values(), default=0)
    return [path for path in paths if versions.get(path, newest) == newest]


def _given(annotations: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The sheets given, those with SAMM's micro-expressions and their emotions apart."""
    micro: list[Path] = []
    for path in annotations:
        try:
            open_sheet(path, samm.KIND)
        except DatasetError:
            continue
        micro.append(path)
    ours = [path for path in annotations if path not in micro]
    return ours, micro


def _micro_sheet(tree: Tree, given: Sequence[Path]) -> tuple[Sheet | None, list[Defect]]:
    sheet, defects, _ = find_sheet(samm.KIND, tree.roots, tree.sheets, given)
    if sheet is None:
        reason = f"no sheet such as {samm.KIND.usual_file}: the micro-expressions have no emotion and are in no class"
        defects.append(Defect("warning", tree.roots[0], reason))
    return sheet, defects


def _coding(sheet: Sheet, micro: Sheet | None) -> tuple[Coding, list[Defect]]:
    rows: list[CodedRow] = []
    defects: list[Defect] = []
    emotions = {_folded(row["Filename"]): row for row in micro.rows} if micro is not None else {}
    kinds = [event_kind(row["Type"]) for row in sheet.rows]
    named = Counter(_folded(row["Filename"]) for row, kind in zip(sheet.rows, kinds, strict=True) if kind == "micro")
    alone: list[SheetRow] = []
    for row in sheet.rows:
        key, kind = _row_key(row), event_kind(row["Type"])
        if isinstance(key, str):
            defects.append(Defect("error", sheet.path, key, row.number))
            continue
        if kind is None:
            reason = f"Type: expected Macro or Micro, found {row['Type']!r}"
            defects.append(Defect("error", sheet.path, reason, row.number, row["Filename"]))
            continue
        known = emotions.get(_folded(row["Filename"])) if kind == "micro" else None
        if known is not None and named[_folded(row["Filename"])] > 1:
            same = frame_number(known["Onset Frame"]) == frame_number(row["Onset"])
            known = known if same else None
        if kind == "micro" and known is None:
            alone.append(row)
        emotion = known["Estimated Emotion"] if known is not None else ""
        rows.append(
            CodedRow(row.number, key, kind, row["Onset"], row["Apex"], row["Offset"], emotion, row["Action Units"])
        )
    if alone and micro is not None:
        many = f" ({len(alone)} rows, this the first)" if len(alone) > 1 else ""
        reason = f"no row for this micro-expression in {micro.path.name}: without emotion, in no class{many}"
        defects.append(Defect("warning", sheet.path, reason, alone[0].number, alone[0]["Filename"]))
    return Coding(sheet.path, tuple(rows)), defects


def _row_key(row: SheetRow) -> Key | str:
    """The video of a row, or what is wrong with its names."""
    subject, filename = row["Subject"], row["Filename"]
    number, name = _SUBJECT.fullmatch(subject), _NAME.fullmatch(filename)
    if name is None:
        return f"Filename: expected a name such as 006_1_2, found {filename!r}"
    if number is None:
        return f"Subject: expected a number, found {subject!r}"
    if int(number[1]) != int(name[1]):
        return f"Subject {subject} and Filename {filename} name different people"
    return _key(name)


def _folded(filename: str) -> tuple[int, ...] | str:
    """A name without the padding of its numbers."""
    name = _NAME.fullmatch(filename)
    return tuple(map(int, name.groups())) if name is not None else filename
