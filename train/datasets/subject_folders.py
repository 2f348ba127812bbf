"""Clips in folders of people, `sub01/EP01_5/…`, as CASME and CASME II have them: names count within one person."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from train.datasets.frames import Folder, FoundClip, Tree, parts_below, registered

_FOLDER = re.compile(r"sub([0-9]{1,9})", re.IGNORECASE)
_CELL = re.compile(r"(?:sub)?([0-9]{1,9})(?:\.0)?", re.IGNORECASE)


def key_of(subject: str, filename: str) -> tuple[str, str] | str:
    """(subject, clip) of a row, or what is wrong with it."""
    number = _CELL.fullmatch(subject)
    if number is None:
        return f"Subject: expected a number, found {subject!r}"
    if not filename:
        return "Filename: expected a clip's name, found an empty cell"
    return f"sub{int(number[1]):02d}", filename


def clips_of_subjects(tree: Tree, other_layout: Callable[[str], str | None]) -> list[FoundClip]:
    """The folders in one of a subject, in every layout.

    The nearest folder that says a layout counts, and pictures that were registered are cropped, wherever they lie.
    `other_layout` is asked what the name of a folder says, small letters and digits, that says neither of the two that both
    have; where none says anything it is "raw_selected".
    """
    clips = []
    for folder in tree.folders:
        path = Path(os.path.abspath(folder.path))
        subject = _FOLDER.fullmatch(path.parent.name)
        if subject is not None:
            key = (f"sub{int(subject[1]):02d}", path.name.strip().casefold())
            clips.append(FoundClip(key, _layout(tree, folder, other_layout), folder))
    return clips


def _layout(tree: Tree, folder: Folder, other_layout: Callable[[str], str | None]) -> str:
    if registered(folder):
        return "cropped"
    for part in parts_below(tree, folder):
        name = re.sub(r"[^a-z0-9]", "", part)
        if "cropped" in name:
            return "cropped"
        if "rawselected" in name:
            return "raw_selected"
        if (other := other_layout(name)) is not None:
            return other
    return "raw_selected"
