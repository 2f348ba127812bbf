"""CASME II (Yan et al., 2014): 200 frames a second; RAW_selected, RAW and Cropped pictures, one coding sheet.

File names are not unique: a clip's key is (subject, file name). Layout: `.../sub01/EP02_01f/img46.jpg`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.coded import CODED_COLUMNS, OPTIONAL_COLUMNS, CodedDataset, read_coded
from train.datasets.frames import FoundClip, Tree, passed_over, scan
from train.datasets.labels import CASME2_LABELS
from train.datasets.source import Reading
from train.datasets.spreadsheet import SheetKind
from train.datasets.subject_folders import clips_of_subjects, key_of

LAYOUTS = ("raw_selected", "raw", "cropped")

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


CASME2 = CodedDataset(
    "casme2", 200.0, KIND, LAYOUTS, key_of, tuple(CASME2_LABELS), published=CASME2_LABELS, needs_apex=True
)


def find_clips(tree: Tree) -> list[FoundClip]:
    """The folders named like a clip, in every layout."""
    return clips_of_subjects(tree, lambda name: "raw" if name.endswith("raw") else None)
