"""SMIC-HS (Li et al., 2013): 100 frames a second; raw and cropped pictures, no action units, no apex.

Layout: `.../s1/micro/negative/s1_ne_01/image014351.bmp`, or `reg_image014351.bmp` in the cropped copy. Subject and label
come from a clip's name. The sheet of SMIC-E gives onset and offset alone: without them a clip counts from its first to
its last frame, which is what the short clips are.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.class_maps import USUAL_MAP, ClassMap
from train.datasets.coded import no_frames, require_classes
from train.datasets.frames import (
    FoundClip,
    Tree,
    choose,
    frames_of,
    missing_frames,
    parts_below,
    passed_over,
    registered,
    scan,
)
from train.datasets.labels import SMIC_LABELS, megc2019_words
from train.datasets.source import THREE_CLASSES, DatasetError, Defect, FrameFolder, Reading, SourceClip
from train.datasets.spreadsheet import SheetKind, SheetRow, find_sheet, frame_number, no_sheet

LAYOUTS = ("raw", "cropped")
CLIP_NAME = re.compile(r"s([0-9]{1,9})_(ne|po|sur)_([0-9]{1,9})", re.IGNORECASE)
_SUBJECT_FOLDER = re.compile(r"s0*([0-9]+)")
_OTHER_CAMERAS = {"vis", "nir"}
_NOT_READ = {"non_micro", *_OTHER_CAMERAS}

KIND = SheetKind(
    title="SMIC-HS",
    usual_file="SMIC-HS-E_annotation.xlsx",
    columns=(("Filename", "File Name"), ("OnsetF", "Onset"), ("OffsetF", "Offset")),
    clip_name=CLIP_NAME,
    optional=(("Subject",), ("FirstF",), ("LastF",), ("Emotion",)),
    sheets=("HS",),
    others=("VIS", "NIR"),
)

Key = tuple[str, str]


def read(
    roots: Sequence[Path],
    annotations: Sequence[Path] = (),
    layout: str | None = None,
    class_map: ClassMap = USUAL_MAP,
) -> Reading:
    """Reads SMIC-HS; raises DatasetError when there are neither clips nor a sheet, and for other than three classes."""
    require_classes("smic", class_map, (3,))
    tree = scan(roots)
    reading = read_tree(tree, annotations, layout)
    rest = passed_over(tree, claimed(tree), KIND.title, "s1/micro/negative/s1_ne_01")
    return replace(reading, defects=(*reading.defects, *rest))


def read_tree(tree: Tree, annotations: Sequence[Path] = (), layout: str | None = None) -> Reading:
    sheet, defects, reasons = find_sheet(KIND, tree.roots, tree.sheets, annotations)
    if sheet is None and annotations:
        raise no_sheet(KIND, tree.roots, annotations, reasons)
    chosen_layout, places, found = choose(find_clips(tree), LAYOUTS, layout, tree)
    defects += [*found, *tree.defects, *_other_cameras(tree)]
    rows: dict[Key, SheetRow] = {}
    if sheet is not None:
        rows, found = rows_by_clip(sheet.path, sheet.rows)
        defects += found
    if not places and not rows:
        looked = f"; looked for a sheet too: {'; '.join(reasons[:3])}" if reasons else ""
        where = ", ".join(map(str, tree.roots))
        raise DatasetError(f"{KIND.title}: no clips such as s1/micro/negative/s1_ne_01 under {where}{looked}")
    if not places:
        defects.append(no_frames(tree, KIND.title, len(rows)))
    if sheet is None:
        reason = f"no sheet such as {KIND.usual_file}: clips count from their first to their last frame"
        defects.append(Defect("warning", tree.roots[0], "; ".join([reason, *reasons[:3]])))
    clips = []
    for key in sorted(places.keys() | rows.keys()):
        clip, found = _clip(key, places.get(key), chosen_layout == "cropped")
        defects += found
        if sheet is not None:
            clip, found = _timed(clip, rows.get(key), sheet.path)
            defects += found
        if sheet is not None and places and key not in places:
            defects.append(Defect("error", sheet.path, "no folder of frames for this row", rows[key].number, key[1]))
        clips.append(clip)
    sheets = (sheet.path,) if sheet is not None else ()
    return Reading("smic", THREE_CLASSES, tuple(clips), tuple(defects), sheets, megc2019_words("smic"))


def claimed(tree: Tree) -> set[Path]:
    """The folders that belong to SMIC by their names, those that are not read included."""
    others = {folder.path for folder in tree.folders if _NOT_READ & {*parts_below(tree, folder)}}
    return others | {clip.folder.path for clip in find_clips(tree)}


def find_clips(tree: Tree) -> list[FoundClip]:
    """The folders named like a clip of the HS camera, in every layout."""
    clips = []
    for folder in tree.folders:
        name, parts = CLIP_NAME.fullmatch(folder.path.name.strip()), parts_below(tree, folder)
        if name is not None and not _NOT_READ & {*parts}:
            cropped = registered(folder) or any("cropped" in part for part in parts)
            clips.append(FoundClip(clip_key(name), "cropped" if cropped else "raw", folder))
    return clips


def _other_cameras(tree: Tree) -> list[Defect]:
    others = [f.path for f in tree.folders if f.names and _OTHER_CAMERAS & {*parts_below(tree, f)}]
    number = f"{len(others)} folders, this the first," if len(others) > 1 else "a folder"
    reason = f"{number} of the VIS or NIR camera: passed over, HS alone is read"
    return [Defect("warning", others[0], reason)] if others else []


def clip_key(name: re.Match[str]) -> Key:
    subject = f"s{int(name[1]):02d}"
    return subject, f"{subject}_{name[2].casefold()}_{int(name[3]):02d}"


def rows_by_clip(path: Path, rows: Sequence[SheetRow]) -> tuple[dict[Key, SheetRow], list[Defect]]:
    kept: dict[Key, SheetRow] = {}
    defects = []
    for row in rows:
        name = CLIP_NAME.fullmatch(row["Filename"])
        if name is None:
            reason = f"Filename: expected a name such as s1_ne_01, found {row['Filename']!r}"
            defects.append(Defect("error", path, reason, row.number))
        elif clip_key(name) in kept:
            reason = f"this clip is in row {kept[clip_key(name)].number} already; that row is used"
            defects.append(Defect("error", path, reason, row.number, clip_key(name)[1]))
        else:
            kept[clip_key(name)] = row
    return kept, defects


def _clip(key: Key, place: FoundClip | None, cropped: bool) -> tuple[SourceClip, list[Defect]]:
    """A clip by its name, with its frames where there are some."""
    subject, name = key
    label = SMIC_LABELS[name.split("_")[1]]
    clip = SourceClip("smic", subject, name, label, label, 100.0, None)
    if place is None:
        return clip, []
    parts = [part.name.casefold() for part in place.folder.path.absolute().parents]
    defects = []
    emotion = next((part for part in parts if part in THREE_CLASSES), label)
    person = next((part for part in parts if _SUBJECT_FOLDER.fullmatch(part)), subject)
    if emotion != label:
        reason = f"lies under {emotion}, its name says {label}: the name counts"
        defects.append(Defect("warning", place.folder.path, reason, clip=name))
    if int(person[1:]) != int(subject[1:]):
        reason = f"lies under {person}, its name says {subject}: the name counts"
        defects.append(Defect("warning", place.folder.path, reason, clip=name))
    frames, found = frames_of(place.folder, name)
    return replace(clip, pictures=frames, cropped=cropped), [*defects, *found]


def _timed(clip: SourceClip, row: SheetRow | None, path: Path) -> tuple[SourceClip, list[Defect]]:
    """The clip with onset and offset from its row, and what is odd about the row."""
    if row is None:
        reason = "not in the sheet: counts from its first to its last frame"
        return clip, [Defect("warning", path, reason, clip=clip.clip)]
    defects = []

    def warn(reason: str) -> None:
        defects.append(Defect("warning", path, reason, row.number, clip.clip))

    if row["Emotion"] and row["Emotion"].casefold() != clip.label:
        warn(f"Emotion {row['Emotion']!r}, the clip's name says {clip.label}: the name counts")
    person = frame_number(row["Subject"].casefold().removeprefix("s"))
    if row["Subject"] and person != int(clip.subject[1:]):
        warn(f"Subject {row['Subject']!r}, the clip's name says {clip.subject}: the name counts")
    intervals, refused = intervals_of(row)
    for reason in refused:
        warn(reason)
    if not isinstance(clip.pictures, FrameFolder):
        best = intervals[:1]
    else:
        first, last = clip.pictures.files[0][0], clip.pictures.files[-1][0]
        inside = [(min(last, pair[1]) - max(first, pair[0]), pair) for pair in intervals]
        best = [pair for length, pair in sorted(inside, key=lambda found: -found[0]) if length > 0][:1]
        if intervals and not best:
            warn(f"onset and offset lie outside the frames on the disk, {first} to {last}")
    if not best:
        warn("no usable onset and offset: counts from its first to its last frame")
        return clip, defects
    (onset, offset), *_ = best
    if isinstance(clip.pictures, FrameFolder):
        missing = missing_frames(clip.pictures, onset, offset, clip.clip)
        defects += [missing] if missing is not None else []
    return replace(clip, onset=onset, offset=offset), defects


def intervals_of(row: SheetRow) -> tuple[list[tuple[int, int]], list[str]]:
    """The row's (onset, offset) pairs with FirstF <= onset < offset <= LastF, each once, and why others were refused."""
    first, last = frame_number(row["FirstF"]), frame_number(row["LastF"])
    bounds = (first, last) if first is not None and last is not None and first < last else None
    kept: list[tuple[int, int]] = []
    refused = []
    for column in row.cells:
        number = re.fullmatch(r"onset([0-9]*)f", column)
        if number is None:
            continue
        texts = row[column], row[f"Offset{number[1]}F"]
        onset, offset = map(frame_number, texts)
        name = f"Onset{number[1]}F, Offset{number[1]}F"
        if not any(texts) and number[1]:
            continue
        if onset is None or offset is None:
            refused.append(f"{name}: expected frame numbers, found {texts[0]!r} and {texts[1]!r}; not used")
        elif onset >= offset or (bounds is not None and not bounds[0] <= onset < offset <= bounds[1]):
            inside = f" within {bounds[0]} to {bounds[1]}" if bounds is not None else ""
            refused.append(f"{name}: expected onset < offset{inside}, found {onset} and {offset}; not used")
        elif (onset, offset) in kept:
            refused.append(f"{name}: the same as before, {onset} and {offset}; not used")
        else:
            kept.append((onset, offset))
    return kept, refused
