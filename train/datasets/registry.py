"""The dataset readers by name. A reader is imported only when it is asked for: they load pandas."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from train.datasets.source import DatasetError, Reading

DATASETS = ("smic", "casme2", "samm", "composite", "folder", "sessions")


def read_dataset(
    name: str,
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    filmed_fps: float | None = None,
    coder: str | None = None,
) -> Reading:
    """Reads what lies under `roots`.

    `annotations`: sheets to use instead of those found under the roots, told apart by their content; for "folder" those
    of subjects and of frames, for "sessions" that of subjects. `coder`: for "sessions", whose labels alone. `layout`: which of several copies under the roots to read (smic: raw, cropped; casme2:
    raw_selected, raw, cropped), None for the fullest. `filmed_fps`: for "folder", the rate of clips of which no sheet
    says one. Raises DatasetError when there is nothing to read; what is wrong
    with single clips and rows is in the reading's defects.
    """
    if name not in DATASETS:
        raise DatasetError(f"--dataset: expected one of {', '.join(DATASETS)}, found {name!r}")
    if not roots:
        raise DatasetError(f"{name}: no folder given; add --root DIR")
    for path in roots:
        if not path.is_dir():
            raise DatasetError(f"--root {path}: expected a folder, found {'a file' if path.exists() else 'none'}")
    for path in annotations:
        if not path.is_file():
            raise DatasetError(f"--annotation {path}: expected a file, found {'a folder' if path.exists() else 'none'}")
    reader = import_module(f"train.datasets.{name}")
    if name == "sessions":
        return reader.read(roots, annotations, coder)
    if name != "folder":
        return reader.read(roots, annotations, layout)
    if len(roots) > 1 or len(annotations) > 2:
        found = f"{len(roots)} and {len(annotations)}"
        raise DatasetError(f"folder: expected one --root and at most two --annotation, found {found}")
    return reader.read(roots[0], *annotations, filmed_fps=filmed_fps)
