"""CASME II (Yan et al., 2014): 200 frames a second; RAW_selected, RAW and Cropped pictures, one coding sheet.

File names are not unique: a clip's key is (subject, file name). Layout: `.../sub01/EP02_01f/img46.jpg`.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.coded import CODED_COLUMNS, OPTIONAL_COLUMNS, CodedDataset, read_coded
from train.datasets.frames import Folder, FoundClip, Tree, parts_below, passed_over, registered, scan
from train.datasets.labels import CASME2_LABELS
from train.datasets.source import Reading
from train.datasets.spreadsheet import SheetKind

LAYOUTS = ("raw_selected", "raw", "cropped")
_SUBJECT_FOLDER = re.compile(r"sub0*([0-9]+)", re.IGNORECASE)
_SUBJECT_CELL = re.compile(r"(?:sub)?([0-9]{1,9})(?:\.0)?", re.IGNORECASE)

KIND = SheetKind(
    title="CASME II",
    usual_file="CASME2-coding-20140508.xlsx",
    columns=CODED_COLUMNS,
    clip_name=re.compile(r"EP[0-9]", re.IGNORECASE),
    optional=OPTIONAL_COLUMNS,
    sheets=("Sheet1",),
)


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads CASME II; raises DatasetError without its coding sheet."""
    tree = scan(roots)
    reading = read_tree(tree, annotations, layout, class_map)
    defects = passed_over(tree, claimed(tree), KIND.title, "sub01/EP02_01f")
    return replace(reading, defects=(*reading.defects, *defects))


def read_tree(
    tree: Tree, annotations: Sequence[Path] = (), layout: str | None = None, class_map: ClassMap = USUAL_MAP
) -> Reading:
    return read_coded(CASME2, tree, find_clips(tree), annotations, layout, class_map)


def claimed(tree: Tree) -> set[Path]:
    """The folders that are clips of CASME II by their names."""
    return {clip.folder.path for clip in find_clips(tree)}


def _key(subject: str, filename: str) -> tuple[str, str] | str:
    number = _SUBJECT_CELL.fullmatch(subject)
    if number is None:
        return f"Subject: expected a number, found {subject!r}"
    if not filename:
        return "Filename: expected a clip's name, found an empty cell"
    return f"sub{int(number[1]):02d}", filename


CASME2 = CodedDataset(
    "casme2", 200.0, KIND, LAYOUTS, _key, tuple(CASME2_LABELS), published=CASME2_LABELS, needs_apex=True
)


def find_clips(tree: Tree) -> list[FoundClip]:
    """The folders named like a clip, in every layout."""
    clips = []
    for folder in tree.folders:
        path = Path(os.path.abspath(folder.path))
        subject = _SUBJECT_FOLDER.fullmatch(path.parent.name)
        if subject is not None:
            key = (f"sub{int(subject[1]):02d}", path.name.strip().casefold())
            clips.append(FoundClip(key, _layout(tree, folder), folder))
    return clips


def _layout(tree: Tree, folder: Folder) -> str:
    """By the nearest folder that says it; cropped pictures say it in their own names too."""
    if registered(folder):
        return "cropped"
    for part in parts_below(tree, folder):
        name = re.sub(r"[^a-z0-9]", "", part)
        if "cropped" in name:
            return "cropped"
        if "rawselected" in name:
            return "raw_selected"
        if name.endswith("raw"):
            return "raw"
    return "raw_selected"
