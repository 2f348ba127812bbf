"""What datasets of clips share whose coders wrote a sheet: a row a clip, joined with a folder of frames a clip."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.datasets.au_codes import parse_units
from train.datasets.class_maps import ClassCount, ClassMap, emotions_in
from train.datasets.frames import FoundClip, Tree, choose, frames_of, missing_frames
from train.datasets.source import DatasetError, Defect, Reading, Severity, SourceClip
from train.datasets.spreadsheet import SheetKind, SheetRow, find_sheet, find_sheets, frame_number, no_sheet

CODED_COLUMNS = (
    ("Subject", "Subjects"),
    ("Filename", "File Name", "Clip"),
    ("Onset Frame", "Onset"),
    ("Apex Frame", "Apex"),
    ("Offset Frame", "Offset"),
    ("Estimated Emotion", "Emotion"),
)
OPTIONAL_COLUMNS = (("Action Units", "Action Unit", "AUs", "AU"),)

_SUBJECT_CELL = re.compile(r"(?:S|sub)?([0-9]{1,9})(?:\.0)?", re.IGNORECASE)

Key = tuple[str, str]
"""(subject, clip)."""


@dataclass(frozen=True)
class CodedDataset:
    """`key` gives (subject, clip) from a row's Subject and Filename, or what is wrong with them. Folders are matched to
    it without regard to case. `emotions`: as `class_maps` calls them, those its coders use.

    `fps` is of all clips; or the usual ones, of which each row says its own. `apexes`: the columns of an apex, the first that lies within the clip counts.
    `published`: the class by emotion where there are three, as published. `needs_apex`: then no class without an apex
    above the onset. `class_counts`: how many classes its emotions can be mapped to. `parts`: it comes in so many sheets,
    whose files begin with these names; all there are are read. `emotion_ids`: the emotions in the order of a second
    column, EmotionId, counted from 0.
    """

    name: str
    fps: float | tuple[float, ...]
    kind: SheetKind
    layouts: tuple[str, ...]
    key: Callable[[str, str], Key | str]
    emotions: tuple[str, ...]
    apexes: tuple[str, ...] = ("Apex Frame",)
    published: Mapping[str, str | None] | None = None
    needs_apex: bool = False
    class_counts: tuple[ClassCount, ...] = (3, 4, 7)
    parts: tuple[str, ...] = ()
    emotion_ids: tuple[str, ...] = ()


def key_by_name(
    clip: re.Pattern[str], normal: Callable[[re.Match[str]], Key], example: str
) -> Callable[[str, str], Key | str]:
    """A dataset's `key` where a clip's name says of whom it is, in the first group of `clip`, and row and name must agree;
    `normal` gives (subject, clip) of a name."""

    def key(subject: str, filename: str) -> Key | str:
        name, number = clip.fullmatch(filename), _SUBJECT_CELL.fullmatch(subject)
        if name is None:
            return f"Filename: expected a name such as {example}, found {filename!r}"
        if number is None:
            return f"Subject: expected a number, found {subject!r}"
        if int(number[1]) != int(name[1]):
            return f"Subject {subject} and Filename {filename} name different people"
        return normal(name)

    return key


def require_classes(name: str, class_map: ClassMap, offered: Sequence[ClassCount]) -> None:
    """Raises DatasetError where a dataset's emotions give no such classes."""
    if class_map.classes not in offered:
        raise DatasetError(
            f"{name}: its emotions give no {class_map.classes} classes; expected --label-map {' or '.join(map(str, offered))}"
        )


def read_coded(
    dataset: CodedDataset,
    tree: Tree,
    folders: Sequence[FoundClip],
    annotations: Sequence[Path],
    layout: str | None,
    class_map: ClassMap,
) -> Reading:
    """Joins the sheet, or the sheets of all parts, with the folders found. Raises DatasetError without a sheet, and for
    classes that its emotions do not give."""
    require_classes(dataset.name, class_map, dataset.class_counts)
    if dataset.parts:
        sheets, defects, reasons = find_sheets(dataset.kind, dataset.parts, tree.roots, tree.sheets, annotations)
    else:
        sheet, defects, reasons = find_sheet(dataset.kind, tree.roots, tree.sheets, annotations)
        sheets = () if sheet is None else (sheet,)
    if not sheets:
        raise no_sheet(dataset.kind, tree.roots, annotations, reasons)
    clips: dict[Key, SourceClip] = {}
    first_rows: dict[Key, tuple[Path, SheetRow]] = {}
    for sheet in sheets:
        part = next((name for name in dataset.parts if sheet.path.name.casefold().startswith(name.casefold())), "")
        for row in sheet.rows:
            key = dataset.key(row["Subject"], row["Filename"])
            if isinstance(key, str):
                defects.append(Defect("error", sheet.path, key, row.number))
            elif folded(key) in first_rows:
                before, first = first_rows[folded(key)]
                where = "" if before == sheet.path else f" of {before.name}"
                reason = f"this clip is in row {first.number}{where} already; that row is used"
                defects.append(Defect("error", sheet.path, reason, row.number, "/".join(key)))
            else:
                first_rows[folded(key)] = sheet.path, row
                clip, found = _annotated(dataset, sheet.path, row, key, class_map)
                defects += found
                if clip is not None:
                    clips[folded(key)] = replace(clip, part=part)
    chosen_layout, places, found = choose(folders, dataset.layouts, layout, tree)
    defects += [*found, *tree.defects]
    pictured = []
    for key, clip in sorted(clips.items()):
        if places:
            path, row = first_rows[key]
            clip, found = _with_pictures(clip, places.get(key), path, row.number, chosen_layout == "cropped")
            defects += found
        pictured.append(clip)
    if not places:
        defects.append(no_frames(tree, dataset.kind.title, len(clips)))
    names = ", ".join(sheet.path.name for sheet in sheets)
    defects += [
        Defect(
            "error", place.folder.path, f"no row for this clip in {names}", clip=f"{key[0]}/{place.folder.path.name}"
        )
        for key, place in sorted(places.items())
        if key not in first_rows
    ]
    return Reading(
        dataset.name,
        class_map.class_names,
        tuple(pictured),
        tuple(defects),
        tuple(sheet.path for sheet in sheets),
        class_map.in_words(dataset.published),
    )


def no_frames(tree: Tree, title: str, clips: int) -> Defect:
    """The error for a reading of names alone."""
    return Defect(
        "error", tree.roots[0], f"no frames of any of the {clips} clips of {title} here: names and labels only"
    )


def _annotated(
    dataset: CodedDataset, path: Path, row: SheetRow, key: Key, class_map: ClassMap
) -> tuple[SourceClip | None, list[Defect]]:
    """The clip of one row, without pictures; None, with an error, where nobody can say how fast it was filmed."""
    subject, name = key
    defects: list[Defect] = []

    def note(severity: Severity, reason: str) -> None:
        defects.append(Defect(severity, path, reason, row.number, f"{subject}/{name}"))

    if isinstance(dataset.fps, tuple):
        fps = float(frame_number(row["Fps"]) or 0)
        usual = ", ".join(f"{rate:g}" for rate in dataset.fps)
        if not fps:
            note("error", f"Fps: expected one of {usual}, found {row['Fps']!r}")
            return None, defects
        if fps not in dataset.fps:
            note("warning", f"Fps: expected one of {usual}, found {fps:g}; taken as it is")
    else:
        fps = dataset.fps
    onset, offset = frame_number(row["Onset Frame"]), frame_number(row["Offset Frame"])
    for column, value in (("Onset Frame", onset), ("Offset Frame", offset)):
        if value is None:
            note("error", f"{column}: expected a frame number, found {row[column]!r}")
    apex, odd = _apex(dataset, row, onset, offset)
    if odd:
        note("warning", odd)
    units = parse_units(row["Action Units"])
    if units.left_out:
        note("warning", f"Action Units {row['Action Units']!r}: left out {', '.join(units.left_out)}")
    emotion = row["Estimated Emotion"]
    wrong = _wrong_emotion(dataset, row)
    if wrong:
        note("error", wrong)
    label = None if wrong else class_map.label(emotion, units.units, dataset.published)
    at_once = emotions_in(emotion)
    if len(at_once) > 1 and label is None and not wrong:
        note("warning", f"{emotion!r}: several emotions that are not all of one class: in no class")
    no_rise = apex is None or onset is None or apex <= onset
    if label is not None and dataset.needs_apex and class_map.classes == 3 and no_rise:
        note("warning", f"no apex above the onset {row['Onset Frame']}: in none of the classes, as in MEGC2019")
        label = None
    clip = SourceClip(dataset.name, subject, name, emotion, label, fps, None, units.units)
    if onset is None or offset is None:
        return clip, defects
    if onset >= offset:
        note("error", f"expected onset < offset, found {onset} and {offset}")
        return clip, defects
    if apex is not None and not onset <= apex <= offset:
        note("warning", f"apex {apex} outside {onset} to {offset}: no apex taken")
        apex = None
    elif apex in (onset, offset):
        note("warning", f"apex {apex} equals the {'onset' if apex == onset else 'offset'}")
    return replace(clip, onset=onset, apex=apex, offset=offset), defects


def _apex(dataset: CodedDataset, row: SheetRow, onset: int | None, offset: int | None) -> tuple[int | None, str]:
    """The apex that counts, and what is odd about it."""
    low, high = onset or 0, float("inf") if offset is None else offset
    first, *others = dataset.apexes
    apex = frame_number(row[first])
    if apex is None or not low <= apex <= high:
        for column in others:
            value = frame_number(row[column])
            if value is not None and low <= value <= high:
                return value, f"{first} is {row[first]!r}: {column}, {value}, is taken"
    if apex is None:
        return None, f"{first}: expected a frame number, found {row[first]!r}; no apex taken"
    return apex, ""


def _wrong_emotion(dataset: CodedDataset, row: SheetRow) -> str:
    """Why a row's emotion cannot be used, or ""."""
    emotion = row["Estimated Emotion"]
    names = emotions_in(emotion)
    if not names or any(name not in dataset.emotions for name in names):
        return f"Estimated Emotion: expected one of {', '.join(dataset.emotions)}, found {emotion!r}"
    number = row["EmotionId"]
    if dataset.emotion_ids and number:
        index = frame_number(number)
        named = dataset.emotion_ids[index] if index is not None and index < len(dataset.emotion_ids) else "none of them"
        if names != (named,):
            return f"Emotion {emotion!r}, but EmotionId {number!r} is {named}: one of the two is wrong; in no class"
    return ""


def _with_pictures(
    clip: SourceClip, place: FoundClip | None, sheet: Path, row: int, cropped: bool
) -> tuple[SourceClip, list[Defect]]:
    """The clip with its frames; without, and an error, where they or its onset and offset are missing."""
    name = f"{clip.subject}/{clip.clip}"
    if place is None:
        return clip, [Defect("error", sheet, "no folder of frames for this row", row, name)]
    frames, defects = frames_of(place.folder, name)
    if frames is None or clip.onset is None or clip.offset is None:
        return clip, defects
    missing = missing_frames(frames, clip.onset, clip.offset, name)
    if missing is not None:
        defects.append(missing)
        if missing.severity == "error":
            return clip, defects
    return replace(clip, pictures=frames, cropped=cropped), defects


def folded(key: Key) -> Key:
    """As folders are matched to rows."""
    return key[0].casefold(), key[1].casefold()
