"""Clips as folders of pictures: finding them, choosing among copies, putting their frames in order."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from train.datasets.source import DatasetError, Defect, FrameFolder
from train.datasets.spreadsheet import is_sheet

VIDEOS = (".mp4", ".avi", ".mov")

_PICTURES = (".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff")
_TRAILING_NUMBER = re.compile(r"([0-9]+)$")


@dataclass(frozen=True)
class Folder:
    """A folder with pictures, or one with nothing below it: `names` are the pictures' names, sorted. Or a video's file, whose
    one name is its own."""

    path: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class Tree:
    """What lies under the roots."""

    roots: tuple[Path, ...]
    folders: tuple[Folder, ...]
    sheets: tuple[Path, ...]
    defects: tuple[Defect, ...]
    videos: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FoundClip:
    """A folder that is named like a clip: whose (subject, clip), in which layout."""

    key: tuple[str, str]
    layout: str
    folder: Folder


def scan(roots: Sequence[Path]) -> Tree:
    """Walks the roots in their order, links followed, every folder once; hidden files and folders are passed over."""
    folders: list[Folder] = []
    sheets: list[Path] = []
    videos: list[Path] = []
    defects: list[Defect] = []
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        defects.append(Defect("error", Path(error.filename), f"cannot be read ({error.strerror})"))

    for root in roots:
        for where, below, names in os.walk(root, onerror=unreadable, followlinks=True):
            real = os.path.realpath(where)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
            pictures = tuple(sorted(n for n in names if n.casefold().endswith(_PICTURES) and not n.startswith(".")))
            if pictures or not below:
                folders.append(Folder(Path(where), pictures))
            sheets.extend(Path(where, name) for name in sorted(names) if is_sheet(name))
            videos.extend(
                Path(where, n) for n in sorted(names) if n.casefold().endswith(VIDEOS) and not n.startswith(".")
            )
    return Tree(tuple(roots), tuple(folders), tuple(sheets), tuple(defects), tuple(videos))


def choose(
    clips: Iterable[FoundClip], layouts: Sequence[str], wanted: str | None, tree: Tree, noun: str = "clips"
) -> tuple[str | None, dict[tuple[str, str], FoundClip], list[Defect]]:
    """The layout to read, the folder of each clip in it, and warnings about what else lies there.

    `wanted`, else the layout with most clips, else the first in `layouts`; None when nothing was found. Raises
    DatasetError for a layout that is not there.
    """
    if wanted is not None and wanted not in layouts:
        raise DatasetError(f"--layout: expected one of {', '.join(layouts)}, found {wanted!r}")
    copies: dict[str, dict[tuple[str, str], list[FoundClip]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        copies[clip.layout][clip.key].append(clip)
    if not copies:
        return None, {}, []
    there = ", ".join(f"{layout} ({len(copies[layout])} {noun})" for layout in layouts if layout in copies)
    if wanted is not None and wanted not in copies:
        raise DatasetError(
            f"--layout {wanted}: no such {noun} under {', '.join(map(str, tree.roots))}; there are {there}"
        )
    layout = wanted or max((name for name in layouts if name in copies), key=lambda name: _filled(copies[name]))
    defects = []
    if len(copies) > 1 and wanted is None:
        reason = f"several layouts: {there}; {layout} is read; choose with --layout"
        defects.append(Defect("warning", tree.roots[0], reason))
    chosen = {}
    repeated = []
    for clip_key, places in copies[layout].items():
        chosen[clip_key] = max(places, key=lambda clip: bool(clip.folder.names))
        repeated += [place for place in places if place is not chosen[clip_key]]
    if repeated:
        more = f" and {len(repeated) - 1} more such folders" if len(repeated) > 1 else ""
        used = chosen[repeated[0].key].folder.path
        reason = f"another copy of {used}{more}: one of each is used, the first with frames in it"
        defects.append(Defect("warning", repeated[0].folder.path, reason, clip="/".join(repeated[0].key)))
    return layout, chosen, defects


def frames_of(folder: Folder, clip: str) -> tuple[FrameFolder | None, list[Defect]]:
    """A clip's pictures by the trailing integer of their names; None, with an error, where there are none."""
    files: dict[int, Path] = {}
    nameless: list[str] = []
    repeated: list[str] = []
    empty: list[str] = []
    for name in folder.names:
        path = folder.path / name
        number = _TRAILING_NUMBER.search(path.stem)
        if number is None:
            nameless.append(name)
        elif not _has_content(path):
            empty.append(name)
        elif int(number[1]) in files:
            repeated.append(name)
        else:
            files[int(number[1])] = path
    notes = (
        (nameless, "no frame number at the end of the name; passed over"),
        (empty, "empty or unreadable files; passed over"),
        (repeated, "the same frame number as another picture; passed over"),
    )
    defects = [
        Defect("warning", folder.path, f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}: {reason}", clip=clip)
        for names, reason in notes
        if names
    ]
    if not files:
        return None, [*defects, Defect("error", folder.path, "the clip's folder holds no frames", clip=clip)]
    return FrameFolder(folder.path, tuple(sorted(files.items()))), defects


def missing_frames(frames: FrameFolder, onset: int, offset: int, clip: str) -> Defect | None:
    """What the disk lacks between onset and offset: an error when that is all of it, a warning when it is a part."""
    there = {number for number, _ in frames.files if onset <= number <= offset}
    expected = offset - onset + 1
    if len(there) == expected:
        return None
    on_disk = f"on the disk are {frames.files[0][0]} to {frames.files[-1][0]}"
    if not there:
        return Defect("error", frames.path, f"no frame between onset {onset} and offset {offset}: {on_disk}", clip=clip)
    lacking = expected - len(there)
    first = islice((number for number in range(onset, offset + 1) if number not in there), 5)
    listed = ", ".join(map(str, first)) + (" ..." if lacking > 5 else "")
    reason = (
        f"{lacking} of the {expected} frames from onset {onset} to offset {offset} are missing ({listed}): {on_disk}"
    )
    return Defect("warning", frames.path, reason, clip=clip)


def passed_over(tree: Tree, claimed: set[Path], title: str, example: str) -> list[Defect]:
    """One warning about the folders of pictures that belong to nothing."""
    rest = [folder.path for folder in tree.folders if folder.names and folder.path not in claimed]
    if not rest:
        return []
    number = f"{len(rest)} folders of pictures, this the first," if len(rest) > 1 else "a folder of pictures"
    return [Defect("warning", rest[0], f"{number} not named like a clip of {title} ({example}): passed over")]


def registered(folder: Folder) -> bool:
    """Whether the pictures are named as those that were registered and cropped: reg_img46.jpg, reg_image014351.bmp."""
    return any(name.casefold().startswith("reg_") for name in folder.names)


def parts_below(tree: Tree, folder: Folder) -> tuple[str, ...]:
    """The names of the folders from this one up to the root that it was found under, without case."""
    root = next(root for root in tree.roots if folder.path.is_relative_to(root))
    names = (os.path.basename(os.path.abspath(root)), *folder.path.relative_to(root).parts)
    return tuple(name.casefold() for name in reversed(names))


def copy_of(tree: Tree, folder: Folder) -> str:
    """ "cropped" where the pictures' names or a folder above says so, else "raw"."""
    return "cropped" if registered(folder) or any("crop" in part for part in parts_below(tree, folder)) else "raw"


def _filled(clips: Mapping[tuple[str, str], Sequence[FoundClip]]) -> int:
    return sum(any(place.folder.names for place in places) for places in clips.values())


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
