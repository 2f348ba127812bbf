"""The dataset readers by name. A reader is imported only when it is asked for: they load pandas."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.source import DatasetError, Reading, VideoReading

OF_ONES_OWN = ("folder", "sessions", "synthetic")
"""Their classes are what their owner calls them."""
LONG_DATASETS = ("casme2-long", "samm-long", "casme3", "casme3-c")
"""Those that are long videos; clips for recognition are cut from them."""
VIDEO_DATASETS = (*LONG_DATASETS, "smic-e")
"""Those with whole videos in which events are to be found."""
DATASETS = (
    "smic", "casme2", "samm", "composite", "mmew", "dfme", "4dme", "casme", "smic-e", *LONG_DATASETS, "folder", "sessions"
)  # fmt: skip
_MODULES = {
    "4dme": "fourdme", "smic-e": "smic_e", "casme2-long": "casme2_long", "samm-long": "samm_long", "casme3-c": "casme3_c"
}  # fmt: skip
"""Of names that cannot be a module's."""


def read_dataset(
    name: str,
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    filmed_fps: float | None = None,
    coder: str | None = None,
    class_map: ClassMap = USUAL_MAP,
    max_frames: int | None = None,
) -> Reading:
    """Reads what lies under `roots`.

    `annotations`: sheets to use instead of those found under the roots, told apart by their content; for "folder" those
    of subjects and of frames, for "sessions" that of subjects. `coder`: for "sessions", whose labels alone. `layout`: which
    of several copies or cameras under the roots to read (smic: raw, cropped; casme2: raw_selected, raw, cropped; casme2-long:
    rawpic, rawvideo, cropped; smic-e: hs, vis, nir), None for the fullest. `filmed_fps`: for "folder", the rate of clips of
    which no sheet says one. `class_map`: which emotion is which class, where it is not its owner who says so. `max_frames`: of
    long videos, micro-expressions that are longer are left out, which the notes say. Raises DatasetError when there is nothing
    to read, or no such classes; what is wrong with single clips and rows is in the reading's defects.
    """
    _require_there(name, DATASETS, roots, annotations)
    if name in LONG_DATASETS:
        reading = read_videos(name, roots, annotations, layout, class_map, max_frames)
        return import_module("train.datasets.long_videos").as_clips(reading)
    if max_frames is not None:
        raise DatasetError(f"--max-frames: {name} has clips, not long videos; it is for {', '.join(LONG_DATASETS)}")
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
    max_frames: int | None = None,
) -> VideoReading:
    """Reads the whole videos that lie under `roots`, with what is to be found in them; arguments and errors as of
    `read_dataset`."""
    _require_there(name, VIDEO_DATASETS, roots, annotations)
    if max_frames is not None and max_frames < 1:
        raise DatasetError(f"--max-frames: expected 1 or more, found {max_frames}")
    module = import_module(f"train.datasets.{_MODULES.get(name, name)}")
    reading = module.read_videos(roots, annotations, layout, class_map)
    if max_frames is None:
        return reading
    return import_module("train.datasets.long_videos").without_longer(reading, max_frames)


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
