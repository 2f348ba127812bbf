"""What CASME II and SAMM share: a sheet with a row a clip, joined with a folder of frames a clip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.datasets.au_codes import parse_units
from train.datasets.frames import FoundClip, Tree, choose, frames_of, missing_frames
from train.datasets.source import THREE_CLASSES, Defect, Reading, SourceClip
from train.datasets.spreadsheet import SheetKind, SheetRow, find_sheet, frame_number, no_sheet

CODED_COLUMNS = (
    ("Subject", "Subjects"),
    ("Filename", "File Name", "Clip"),
    ("Onset Frame", "Onset"),
    ("Apex Frame", "Apex"),
    ("Offset Frame", "Offset"),
    ("Estimated Emotion", "Emotion"),
)
OPTIONAL_COLUMNS = (("Action Units", "Action Unit", "AUs", "AU"),)


@dataclass(frozen=True)
class CodedDataset:
    """`key` gives (subject, clip) from a row's Subject and Filename, or what is wrong with them. Folders are matched to
    it without regard to case. `labels`: class by emotion. `needs_apex`: no class without an apex above the onset."""

    name: str
    fps: float
    kind: SheetKind
    layouts: tuple[str, ...]
    key: Callable[[str, str], tuple[str, str] | str]
    labels: Mapping[str, str | None]
    needs_apex: bool


def read_coded(
    dataset: CodedDataset, tree: Tree, folders: Sequence[FoundClip], annotations: Sequence[Path], layout: str | None
) -> Reading:
    """Joins the sheet with the folders found. Raises DatasetError without a sheet."""
    sheet, defects, reasons = find_sheet(dataset.kind, tree.roots, tree.sheets, annotations)
    if sheet is None:
        raise no_sheet(dataset.kind, tree.roots, annotations, reasons)
    clips: dict[tuple[str, str], SourceClip] = {}
    first_rows: dict[tuple[str, str], int] = {}
    for row in sheet.rows:
        key = dataset.key(row["Subject"], row["Filename"])
        if isinstance(key, str):
            defects.append(Defect("error", sheet.path, key, row.number))
        elif _folded(key) in clips:
            reason = f"this clip is in row {first_rows[_folded(key)]} already; that row is used"
            defects.append(Defect("error", sheet.path, reason, row.number, "/".join(key)))
        else:
            clips[_folded(key)], found = _annotated(dataset, sheet.path, row, key)
            first_rows[_folded(key)] = row.number
            defects += found
    chosen_layout, places, found = choose(folders, dataset.layouts, layout, tree)
    defects += [*found, *tree.defects]
    pictured = []
    for key, clip in sorted(clips.items()):
        if places:
            clip, found = _with_pictures(clip, places.get(key), sheet.path, first_rows[key], chosen_layout == "cropped")
            defects += found
        pictured.append(clip)
    if not places:
        defects.append(no_frames(tree, dataset.kind.title, len(clips)))
    defects += [
        Defect(
            "error",
            place.folder.path,
            f"no row for this clip in {sheet.path.name}",
            clip=f"{key[0]}/{place.folder.path.name}",
        )
        for key, place in sorted(places.items())
        if key not in clips
    ]
    return Reading(dataset.name, THREE_CLASSES, tuple(pictured), tuple(defects), (sheet.path,))


def no_frames(tree: Tree, title: str, clips: int) -> Defect:
    """The error for a reading of names alone."""
    return Defect(
        "error", tree.roots[0], f"no frames of any of the {clips} clips of {title} here: names and labels only"
    )


def _annotated(
    dataset: CodedDataset, path: Path, row: SheetRow, key: tuple[str, str]
) -> tuple[SourceClip, list[Defect]]:
    """The clip of one row, without pictures."""
    subject, name = key
    defects: list[Defect] = []

    def note(severity: str, reason: str) -> None:
        defects.append(
            Defect("error" if severity == "error" else "warning", path, reason, row.number, f"{subject}/{name}")
        )

    onset, apex, offset = (frame_number(row[column]) for column in ("Onset Frame", "Apex Frame", "Offset Frame"))
    for column, value in (("Onset Frame", onset), ("Offset Frame", offset)):
        if value is None:
            note("error", f"{column}: expected a frame number, found {row[column]!r}")
    if apex is None:
        note("warning", f"Apex Frame: expected a frame number, found {row['Apex Frame']!r}; no apex taken")
    emotion = row["Estimated Emotion"]
    label = dataset.labels.get(emotion.casefold())
    if emotion.casefold() not in dataset.labels:
        note("error", f"Estimated Emotion: expected one of {', '.join(dataset.labels)}, found {emotion!r}")
    if label is not None and dataset.needs_apex and (apex is None or onset is None or apex <= onset):
        note("warning", f"no apex above the onset {row['Onset Frame']}: in none of the classes, as in MEGC2019")
        label = None
    units = parse_units(row["Action Units"])
    if units.left_out:
        note("warning", f"Action Units {row['Action Units']!r}: left out {', '.join(units.left_out)}")
    clip = SourceClip(dataset.name, subject, name, emotion, label, dataset.fps, None, units.units)
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


def _folded(key: tuple[str, str]) -> tuple[str, str]:
    return key[0].casefold(), key[1].casefold()
