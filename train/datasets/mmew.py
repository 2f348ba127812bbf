"""MMEW (Ben et al., 2021): 90 frames a second, clips that were cut from onset to offset, one coding sheet.

Layout: `MMEW_Final/Micro_Expression/happiness/S01-01-001/1.jpg`, or the subject's folder first. A clip's name is subject,
emotion and sample, and unique. Its frames count from 1, which is the onset.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import EMOTIONS, SEVEN_CLASSES, USUAL_MAP, ClassMap, emotions_in
from train.datasets.coded import CODED_COLUMNS, OPTIONAL_COLUMNS, CodedDataset, key_by_name, read_coded
from train.datasets.frames import FoundClip, Tree, copy_of, parts_below, passed_over, scan
from train.datasets.source import Defect, FrameFolder, Reading
from train.datasets.spreadsheet import SheetKind

LAYOUTS = ("raw", "cropped")
_CLIP = re.compile(r"S([0-9]{1,3})-([0-9]{1,3})-([0-9]{1,4})", re.IGNORECASE)
_FOLDER_OF = {"others": "repression"}
"""Where the folder of an emotion is called otherwise than in the sheet."""

KIND = SheetKind(
    title="MMEW",
    usual_file="MMEW_Micro_Exp.xlsx",
    columns=CODED_COLUMNS,
    clip_name=_CLIP,
    optional=OPTIONAL_COLUMNS,
)


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads MMEW; raises DatasetError without its coding sheet."""
    tree = scan(roots)
    folders = _find_clips(tree)
    reading = read_coded(MMEW, tree, folders, annotations, layout, class_map)
    claimed = {clip.folder.path for clip in folders}
    claimed |= {folder.path for folder in tree.folders if any("macro" in part for part in parts_below(tree, folder))}
    rest = passed_over(tree, claimed, KIND.title, "S01-01-001")
    return replace(reading, defects=(*reading.defects, *_misplaced(reading), *rest))


def _normal(name: re.Match[str]) -> tuple[str, str]:
    subject = f"S{int(name[1]):02d}"
    return subject, f"{subject}-{int(name[2]):02d}-{int(name[3]):03d}"


MMEW = CodedDataset("mmew", 90.0, KIND, LAYOUTS, key_by_name(_CLIP, _normal, "S01-01-001"), (*SEVEN_CLASSES, "others"))


def _find_clips(tree: Tree) -> list[FoundClip]:
    """The folders named like a clip; those of macro-expressions are none."""
    clips = []
    for folder in tree.folders:
        name = _CLIP.fullmatch(folder.path.name.strip())
        if name is not None and not any("macro" in part for part in parts_below(tree, folder)):
            subject, clip = _normal(name)
            clips.append(FoundClip((subject.casefold(), clip.casefold()), copy_of(tree, folder), folder))
    return clips


def _misplaced(reading: Reading) -> list[Defect]:
    """Clips that lie under another emotion than their row says."""
    defects = []
    for clip in reading.clips:
        if isinstance(clip.pictures, FrameFolder):
            above = [part.name.casefold() for part in list(clip.pictures.path.absolute().parents)[:2]]
            folder = next((emotion for part in above for emotion in emotions_in(part) if emotion in EMOTIONS), "")
            emotion = emotions_in(clip.emotion)
            if folder and (folder,) not in (emotion, tuple(_FOLDER_OF.get(name, name) for name in emotion)):
                reason = f"lies under {folder}, its row says {clip.emotion}: the row counts"
                defects.append(Defect("warning", clip.pictures.path, reason, clip=f"{clip.subject}/{clip.clip}"))
    return defects
