"""What `list` shows of long videos: tables by subject and by emotion, or everything for scripts."""

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from train.datasets.event_counts import EventCountCheck
from train.datasets.source import AnnotatedEvent, Defect, FrameFolder, SourceVideo, VideoReading

_KINDS = ("macro", "micro")


def print_videos(reading: VideoReading, console: Console) -> None:
    """Videos, frames and events by subject, and which emotion is which class."""
    people = _people(reading)
    there = sum(video.pictures is not None for video in reading.videos)
    title = (
        f"{escape(reading.dataset)}: {_count(len(reading.videos), 'video')} of {_count(len(people), 'subject')}, "
        f"{there} with pictures"
    )
    table = Table(title=title, show_footer=True)
    table.add_column("subject", footer="all")
    totals = _numbers(reading.videos)
    for heading, total in zip(("videos", "without events", "pictures", *_KINDS), totals, strict=True):
        table.add_column(heading, justify="right", footer=str(total))
    for subject, videos in people.items():
        table.add_row(escape(subject), *(str(number or "·") for number in _numbers(videos)))
    console.print(table)
    emotions = Counter((event.emotion, event.label, event.kind) for video in reading.videos for event in video.events)
    if emotions:
        classes = Table("annotated as", "class", title="Classes")
        for kind in _KINDS:
            classes.add_column(kind, justify="right")
        order = (*reading.classes, None)
        for emotion, label in sorted({key[:2] for key in emotions}, key=lambda key: (order.index(key[1]), key[0])):
            counts = (str(emotions[emotion, label, kind] or "·") for kind in _KINDS)
            classes.add_row(escape(emotion) or "(empty)", escape(label or "no class"), *counts)
        console.print(classes)


def videos_report(reading: VideoReading, check: EventCountCheck | None) -> dict[str, Any]:
    """Everything for scripts."""
    events = [event for video in reading.videos for event in video.events]
    return {
        "dataset": reading.dataset,
        "classes": list(reading.classes),
        "class_map": reading.class_map,
        "n": {kind: sum(event.kind == kind for event in events) for kind in _KINDS},
        "per_class": {
            kind: {name: sum((e.kind, e.label) == (kind, name) for e in events) for name in reading.classes}
            for kind in _KINDS
        },
        "subjects": {
            subject: dict(zip(("videos", "without_events", "pictures", *_KINDS), _numbers(videos), strict=True))
            for subject, videos in _people(reading).items()
        },
        "checks": [check.to_dict()] if check is not None else [],
        "sheets": [str(path) for path in reading.sheets],
        "notes": list(reading.notes),
        "videos": [_video(video) for video in reading.videos],
        "errors": [_defect(defect) for defect in reading.defects if defect.severity == "error"],
        "warnings": [_defect(defect) for defect in reading.defects if defect.severity == "warning"],
    }


def _people(reading: VideoReading) -> dict[str, list[SourceVideo]]:
    people: dict[str, list[SourceVideo]] = {}
    for video in reading.videos:
        people.setdefault(video.subject, []).append(video)
    return people


def _numbers(videos: list[SourceVideo] | tuple[SourceVideo, ...]) -> tuple[int, ...]:
    """Videos, those without events, pictures, events of each kind."""
    kinds = Counter(event.kind for video in videos for event in video.events)
    pictures = sum(len(video.pictures.files) for video in videos if isinstance(video.pictures, FrameFolder))
    return len(videos), sum(not video.events for video in videos), pictures, *(kinds[kind] for kind in _KINDS)


def _video(video: SourceVideo) -> dict[str, Any]:
    numbers = [number for number, _ in video.pictures.files] if isinstance(video.pictures, FrameFolder) else []
    path: Path | None = video.pictures.path if video.pictures is not None else None
    return {
        "id": video.id,
        "subject": video.subject,
        "video": video.video,
        "fps": video.fps,
        "path": str(path) if path is not None else None,
        "frames": len(numbers) or None,
        "first": numbers[0] if numbers else None,
        "last": numbers[-1] if numbers else None,
        "cropped": video.cropped,
        "events": [_event(event) for event in video.events],
    }


def _event(event: AnnotatedEvent) -> dict[str, Any]:
    names = ("kind", "onset", "apex", "offset", "emotion", "label", "row")
    return {**{name: getattr(event, name) for name in names}, "action_units": list(event.action_units)}


def _defect(defect: Defect) -> dict[str, Any]:
    return {
        "file": str(defect.file),
        "row": defect.row,
        "video": defect.clip,
        "reason": defect.reason,
        "mended": defect.mended,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
