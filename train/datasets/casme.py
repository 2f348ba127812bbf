"""CASME (Yan et al., 2013): 60 frames a second, two sections filmed by two cameras, one coding sheet.

Layouts: `CASME_A/Section A/sub01/EP01_5/…` and `CASME_B/…`, whole takes, and `CASME_raw_selected/sub01/EP01_5/EP01_5-3.jpg`,
onset to offset. How far the numbers are padded changes inside the set. File names are not unique: a clip's key is (subject,
file name). A row has two apexes: the first counts, the second only where the first does not lie in the clip.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import SEVEN_CLASSES, USUAL_MAP, ClassMap
from train.datasets.coded import OPTIONAL_COLUMNS, CodedDataset, read_coded
from train.datasets.frames import FoundClip, Tree, passed_over, scan
from train.datasets.source import Reading
from train.datasets.spreadsheet import SheetKind
from train.datasets.subject_folders import clips_of_subjects, key_of

LAYOUTS = ("raw_selected", "sections", "cropped")

KIND = SheetKind(
    title="CASME",
    usual_file="CASME.xlsx",
    columns=(
        ("Subject", "Subjects"),
        ("Filename", "File Name", "Clip"),
        ("Onset Frame", "OnsetF", "Onset"),
        ("ApexF1", "Apex1", "ApexFrame1"),
        ("Offset Frame", "OffsetF", "Offset"),
        ("Estimated Emotion", "Emotion"),
    ),
    clip_name=re.compile(r"EP[0-9]", re.IGNORECASE),
    optional=(*OPTIONAL_COLUMNS, ("ApexF2", "Apex2", "ApexFrame2")),
)


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads CASME; raises DatasetError without its coding sheet."""
    tree = scan(roots)
    folders = _find_clips(tree)
    reading = read_coded(CASME, tree, folders, annotations, layout, class_map)
    rest = passed_over(tree, {clip.folder.path for clip in folders}, KIND.title, "sub01/EP01_5")
    return replace(reading, defects=(*reading.defects, *rest))


CASME = CodedDataset(
    "casme",
    60.0,
    KIND,
    LAYOUTS,
    key_of,
    (*SEVEN_CLASSES, "repression", "tense", "others"),
    apexes=("ApexF1", "ApexF2"),
)


def _find_clips(tree: Tree) -> list[FoundClip]:
    return clips_of_subjects(tree, lambda name: "sections" if re.search(r"section[ab]|casme[ab]$", name) else None)
