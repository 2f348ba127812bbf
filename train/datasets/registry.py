"""The dataset readers by name. A reader is imported only when it is asked for: they load pandas."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.source import DatasetError, Reading, VideoReading

OF_ONES_OWN = ("folder", "sessions", "synthetic")
"""Their classes are what their owner calls them."""
DATASETS = ("smic", "casme2", "samm", "composite", "mmew", "dfme", "4dme", "casme", "smic-e", "folder", "sessions")
VIDEO_DATASETS = ("smic-e",)
"""Those with whole videos in which events are to be found."""
_MODULES = {"4dme": "fourdme", "smic-e": "smic_e"}
"""Of names that cannot be a module's."""


def read_dataset(
    name: str,
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    filmed_fps: float | None = None,
    coder: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads what lies under `roots`.

    `annotations`: sheets to use instead of those found under the roots, told apart by their content; for "folder" those
    of subjects and of frames, for "sessions" that of subjects. `coder`: for "sessions", whose labels alone. `layout`: which
    of several copies or cameras under the roots to read (smic: raw, cropped; casme2: raw_selected, raw, cropped; smic-e: hs,
    vis, nir), None for the fullest. `filmed_fps`: for "folder", the rate of clips of which no sheet says one. `class_map`:
    which emotion is which class, where it is not its owner who says so. Raises DatasetError when there is nothing to read,
    or no such classes; what is wrong with single clips and rows is in the reading's defects.
    """
    _require_there(name, DATASETS, roots, annotations)
    reader = import_module(f"train.datasets.{_MODULES.get(name, name)}")
    require_mappable(name, class_map)
    if name == "sessions":
        return reader.read(roots, annotations, coder)
    if name != "folder":
        return reader.read(roots, annotations, layout, class_map)
    if len(roots) > 1 or len(annotations) > 2:
        found = f"{len(roots)} and {len(annotations)}"
        raise DatasetError(f"folder: expected one --root and at most two --annotation, found {found}")
    return reader.read(roots[0], *annotations, filmed_fps=filmed_fps)


def read_videos(
    name: str,
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> VideoReading:
    """Reads the whole videos that lie under `roots`, with what is to be found in them; arguments and errors as of
    `read_dataset`."""
    _require_there(name, VIDEO_DATASETS, roots, annotations)
    return import_module(f"train.datasets.{_MODULES.get(name, name)}").read_videos(
        roots, annotations, layout, class_map
    )


def require_mappable(name: str, class_map: ClassMap) -> None:
    """Raises DatasetError for a choice of classes where there is none."""
    if name in OF_ONES_OWN and class_map != USUAL_MAP:
        raise DatasetError(f"{name}: its classes are its own; leave out --label-map, --contempt and --one-sided-12")


def _require_there(name: str, known: Sequence[str], roots: Sequence[Path], annotations: Sequence[Path]) -> None:
    if name not in known:
        raise DatasetError(f"--dataset: expected one of {', '.join(known)}, found {name!r}")
    if not roots:
        raise DatasetError(f"{name}: no folder given; add --root DIR")
    for path in roots:
        if not path.is_dir():
            raise DatasetError(f"--root {path}: expected a folder, found {'a file' if path.exists() else 'none'}")
    for path in annotations:
        if not path.is_file():
            raise DatasetError(f"--annotation {path}: expected a file, found {'a folder' if path.exists() else 'none'}")
