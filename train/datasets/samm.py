"""SAMM (Davison et al., 2018): 200 frames a second, grey. Layout: `.../006/006_1_2/006_05562.jpg`, one coding sheet."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.coded import CODED_COLUMNS, OPTIONAL_COLUMNS, CodedDataset, key_by_name, read_coded
from train.datasets.frames import FoundClip, Tree, parts_below, passed_over, scan
from train.datasets.labels import SAMM_LABELS
from train.datasets.source import Reading
from train.datasets.spreadsheet import SheetKind

LAYOUTS = ("raw", "cropped")
_CLIP = re.compile(r"([0-9]{1,3})_([0-9]{1,9})_([0-9]{1,9})")

KIND = SheetKind(
    title="SAMM",
    usual_file="SAMM_Micro_FACS_Codes_v2.xlsx",
    columns=CODED_COLUMNS,
    clip_name=_CLIP,
    optional=OPTIONAL_COLUMNS,
    sheets=("MICRO_ONLY",),
)


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads SAMM; raises DatasetError without its coding sheet."""
    tree = scan(roots)
    reading = read_tree(tree, annotations, layout, class_map)
    defects = passed_over(tree, claimed(tree), KIND.title, "006_1_2")
    return replace(reading, defects=(*reading.defects, *defects))


def read_tree(
    tree: Tree, annotations: Sequence[Path] = (), layout: str | None = None, class_map: ClassMap = USUAL_MAP
) -> Reading:
    return read_coded(SAMM, tree, find_clips(tree), annotations, layout, class_map)


def claimed(tree: Tree) -> set[Path]:
    """The folders that are clips of SAMM by their names."""
    return {clip.folder.path for clip in find_clips(tree)}


def _normal(name: re.Match[str]) -> tuple[str, str]:
    subject = f"{int(name[1]):03d}"
    return subject, f"{subject}_{int(name[2])}_{int(name[3])}"


SAMM = CodedDataset(
    "samm", 200.0, KIND, LAYOUTS, key_by_name(_CLIP, _normal, "006_1_2"), tuple(SAMM_LABELS), published=SAMM_LABELS
)


def find_clips(tree: Tree) -> list[FoundClip]:
    """The folders named like a clip, in every layout."""
    clips = []
    for folder in tree.folders:
        name = _CLIP.fullmatch(folder.path.name.strip())
        if name is not None:
            cropped = any("cropped" in part for part in parts_below(tree, folder))
            clips.append(FoundClip(_normal(name), "cropped" if cropped else "raw", folder))
    return clips
