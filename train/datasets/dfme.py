"""DFME, the release of its challenge (Zhao et al., 2023): 500, 300 or 200 frames a second, as each row says.

Layout: `DFME_train/sub0003_01/00109.png`, and folders like it for the two test sets. The frames count from 0, so that an
onset may be 0. Each part has a sheet of its own; what lies there of the three is read, and a clip says of which part it is.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import SEVEN_CLASSES, USUAL_MAP, ClassMap
from train.datasets.coded import CODED_COLUMNS, OPTIONAL_COLUMNS, CodedDataset, key_by_name, read_coded
from train.datasets.frames import FoundClip, Tree, copy_of, passed_over, scan
from train.datasets.source import Reading
from train.datasets.spreadsheet import SheetKind

LAYOUTS = ("raw", "cropped")
_CLIP = re.compile(r"sub([0-9]{1,9})_([0-9]{1,9})", re.IGNORECASE)

KIND = SheetKind(
    title="DFME",
    usual_file="training_full_with_AU.xlsx",
    columns=(*CODED_COLUMNS, ("Fps", "Frame rate")),
    clip_name=_CLIP,
    optional=(*OPTIONAL_COLUMNS, ("EmotionId",)),
)


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads DFME; raises DatasetError without any of its sheets."""
    tree = scan(roots)
    folders = _find_clips(tree)
    reading = read_coded(DFME, tree, folders, annotations, layout, class_map)
    rest = passed_over(tree, {clip.folder.path for clip in folders}, KIND.title, "sub0003_01")
    return replace(reading, defects=(*reading.defects, *rest))


def _normal(name: re.Match[str]) -> tuple[str, str]:
    subject = f"sub{int(name[1]):04d}"
    return subject, f"{subject}_{int(name[2]):02d}"


DFME = CodedDataset(
    "dfme",
    (200.0, 300.0, 500.0),
    KIND,
    LAYOUTS,
    key_by_name(_CLIP, _normal, "sub0003_01"),
    SEVEN_CLASSES,
    class_counts=(3, 7),
    parts=("training", "testA", "testB"),
    emotion_ids=SEVEN_CLASSES,
)


def _find_clips(tree: Tree) -> list[FoundClip]:
    """The folders named like a clip."""
    names = ((folder, _CLIP.fullmatch(folder.path.name.strip())) for folder in tree.folders)
    return [FoundClip(_normal(name), copy_of(tree, folder), folder) for folder, name in names if name is not None]
