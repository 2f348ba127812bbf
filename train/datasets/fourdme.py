"""4DME (Li et al., 2022), the micro-expressions of its grey camera: 60 frames a second, one coding sheet.

Layout: `gray_micro/<sub_ID>/<fold_name>/…`. A clip can be of several emotions (`Surprise+Positive`): it is of a class when
all of them are. Its emotions are positive, negative, surprise, repression and others, so that there are no seven classes.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.coded import OPTIONAL_COLUMNS, CodedDataset, folded, read_coded
from train.datasets.frames import FoundClip, Tree, passed_over, scan
from train.datasets.source import Reading
from train.datasets.spreadsheet import SheetKind

LAYOUTS = ("gray_micro",)
_GREY_MICRO = re.compile(r"gr[ae]y[ _-]?micro.*", re.IGNORECASE)

KIND = SheetKind(
    title="4DME",
    usual_file="4DME_Labelling_Micro_release v1.xlsx",
    columns=(
        ("Subject", "sub_ID"),
        ("Filename", "fold_name", "folder_name"),
        ("Onset Frame", "Onset"),
        ("Apex Frame", "Apex"),
        ("Offset Frame", "Offset"),
        ("Estimated Emotion", "Emotion", "Emotions"),
    ),
    clip_name=re.compile(r"."),
    optional=OPTIONAL_COLUMNS,
)


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads the grey micro-expressions of 4DME; raises DatasetError without their sheet."""
    tree = scan(roots)
    folders = _find_clips(tree)
    reading = read_coded(FOURDME, tree, folders, annotations, layout, class_map)
    rest = passed_over(tree, {clip.folder.path for clip in folders}, KIND.title, "gray_micro/<sub_ID>/<fold_name>")
    return replace(reading, defects=(*reading.defects, *rest))


def _key(subject: str, filename: str) -> tuple[str, str] | str:
    for column, text in (("sub_ID", subject), ("fold_name", filename)):
        if not text or "/" in text or "\\" in text:
            return f"{column}: expected a folder's name, found {text!r}"
    return _plain(subject), _plain(filename)


FOURDME = CodedDataset(
    "4dme",
    60.0,
    KIND,
    LAYOUTS,
    _key,
    ("negative", "positive", "surprise", "repression", "others"),
    class_counts=(3, 4),
)


def _find_clips(tree: Tree) -> list[FoundClip]:
    """The folders two levels below gray_micro."""
    clips = []
    for folder in tree.folders:
        path = Path(os.path.abspath(folder.path))
        if len(path.parents) > 2 and _GREY_MICRO.fullmatch(path.parents[1].name):
            key = folded((_plain(path.parent.name.strip()), _plain(path.name.strip())))
            clips.append(FoundClip(key, LAYOUTS[0], folder))
    return clips


def _plain(name: str) -> str:
    """Without leading zeros, which a spreadsheet takes from a number."""
    return str(int(name)) if re.fullmatch(r"[0-9]{1,9}", name) else name
