"""CASME (Yan et al., 2013): 60 frames a second, two sections filmed by two cameras, one coding sheet.

Layouts: `CASME_A/Section A/sub01/EP01_5/…` and `CASME_B/…`, whole takes, and `CASME_raw_selected/sub01/EP01_5/EP01_5-3.jpg`,
onset to offset. How far the numbers are padded changes inside the set. File names are not unique: a clip's key is (subject,
file name). A row has two apexes: the first counts, the second only where the first does not lie in the clip.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import SEVEN_CLASSES, USUAL_MAP, ClassMap
from train.datasets.coded import OPTIONAL_COLUMNS, CodedDataset, read_coded
from train.datasets.frames import Folder, FoundClip, Tree, parts_below, passed_over, registered, scan
from train.datasets.source import Reading
from train.datasets.spreadsheet import SheetKind

LAYOUTS = ("raw_selected", "sections", "cropped")
_SUBJECT_FOLDER = re.compile(r"sub([0-9]{1,9})", re.IGNORECASE)
_SUBJECT_CELL = re.compile(r"(?:sub)?([0-9]{1,9})", re.IGNORECASE)

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


def _key(subject: str, filename: str) -> tuple[str, str] | str:
    number = _SUBJECT_CELL.fullmatch(subject)
    if number is None:
        return f"Subject: expected a number, found {subject!r}"
    if not filename:
        return "Filename: expected a clip's name, found an empty cell"
    return f"sub{int(number[1]):02d}", filename


CASME = CodedDataset(
    "casme",
    60.0,
    KIND,
    LAYOUTS,
    _key,
    (*SEVEN_CLASSES, "repression", "tense", "others"),
    apexes=("ApexF1", "ApexF2"),
)


def _find_clips(tree: Tree) -> list[FoundClip]:
    """The folders in one of a subject, in every layout."""
    clips = []
    for folder in tree.folders:
        path = Path(os.path.abspath(folder.path))
        subject = _SUBJECT_FOLDER.fullmatch(path.parent.name)
        if subject is not None:
            key = (f"sub{int(subject[1]):02d}", path.name.strip().casefold())
            clips.append(FoundClip(key, _layout(tree, folder), folder))
    return clips


def _layout(tree: Tree, folder: Folder) -> str:
    """By the nearest folder that says it."""
    if registered(folder):
        return "cropped"
    for part in parts_below(tree, folder):
        name = re.sub(r"[^a-z0-9]", "", part)
        if "cropped" in name:
            return "cropped"
        if "rawselected" in name:
            return "raw_selected"
        if re.search(r"section[ab]|casme[ab]$", name):
            return "sections"
    return "raw_selected"
