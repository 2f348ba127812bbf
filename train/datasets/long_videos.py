"""What the readers of long videos share: rows of a sheet, joined with the videos on the disk.

A number that is not what is written is told as mended. Every video on the disk is in the reading, with events or without:
a video in which nothing happens is one in which nothing may be found.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from model.types import EventKind
from train.datasets.au_codes import parse_units
from train.datasets.class_maps import ClassMap, emotions_in, unknown_emotions
from train.datasets.frames import VIDEOS, FoundClip, Tree, choose, frames_of
from train.datasets.source import (
    AnnotatedEvent,
    Defect,
    FrameFolder,
    Reading,
    Severity,
    SourceClip,
    SourceVideo,
    VideoFile,
    VideoReading,
)

Key = tuple[str, str]
"""Subject and video."""

# After a comma no three digits: that can be a thousand.
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{0,20}|,[0-9]{0,2})?")
_NOT_ANNOTATED = -1
_MOST_LISTED = 3


@dataclass(frozen=True)
class LongDataset:
    """`first`: the number of every video's first frame, None where the camera's own numbers are kept. `offset_from_apex`: an
    offset of 0 stands for one that nobody entered, which the apex tells."""

    name: str
    title: str
    fps: float
    layouts: tuple[str, ...]
    first: int | None
    offset_from_apex: bool = False


@dataclass(frozen=True)
class CodedRow:
    """A row of a sheet, as it is written: `number` as a spreadsheet counts, `apex` "" where the sheet has none."""

    number: int
    key: Key
    kind: EventKind
    onset: str
    apex: str
    offset: str
    emotion: str = ""
    units: str = ""


@dataclass(frozen=True)
class Coding:
    """All rows of a sheet that name a video and a kind."""

    path: Path
    rows: tuple[CodedRow, ...]


@dataclass
class _Told:
    """Collects what is wrong with the rows of one sheet."""

    path: Path
    defects: list[Defect]

    def say(self, severity: Severity, reason: str, row: CodedRow, mended: bool = False) -> None:
        self.defects.append(Defect(severity, self.path, reason, row.number, "/".join(row.key), mended))

    def once(self, rows: Sequence[CodedRow], reason: str) -> None:
        """One warning, in the first of these rows, for something that many rows have."""
        if rows:
            many = f" (in {len(rows)} rows, this the first)" if len(rows) > 1 else ""
            self.say("warning", reason + many, rows[0])


def join(
    dataset: LongDataset,
    tree: Tree,
    found: Sequence[FoundClip],
    coding: Coding,
    layout: str | None,
    class_map: ClassMap,
    published: Mapping[str, str | None] | None = None,
) -> VideoReading:
    """The videos of one layout with their events, in the order of their keys.

    `published`: a dataset's published three classes, as in `ClassMap.label`. Raises DatasetError for a layout that is not
    there.
    """
    chosen, places, defects = choose(found, dataset.layouts, layout, tree, "videos")
    defects += tree.defects
    told = _Told(coding.path, [])
    rows: dict[Key, list[CodedRow]] = defaultdict(list)
    for row in coding.rows:
        rows[row.key].append(row)
    videos: list[SourceVideo] = []
    gaps: Counter[Key] = Counter()
    overlapping: list[CodedRow] = []
    unclear: dict[str, list[CodedRow]] = defaultdict(list)
    for key in sorted(places.keys() | rows.keys()):
        pictures, place = None, places.get(key)
        if place is not None:
            pictures, problems = _pictures(place, key, dataset)
            defects += problems
        elif places:
            told.say("error", "no folder of pictures for this video", rows[key][0])
        if isinstance(pictures, FrameFolder):
            lacking = pictures.files[-1][0] - pictures.files[0][0] + 1 - len(pictures.files)
            gaps.update({key: lacking} if lacking else {})
        timed = [(row, event) for row in rows[key] if (event := _timed(dataset, row, pictures, told)) is not None]
        events: list[tuple[AnnotatedEvent, CodedRow]] = []
        for row, event in sorted(timed, key=lambda pair: (pair[1].onset, pair[1].offset, pair[0].number)):
            same = next(
                (e for e, _ in events if (e.kind, e.onset, e.offset) == (event.kind, event.onset, event.offset)), None
            )
            if same is not None:
                told.say("error", f"the same event as in row {same.row}; that row is used", row)
                continue
            if events and event.onset <= max(e.offset for e, _ in events):
                overlapping.append(row)
            events.append((_classed(row, event, class_map, published, told, unclear), row))
        cropped = chosen == "cropped" and pictures is not None
        videos.append(
            SourceVideo(dataset.name, *key, dataset.fps, pictures, tuple(event for event, _ in events), cropped)
        )
    told.once(overlapping, "overlaps an event before it in the video: both are kept")
    for emotion, which in unclear.items():
        told.once(which, f"emotion {emotion!r} is none that is known: in none of the classes")
    if not places:
        count = len(videos)
        reason = f"no pictures of any of the {count} videos of {dataset.title} here: names and events only"
        defects.append(Defect("error", tree.roots[0], reason))
    defects += _gaps(gaps, tree.roots[0])
    return VideoReading(
        dataset.name,
        class_map.class_names,
        tuple(videos),
        (*told.defects, *defects),
        (coding.path,),
        class_map.in_words(published),
    )


def as_clips(reading: VideoReading) -> Reading:
    """Every micro-expression as a clip for recognition, cut from onset to offset; its name is video_onset."""
    clips: dict[str, SourceClip] = {}
    for video in reading.videos:
        for event in video.events:
            if event.kind != "micro":
                continue
            name = f"{video.video}_{event.onset}"
            clip = SourceClip(
                video.dataset, video.subject, name, event.emotion, event.label, video.fps, _cut(video.pictures, event),
                event.action_units, event.onset, event.apex, event.offset, video.cropped,
            )  # fmt: skip
            if clip.id in clips:
                clip = replace(clip, clip=f"{name}_{event.offset}")
            clips[clip.id] = clip
    found = tuple(clips.values())
    return Reading(
        reading.dataset, reading.classes, found, reading.defects, reading.sheets, reading.class_map, reading.notes
    )


def without_longer(reading: VideoReading, max_frames: int) -> VideoReading:
    """Without the micro-expressions of more than `max_frames` frames, which is stated in the notes."""
    before = _micro(reading.videos)
    videos = tuple(
        replace(video, events=tuple(e for e in video.events if e.kind != "micro" or frames_in(e) <= max_frames))
        for video in reading.videos
    )
    note = (
        f"micro-expressions of more than {max_frames} frames are left out: {before - _micro(videos)} of {before} "
        f"(--max-frames {max_frames})"
    )
    return replace(reading, videos=videos, notes=(*reading.notes, note))


def frames_in(event: AnnotatedEvent) -> int:
    """How many frames it is long, both ends included."""
    return event.offset - event.onset + 1


def event_kind(text: str) -> EventKind | None:
    """Of a cell such as "macro-expression", "Macro" or "Micro - 1/2"."""
    word = re.match(r"(macro|micro)(?![a-z])", text.strip().casefold())
    if word is None:
        return None
    return "macro" if word[1] == "macro" else "micro"


def told_in_another_folder(place: FoundClip, said: str, named: str) -> Defect:
    """The warning about a copy of another subject's video."""
    reason = f"lies under {said}, its name says {named}: the name counts"
    return Defect("warning", place.folder.path, reason, clip="/".join(place.key))


def _micro(videos: Sequence[SourceVideo]) -> int:
    return sum(event.kind == "micro" for video in videos for event in video.events)


def _pictures(place: FoundClip, key: Key, dataset: LongDataset) -> tuple[FrameFolder | VideoFile | None, list[Defect]]:
    path = place.folder.path
    if path.suffix.casefold() in VIDEOS and place.folder.names == (path.name,):
        return VideoFile(path, dataset.first or 0), []
    return frames_of(place.folder, "/".join(key))


def _timed(
    dataset: LongDataset, row: CodedRow, pictures: FrameFolder | VideoFile | None, told: _Told
) -> AnnotatedEvent | None:
    """The event of a row in frames that are there; None, with an error, where that cannot be."""
    onset, offset, apex = (
        _number(name, text, row, told)
        for name, text in (("onset", row.onset), ("offset", row.offset), ("apex", row.apex))
    )
    if apex == _NOT_ANNOTATED:
        apex = None
    if dataset.offset_from_apex and offset == 0 and apex and onset is not None and apex > onset:
        offset = 2 * apex - onset
        told.say("warning", f"offset 0: as far after the apex as the onset is before it, {offset}", row, mended=True)
    if onset is None or offset is None or onset < 0 or offset < onset:
        found = f"{row.onset!r} and {row.offset!r}"
        told.say("error", f"expected frame numbers, the onset not after the offset, found {found}", row)
        return None
    first, last = _bounds(dataset, pictures)
    if onset > last or offset < first:
        told.say("error", f"{onset} to {offset} lies outside the video, {first} to {last}", row)
        return None
    if onset < first:
        told.say("warning", f"onset {onset}: already under way when the video begins; {first} taken", row, mended=True)
        onset = first
    if offset > last:
        told.say("warning", f"offset {offset} lies past the end of the video; {last:g} taken", row, mended=True)
        offset = int(last)
    if isinstance(pictures, FrameFolder) and not any(onset <= number <= offset for number, _ in pictures.files):
        told.say("error", f"no picture from onset {onset} to offset {offset} in {pictures.path}", row)
        return None
    if apex is not None and not onset <= apex <= offset:
        told.say("warning", f"apex {apex} outside {onset} to {offset}: no apex taken", row)
        apex = None
    elif apex is not None and apex in (onset, offset) and onset < offset:
        told.say("warning", f"apex {apex} equals the {'onset' if apex == onset else 'offset'}", row)
    return AnnotatedEvent(row.kind, onset, offset, apex, row=row.number)


def _number(name: str, text: str, row: CodedRow, told: _Told) -> int | None:
    """A frame number, rounded half up where it is none; None where there is none."""
    if not text and name == "apex":
        return None
    if not _NUMBER.fullmatch(text):
        if name == "apex":
            told.say("warning", f"apex: expected a frame number, found {text!r}; no apex taken", row)
        return None
    exact = Decimal(text.replace(",", ".").rstrip("."))
    whole = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    if whole != exact:
        told.say("warning", f"{name} {text}: a part of a frame; {whole} taken", row, mended=True)
    return whole


def _bounds(dataset: LongDataset, pictures: FrameFolder | VideoFile | None) -> tuple[int, float]:
    if isinstance(pictures, FrameFolder):
        return pictures.files[0][0], pictures.files[-1][0]
    return (pictures.first if pictures is not None else dataset.first or 0), float("inf")


def _classed(
    row: CodedRow,
    event: AnnotatedEvent,
    class_map: ClassMap,
    published: Mapping[str, str | None] | None,
    told: _Told,
    unclear: dict[str, list[CodedRow]],
) -> AnnotatedEvent:
    units = parse_units(row.units)
    if units.left_out:
        told.say("warning", f"action units {row.units!r}: left out {', '.join(units.left_out)}", row)
    for emotion in unknown_emotions(emotions_in(row.emotion)):
        unclear[emotion].append(row)
    label = class_map.label(row.emotion, units.units, published)
    return replace(event, emotion=row.emotion, label=label, action_units=units.units)


def _cut(pictures: FrameFolder | VideoFile | None, event: AnnotatedEvent) -> FrameFolder | VideoFile | None:
    if not isinstance(pictures, FrameFolder):
        return pictures
    inside = tuple(entry for entry in pictures.files if event.onset <= entry[0] <= event.offset)
    return FrameFolder(pictures.path, inside)


def _gaps(gaps: Counter[Key], root: Path) -> list[Defect]:
    """One warning about all the frame numbers that are not there."""
    most = ", ".join(f"{'/'.join(key)} {count}" for key, count in gaps.most_common(_MOST_LISTED))
    reason = (
        f"{gaps.total()} frame numbers are missing in {len(gaps)} videos (most: {most}); frames are found by number"
    )
    return [Defect("warning", root, reason)] if gaps else []
