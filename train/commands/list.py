"""`python -m train list`: what a dataset holds, before anything is made of it."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model.console import CleanConsole
from model.guards import shown
from train.commands.flags import (
    add_class_map_flags,
    add_filmed_fps,
    add_max_frames,
    read_class_map,
    read_coder,
    read_filmed_fps,
)
from train.commands.video_tables import print_videos, videos_report
from train.datasets.event_counts import EventCountCheck, check_counts
from train.datasets.labels import Check, canonical_lines, canonical_sha256, checks
from train.datasets.published_counts import CountCheck
from train.datasets.registry import DATASETS, LONG_DATASETS, read_dataset, read_videos
from train.datasets.source import DatasetError, Defect, FrameFolder, Reading, SourceClip, VideoReading

_NO_CLASS = "no class"

_EPILOG = """examples:
  python -m train list --dataset casme2 --root ~/CASME2
  python -m train list --dataset samm --root ~/SAMM --annotation ~/sheets/SAMM_Micro_FACS_Codes_v2.xlsx
  python -m train list --dataset composite --root ~/SMIC ~/CASME2 ~/SAMM --canonical | sha256sum
  python -m train list --dataset casme3 --root ~/CASME3 --max-frames 30

Sheets and clips are found by what they hold: give the folder an archive was unpacked to, or one above or below it.
smic, casme2 and samm come in the three classes of MEGC2019, and their lists are compared with the published one; of mmew, dfme,
4dme and smic-e the numbers of clips and subjects are. --label-map 4 or 7 takes other classes where the emotions allow it.
casme2-long, samm-long, casme3 (part A) and casme3-c (part C) are long videos: what happens in them, beside the published counts.
folder is for clips of your own, <root>/<class>/<subject>_<clip>.mp4 or folders of frames: see prepare --help.
Warnings are oddities that were dealt with; errors are clips or rows that cannot be used. --strict ends with exit code 2
when there are errors, or numbers that were mended."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "list",
        help="show what a dataset holds and what is odd about it",
        description="Show a dataset's clips by class and subject, compare them with the published list, and say what\n"
        "cannot be read or is odd.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", choices=DATASETS, required=True, help="whose layout and labels")
    parser.add_argument("--root", type=Path, nargs="+", required=True, metavar="DIR", help="folders it lies in")
    parser.add_argument(
        "--annotation",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="annotation sheets (found under the roots)",
    )
    parser.add_argument(
        "--layout",
        metavar="NAME",
        help="which copy of the pictures: raw or cropped, casme2 also raw_selected; casme: raw_selected, sections, cropped; "
        "casme2-long: rawpic, rawvideo, cropped; smic-e: the camera, hs, vis or nir (the fullest there is)",
    )
    add_filmed_fps(parser)
    add_max_frames(parser)
    parser.add_argument("--coder", metavar="NAME", help="sessions: the labels of this coder alone")
    add_class_map_flags(parser)
    parser.add_argument(
        "--strict", action="store_true", help="errors and mended numbers end the command with exit code 2"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--canonical", action="store_true", help="print a line a clip (dataset,subject,clip,class) and nothing else"
    )
    output.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    console = CleanConsole(stderr=True)
    if args.dataset in LONG_DATASETS and not args.canonical:
        reading, show = _read_videos(args, console)
    else:
        reading, show = _read_clips(args, console)
    show()
    refused = [defect for defect in reading.defects if defect.strict]
    if refused and args.strict:
        raise DatasetError(f"{args.dataset}: {strict_words(refused)}, listed above (--strict)")
    return 0


def strict_words(refused: Sequence[Defect]) -> str:
    """How many errors and mended numbers these are."""
    mended = sum(defect.mended for defect in refused)
    told = [_count(len(refused) - mended, "error")] if len(refused) > mended else []
    return " and ".join([*told, *([_count(mended, "mended number")] if mended else [])])


def _read_clips(args: argparse.Namespace, console: Console) -> tuple[Reading, Callable[[], None]]:
    """What was read, and what prints it."""
    with console.status(f"reading {args.dataset} ..."):
        fps, coder, class_map = read_filmed_fps(args), read_coder(args), read_class_map(args)
        reading = read_dataset(
            args.dataset, args.root, args.annotation, args.layout, fps, coder, class_map, args.max_frames
        )
    outcome = checks(reading)

    def show() -> None:
        if args.json:
            print(json.dumps(_report(reading, outcome), indent=2))
        elif args.canonical:
            sys.stdout.write("".join(f"{shown(line)}\n" for line in canonical_lines(reading.clips, reading.classes)))
            sys.stdout.flush()
            print_outcome(reading, outcome, console)
        else:
            _print_tables(reading, CleanConsole())
            print_outcome(reading, outcome, CleanConsole())

    return reading, show


def _read_videos(args: argparse.Namespace, console: Console) -> tuple[VideoReading, Callable[[], None]]:
    """What was read, and what prints it. The counts are those before anything is left out."""
    from train.datasets.long_videos import without_longer  # loads openpyxl

    with console.status(f"reading {args.dataset} ..."):
        read_filmed_fps(args)
        read_coder(args)
        full = read_videos(args.dataset, args.root, args.annotation, args.layout, read_class_map(args))
        check = check_counts(full)
        reading = full if args.max_frames is None else without_longer(full, args.max_frames)

    def show() -> None:
        if args.json:
            print(json.dumps(videos_report(reading, check), indent=2))
        else:
            print_videos(reading, CleanConsole())
            print_outcome(reading, [check] if check is not None else [], CleanConsole())

    return reading, show


def print_outcome(
    reading: Reading | VideoReading, outcome: Sequence[Check | CountCheck | EventCountCheck], console: Console
) -> None:
    """The class map, the notes, the comparison with what is published, then every warning and error, a line each."""

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    for sheet in reading.sheets:
        say(f"annotation: {sheet}")
    if reading.class_map:
        say(f"class map: {reading.class_map}")
    for note in reading.notes:
        say(note)
    for check in outcome:
        say(str(check), "green" if check.matches else "yellow")
    for severity, style in (("warning", "yellow"), ("error", "red")):
        defects = [defect for defect in reading.defects if defect.severity == severity]
        if defects:
            folder = Path(os.path.commonpath([defect.file.absolute().parent for defect in defects]))
            say(f"{_count(len(defects), severity)} in {folder}:", style)
            for defect in defects:
                say(f"  {replace(defect, file=defect.file.absolute().relative_to(folder))}")


def _print_tables(reading: Reading, console: Console) -> None:
    unused = any(clip.label is None for clip in reading.clips)
    columns = (*reading.classes, _NO_CLASS) if unused else reading.classes
    people: dict[tuple[str, str], Counter[str]] = {}
    for clip in reading.clips:
        people.setdefault((clip.dataset, clip.subject), Counter())[clip.label or _NO_CLASS] += 1
    total = Counter(clip.label or _NO_CLASS for clip in reading.clips)
    with_frames = sum(clip.pictures is not None for clip in reading.clips)
    title = (
        f"{escape(reading.dataset)}: {_count(len(reading.clips), 'clip')} of {_count(len(people), 'subject')}, "
        f"{with_frames} with frames"
    )
    table = Table(title=title, show_footer=True)
    table.add_column("subject", footer="all")
    for name in columns:
        table.add_column(escape(name), justify="right", footer=str(total[name]))
    table.add_column("clips", justify="right", footer=str(len(reading.clips)))
    rates = Counter(clip.fps for clip in reading.clips)
    if len(rates) > 1:
        told = ", ".join(f"{fps:g} ({_count(number, 'clip')})" for fps, number in sorted(rates.items()))
        table.caption = f"frames a second: {told}"
    several = len({dataset for dataset, _ in people}) > 1
    for (dataset, subject), counts in people.items():
        name = f"{dataset}/{subject}" if several else subject
        table.add_row(escape(name), *(str(counts[column] or "·") for column in columns), str(counts.total()))
    console.print(table)
    emotions = Counter(
        (f"{clip.dataset}: {clip.emotion}" if several else clip.emotion, clip.label or _NO_CLASS)
        for clip in reading.clips
    )
    if any(clip.emotion != clip.label for clip in reading.clips):
        classes = Table("annotated as", "class", title="Classes")
        classes.add_column("clips", justify="right")
        for (emotion, label), number in sorted(
            emotions.items(), key=lambda item: (columns.index(item[0][1]), -item[1])
        ):
            classes.add_row(escape(emotion) or "(empty)", escape(label), str(number))
        console.print(classes)


def _report(reading: Reading, outcome: Sequence[Check | CountCheck]) -> dict[str, Any]:
    people: dict[str, Counter[str]] = {}
    for clip in reading.labelled():
        people.setdefault(f"{clip.dataset}/{clip.subject}", Counter())[str(clip.label)] += 1
    return {
        "dataset": reading.dataset,
        "classes": list(reading.classes),
        "class_map": reading.class_map,
        "n": len(reading.labelled()),
        "per_class": {name: sum(counts[name] for counts in people.values()) for name in reading.classes},
        "subjects": {name: {label: counts[label] for label in reading.classes} for name, counts in people.items()},
        "sha256": canonical_sha256(canonical_lines(reading.clips, reading.classes)),
        "checks": [check.to_dict() for check in outcome],
        "sheets": [str(path) for path in reading.sheets],
        "notes": list(reading.notes),
        "clips": [_clip(clip) for clip in reading.clips],
        "errors": [_defect(defect) for defect in reading.defects if defect.severity == "error"],
        "warnings": [_defect(defect) for defect in reading.defects if defect.severity == "warning"],
    }


def _clip(clip: SourceClip) -> dict[str, Any]:
    names = (
        "id",
        "dataset",
        "subject",
        "clip",
        "emotion",
        "label",
        "fps",
        "onset",
        "apex",
        "offset",
        "cropped",
        "part",
    )
    return {
        **{name: getattr(clip, name) for name in names},
        "action_units": list(clip.action_units),
        "path": str(clip.pictures.path) if clip.pictures is not None else None,
        "frames": len(clip.pictures.files) if isinstance(clip.pictures, FrameFolder) else None,
    }


def _defect(defect: Defect) -> dict[str, Any]:
    return {"file": str(defect.file), "row": defect.row, "clip": defect.clip, "reason": defect.reason}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
