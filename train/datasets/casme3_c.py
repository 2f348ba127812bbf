"""Part C of CAS(ME)³ (Li et al., 2022): a mock crime's interviews at 30 frames a second, micro-expressions alone, without apex.

Layout: `part_C/spNO.203/color/1294.jpg`, one video of everybody. Depth is not read.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.casme3 import CODED, KIND_EMOTIONS, LETTER, UNITS, colour_place, left_over, subject_of
from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.frames import FoundClip, Tree, scan
from train.datasets.long_videos import CodedRow, Coding, LongDataset, join
from train.datasets.source import Defect, VideoReading
from train.datasets.spreadsheet import Sheet, SheetKind, find_sheet, no_sheet

DATASET = LongDataset("casme3-c", "CAS(ME)³ part C", 30.0, ("colour",), first=None)
VIDEO = "c"
"""Nobody has a second video, and the one has no name."""

KIND = SheetKind(
    title=DATASET.title,
    usual_file="CAS(ME)3_part_C_ME.xlsx",
    columns=(CODED[0], CODED[2], CODED[4], KIND_EMOTIONS.columns[-1]),
    clip_name=re.compile(""),
    optional=(UNITS, CODED[3]),
    sheets=("mockCrimeME",),
)


def read_videos(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> VideoReading:
    """Reads part C; raises DatasetError without its sheet."""
    tree = scan(roots)
    sheet, defects, reasons = find_sheet(KIND, tree.roots, tree.sheets, annotations)
    if sheet is None:
        raise no_sheet(KIND, tree.roots, annotations, reasons)
    coding, problems = _coding(sheet)
    reading = join(DATASET, tree, find_videos(tree), coding, layout, class_map)
    left = left_over(tree, "part_C/spNO.203/color", DATASET.title)
    return replace(reading, defects=(*defects, *problems, *reading.defects, *left))


def find_videos(tree: Tree) -> list[FoundClip]:
    """The folders of colour pictures of a person without a letter, which would be a video of part A."""
    places = ((folder, colour_place(folder)) for folder in tree.folders)
    return [
        FoundClip((subject, VIDEO), "colour", folder)
        for folder, (subject, between) in places
        if subject is not None and not any(LETTER.fullmatch(part) for part in between)
    ]


def _coding(sheet: Sheet) -> tuple[Coding, list[Defect]]:
    rows: list[CodedRow] = []
    defects: list[Defect] = []
    for row in sheet.rows:
        subject = subject_of(row["Subject"])
        if subject is None:
            reason = f"sub: expected a subject such as spNO.203, found {row['Subject']!r}"
            defects.append(Defect("error", sheet.path, reason, row.number))
        else:
            told = (row["Onset"], row["Apex"], row["Offset"], row["emotion"], row["AU"])
            rows.append(CodedRow(row.number, (subject, VIDEO), "micro", *told))
    return Coding(sheet.path, tuple(rows)), defects
