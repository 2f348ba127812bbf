"""The MEGC2019 composite: SMIC-HS, CASME II and SAMM in three classes, subjects told apart by their dataset."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from train.datasets import casme2, samm, smic
from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.frames import passed_over, scan
from train.datasets.labels import megc2019_words
from train.datasets.source import THREE_CLASSES, DatasetError, Reading
from train.datasets.spreadsheet import open_sheet

_PARTS: tuple[ModuleType, ...] = (smic, casme2, samm)


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads all three from roots of any arrangement; raises DatasetError when one of them is not there, and for classes that
    are not MEGC2019's.

    `layout`: as in the single readers; a dataset that does not lie there in it is read in its fullest.
    """
    if class_map != USUAL_MAP:
        raise DatasetError(
            "composite: it is that of MEGC2019, with classes of its own; leave out --label-map, --contempt and "
            "--one-sided-12, or prepare smic, casme2 and samm apart and give all of their stores to loso"
        )
    if layout is not None and not any(layout in part.LAYOUTS for part in _PARTS):
        known = dict.fromkeys(name for part in _PARTS for name in part.LAYOUTS)
        raise DatasetError(f"--layout: expected one of {', '.join(known)}, found {layout!r}")
    tree = scan(roots)
    given = _assigned(annotations)
    readings = []
    for part in _PARTS:
        there = {clip.layout for clip in part.find_clips(tree)}
        readings.append(part.read_tree(tree, given[part.__name__], layout if layout in there else None))
    claimed = set().union(*(part.claimed(tree) for part in _PARTS))
    rest = passed_over(tree, claimed, "the composite", "s1_ne_01, sub01/EP02_01f, 006_1_2")
    clips = sorted(
        (clip for reading in readings for clip in reading.clips),
        key=lambda clip: (clip.dataset, clip.subject, clip.clip),
    )
    defects = dict.fromkeys([*(defect for reading in readings for defect in reading.defects), *rest])
    sheets = tuple(path for reading in readings for path in reading.sheets)
    return Reading("composite", THREE_CLASSES, tuple(clips), tuple(defects), sheets, megc2019_words("composite"))


def _assigned(annotations: Sequence[Path]) -> dict[str, list[Path]]:
    """The sheets given, for each dataset those that hold its table. Raises DatasetError for one that holds none."""
    given: dict[str, list[Path]] = {part.__name__: [] for part in _PARTS}
    for path in annotations:
        reasons = []
        for part in _PARTS:
            try:
                open_sheet(path, part.KIND)
            except DatasetError as error:
                reasons.append(str(error))
            else:
                given[part.__name__].append(path)
        if len(reasons) == len(_PARTS):
            raise DatasetError("; ".join(dict.fromkeys(reasons)))
    return given
