"""SMIC-E, raw with surroundings (Li et al., 2013): long takes of three cameras, HS at 100 and VIS and NIR at 25 frames a second.

Layout: `SMIC-E_raw image/HS_long/SMIC-HS-E/s01/s01_ne_01/image000001.jpg`; `layout` chooses the camera. The pictures count
from 1, the sheet as the camera did: its FirstF is the first picture's number, by which all of them are renumbered. A take
without a row of the camera's sheet is not read: nobody knows what is in it. As clips, a take is its first micro-expression;
as videos, all of them are to be found.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.coded import Key, no_frames, require_classes
from train.datasets.frames import FoundClip, Tree, choose, frames_of, missing_frames, parts_below, passed_over, scan
from train.datasets.labels import SMIC_LABELS, megc2019_words
from train.datasets.smic import CLIP_NAME, clip_key, intervals_of, rows_by_clip
from train.datasets.source import (
    THREE_CLASSES,
    AnnotatedEvent,
    Defect,
    FrameFolder,
    Reading,
    Severity,
    SourceClip,
    SourceVideo,
    VideoReading,
)
from train.datasets.spreadsheet import SheetKind, SheetRow, find_sheet, frame_number, no_sheet

RATES_HZ = {"hs": 100.0, "vis": 25.0, "nir": 25.0}
"""By camera."""
LAYOUTS = tuple(RATES_HZ)
_CAMERA = re.compile(r"(?<![a-z])(hs|vis|nir)(?![a-z])")


@dataclass(frozen=True)
class _Take:
    """A row with a take's pictures, None where there are none of use, and its (onset, offset) in the camera's numbers."""

    key: Key
    row: int
    pictures: FrameFolder | None
    intervals: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Takes:
    camera: str
    sheet: Path
    takes: tuple[_Take, ...]
    defects: tuple[Defect, ...]


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """A clip a take. Raises DatasetError without the camera's sheet, and for other than three classes."""
    found = _read(roots, annotations, layout, class_map)
    clips = []
    for take in found.takes:
        (subject, name), label = take.key, _label(take.key)
        onset, offset = take.intervals[0] if take.intervals else (None, None)
        pictures = take.pictures if take.intervals else None
        clips.append(
            SourceClip(
                "smic-e", subject, name, label, label, RATES_HZ[found.camera], pictures,
                onset=onset, offset=offset, part=found.camera.upper(),
            )
        )  # fmt: skip
    words = megc2019_words("smic")
    return Reading("smic-e", THREE_CLASSES, tuple(clips), found.defects, (found.sheet,), words)


def read_videos(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> VideoReading:
    """A video a take whose micro-expressions are known. Raises DatasetError as `read`."""
    found = _read(roots, annotations, layout, class_map)
    videos = []
    for take in found.takes:
        if not take.intervals:
            continue
        (subject, name), label = take.key, _label(take.key)
        events = tuple(
            AnnotatedEvent("micro", onset, offset, emotion=label, label=label, row=take.row)
            for onset, offset in sorted(take.intervals)
        )
        videos.append(SourceVideo("smic-e", subject, name, RATES_HZ[found.camera], take.pictures, events))
    words = megc2019_words("smic")
    return VideoReading("smic-e", THREE_CLASSES, tuple(videos), found.defects, (found.sheet,), words)


def _read(roots: Sequence[Path], annotations: Sequence[Path], layout: str | None, class_map: ClassMap) -> _Takes:
    require_classes("smic-e", class_map, (3,))
    tree = scan(roots)
    folders = _find_clips(tree)
    chosen, places, found = choose(folders, LAYOUTS, layout, tree)
    camera = chosen or layout or LAYOUTS[0]
    kind = _sheet_kind(camera)
    sheets = [path for path in tree.sheets if _CAMERA.findall(path.name.casefold()) in ([], [camera])]
    sheet, defects, reasons = find_sheet(kind, tree.roots, sheets, annotations)
    if sheet is None:
        raise no_sheet(kind, tree.roots, annotations, reasons)
    rows, repeated = rows_by_clip(sheet.path, sheet.rows)
    defects += [*repeated, *found, *tree.defects]
    takes = []
    for key, row in sorted(rows.items()):
        take, odd = _take(key, row, sheet.path, places)
        takes.append(take)
        defects += odd
    if not places:
        defects.append(no_frames(tree, kind.title, len(takes)))
    for key in sorted(places.keys() - rows.keys()):
        reason = f"no row for this take in {sheet.path.name}: what is in it is not known"
        defects.append(Defect("error", places[key].folder.path, reason, clip=key[1]))
    claimed = {clip.folder.path for clip in folders}
    defects += passed_over(tree, claimed, kind.title, "HS_long/SMIC-HS-E/s01/s01_ne_01")
    return _Takes(camera, sheet.path, tuple(takes), tuple(defects))


def _find_clips(tree: Tree) -> list[FoundClip]:
    """The folders named like a take, below a folder named after a camera, also above the roots."""
    clips = []
    for folder in tree.folders:
        name = CLIP_NAME.fullmatch(folder.path.name.strip())
        if name is None or {"micro", "non_micro"} & {*parts_below(tree, folder)}:  # SMIC's short clips
            continue
        above = (part.name.casefold() for part in Path(os.path.abspath(folder.path)).parents)
        camera = next((told[1] for part in above if (told := _CAMERA.search(part)) is not None), None)
        if camera is not None:
            clips.append(FoundClip(clip_key(name), camera, folder))
    return clips


def _sheet_kind(camera: str) -> SheetKind:
    return SheetKind(
        title=f"SMIC-E {camera.upper()}",
        usual_file=f"SMIC-{camera.upper()}-E_annotation.xlsx",
        columns=(("Filename", "File Name"), ("OnsetF", "Onset"), ("OffsetF", "Offset"), ("FirstF",), ("LastF",)),
        clip_name=CLIP_NAME,
        optional=(("Subject",), ("Emotion",)),
        sheets=(camera.upper(),),
        others=tuple(other.upper() for other in LAYOUTS if other != camera),
    )


def _take(key: Key, row: SheetRow, path: Path, places: dict[Key, FoundClip]) -> tuple[_Take, list[Defect]]:
    defects: list[Defect] = []

    def note(severity: Severity, reason: str) -> None:
        defects.append(Defect(severity, path, reason, row.number, key[1]))

    if row["Emotion"] and row["Emotion"].casefold() != _label(key):
        note("warning", f"Emotion {row['Emotion']!r}, the clip's name says {_label(key)}: the name counts")
    person = frame_number(row["Subject"].casefold().removeprefix("s"))
    if row["Subject"] and person != int(key[0][1:]):
        note("warning", f"Subject {row['Subject']!r}, the clip's name says {key[0]}: the name counts")
    intervals, refused = intervals_of(row)
    for reason in refused:
        note("warning", reason)
    if not intervals:
        note("error", "no usable onset and offset: what is in this take is not known")
    take = _Take(key, row.number, None, tuple(intervals))
    if key not in places:
        if places:
            note("error", "no folder of frames for this row")
        return take, defects
    frames, found = frames_of(places[key].folder, key[1])
    defects += found
    if frames is None:
        return take, defects
    first, last = frame_number(row["FirstF"]), frame_number(row["LastF"])
    if first is None or last is None or first > last:
        note("error", f"FirstF, LastF: expected frame numbers, found {row['FirstF']!r} and {row['LastF']!r}")
        return take, defects
    frames = _renumbered(frames, first, last)
    low, high = frames.files[0][0], frames.files[-1][0]
    if (low, high) != (first, last):
        note("warning", f"FirstF {first} and LastF {last}: on the disk are pictures of {low} to {high}")
    for onset, offset in intervals:
        missing = missing_frames(frames, onset, offset, key[1])
        if missing is not None:
            defects.append(missing)
            if missing.severity == "error":
                return take, defects
    return replace(take, pictures=frames), defects


def _renumbered(frames: FrameFolder, first: int, last: int) -> FrameFolder:
    """Pictures that count from 1, or from 0, as the camera counted; those that do so already stay as they are."""
    low, high = frames.files[0][0], frames.files[-1][0]
    if first <= low and high <= last:
        return frames
    shift = first - min(low, 1)
    return FrameFolder(frames.path, tuple((number + shift, path) for number, path in frames.files))


def _label(key: Key) -> str:
    """By the clip's name."""
    return SMIC_LABELS[key[1].split("_")[1]]
