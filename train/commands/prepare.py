"""`python -m train prepare`: a dataset's clips as aligned crops in a clip store."""

import argparse
import hashlib
import json
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.atomic import regular_file
from model.console import CleanConsole
from model.contract import CropGeometry
from train.clips.samples import resolve_people
from train.clips.store import ClipStore, StoreManifest, require_writable
from train.commands.flags import (
    add_class_map_flags,
    add_filmed_fps,
    add_max_frames,
    read_class_map,
    read_coder,
    read_filmed_fps,
)
from train.commands.list import print_outcome, strict_words
from train.datasets import synthetic
from train.datasets.labels import checks
from train.datasets.registry import DATASETS, LONG_DATASETS, OF_ONES_OWN, read_dataset, require_mappable
from train.datasets.source import Defect, Reading, SourceClip
from train.errors import UsageError
from train.prepare.crops import MAX_END_GAP_SHARE, MAX_LOST_SHARE, MAX_MISSING_SHARE
from train.prepare.overview import count, print_remarks, print_report, summary, write_preview
from train.prepare.prepare import PieceFolder, assemble, library_versions, prepare_clips
from train.prepare.recorded_clip import PrepareSettings
from train.progress import clip_progress

_GREY_DATASETS = ("samm", "samm-long", "composite", "4dme")
TIME_AXIS = (
    "stretched: the window's frames lie at equal steps from onset to offset, whatever time that took (duration_ms in a "
    "clip's notes); fps is nominal"
)
AS_RECORDED = "as the camera saw it, brought to the window's fps; the apex is in the middle of the window"
LEAD = "the onset's crop repeated, so that a causal reference is that crop when the window begins"

_EPILOG = """examples:
  python -m train prepare --dataset casme2 --root CASME2 --out data/casme2 --preview
  python -m train prepare --dataset composite --root SMIC CASME2 SAMM --out data/composite
  python -m train prepare --dataset dfme --root DFME --label-map 7 --out data/dfme7
  python -m train prepare --dataset folder --root clips --annotation clips.csv --out data/mine
  python -m train prepare --dataset sessions --root sessions --out data/ours
  python -m train prepare --dataset synthetic --root data/synth --classes negative,positive,surprise --out data/cut

Each clip is aligned once, as live: Face Mesh places its onset frame, later frames are tied to it by motion. Frames are
taken at equal steps of the frame number from onset to offset. The folder layout is <root>/<class>/<subject>_<clip>.mp4
(.avi, .mov) or a folder of frames by that name. Its --annotation is a .csv or .xlsx with the columns file and subject
(where names do not tell the subject), or file, onset, offset and, if wanted, apex and fps, or all of them; videos' frames
count from 0; clips without onset and offset are taken whole.
sessions are reviewed ones (microlive --review) that were recorded with --record-source, each root a session or a folder of them:
what coders accepted is of its class, what they rejected is neutral, in the camera's own time. anna-1 and anna-2 are of anna; or an
--annotation with the columns session and subject says who it is. Without --coder most of those who decided must agree.

A stopped run goes on where it was when the same command is given again. Exit status: 0 (skipped clips are listed), 1 when
something failed, 2 when nothing can be used, or, with --strict, when anything could not."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "prepare",
        help="turn a dataset into aligned crops",
        description="Turn a dataset's clips into aligned face crops, ready for training.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = PrepareSettings()
    add = parser.add_argument
    add("--dataset", required=True, choices=(*DATASETS, "synthetic"))
    add(
        "--root",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="where the dataset lies; several for composite",
    )
    add(
        "--annotation",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="annotation sheets (default: found under the roots)",
    )
    add("--coder", metavar="NAME", help="sessions: the labels of this coder alone (default: what most agree on)")
    add("--name", metavar="NAME", help="folder: the dataset's name, in front of its subjects (default: the root's)")
    add_filmed_fps(parser)
    add(
        "--layout",
        metavar="NAME",
        help="which of several copies or cameras to read, as in `list` (default: the fullest)",
    )
    add_class_map_flags(parser)
    add_max_frames(parser)
    add("--out", type=Path, required=True, metavar="DIR", help="the clip store to write")
    add(
        "--frames",
        type=int,
        default=defaults.frames,
        metavar="N",
        help="frames from onset to offset (default %(default)s)",
    )
    add(
        "--size-px",
        type=int,
        default=defaults.geometry.size_px,
        metavar="N",
        help="side of the crops (default %(default)s)",
    )
    add("--colour", choices=("grey", "rgb"), default=defaults.colour, help="default %(default)s")
    add(
        "--lead-frames",
        type=int,
        default=defaults.lead_frames,
        metavar="N",
        help="copies of the onset before the window, for the neutral reference to settle (default %(default)s, 2 s)",
    )
    add(
        "--classes",
        type=_names,
        default=(),
        metavar="A,B",
        help="only these of the classes, in the order of their index (default: all)",
    )
    add("--people", type=_names, default=(), metavar="A,B", help="only these subjects (default: all)")
    add("--limit-per-person", type=int, metavar="N", help="at most so many clips of each, the classes in turn")
    add(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N",
        help="processes (default: all cores, here %(default)s)",
    )  # fmt: skip
    add("--strict", action="store_true", help="write nothing and exit with 2 when anything cannot be read")
    add("--overwrite", action="store_true", help="replace the store if it is there")
    add("--preview", action="store_true", help="also write preview.png: onset, apex, offset for each person and class")
    add("--json", action="store_true", help="the summary as JSON on standard output")
    parser.set_defaults(run=run, replaces=True)
    return parser


def run(args: argparse.Namespace) -> int:
    """Exit status; raises UsageError, DatasetError, StoreError or TrainError."""
    console = CleanConsole(stderr=True)
    settings = _settings(args)
    require_writable(args.out, args.overwrite)
    with console.status(f"reading {args.dataset} ..."):
        reading = _read(args)
    print_outcome(reading, checks(reading), console)
    refused = [defect for defect in reading.defects if defect.strict]
    if args.strict and refused:
        raise UsageError(f"{reading.dataset}: {strict_words(refused)}, listed above (--strict)")
    clips = _chosen(reading, args)
    manifest = _manifest(args, settings, reading)
    pieces = PieceFolder(args.out)
    try:
        with clip_progress(console, "clips", len(clips)) as advance:
            done = prepare_clips(clips, settings, pieces, args.jobs, advance)
    except KeyboardInterrupt:
        console.print("stopped; finished clips are kept: give the same command again to go on", highlight=False)
        return 130
    print_remarks("skipped", done.skipped, "red", console)
    if not done.keys:
        raise UsageError(f"{args.out}: none of {count(len(clips), 'clip')} can be used, see above; nothing is written")
    if args.strict and done.skipped:
        raise UsageError(
            f"{reading.dataset}: {count(len(done.skipped), 'clip')} skipped, listed above (--strict); the other "
            f"{len(done.keys)} are kept in {pieces.path}, from which the same command without --strict makes the store"
        )
    left_out = {**manifest.left_out, **{remark.clip: remark.text for remark in done.skipped}}
    remarks = assemble(done.keys, settings, replace(manifest, left_out=left_out), pieces)
    print_remarks("odd, but used", remarks, "yellow", console)
    store = ClipStore.open(args.out)
    preview = write_preview(store) if args.preview else None
    if args.json:
        print(json.dumps(summary(store, reading, done, remarks, preview), indent=2))
    else:
        print_report(store, done, preview, CleanConsole())
    return 0


def _settings(args: argparse.Namespace) -> PrepareSettings:
    if args.jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more, found {args.jobs}")
    if args.colour == "rgb" and args.dataset in _GREY_DATASETS:
        raise UsageError(
            f"--colour rgb: {args.dataset} has clips that are grey, and colour would tell the dataset and with it "
            "much of the class; leave it at grey"
        )
    full = CropGeometry()
    scale = args.size_px / full.size_px
    try:
        geometry = CropGeometry(args.size_px, full.iod_px * scale, full.eye_line_px * scale)
        return PrepareSettings(args.frames, args.lead_frames, geometry=geometry, colour=args.colour)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _read(args: argparse.Namespace) -> Reading:
    filmed_fps, class_map = read_filmed_fps(args), read_class_map(args)
    require_mappable(args.dataset, class_map)
    if args.max_frames is not None and args.dataset not in LONG_DATASETS:
        raise UsageError(f"--max-frames: {args.dataset} has no long videos; it is for {', '.join(LONG_DATASETS)}")
    if args.dataset == "synthetic":
        if args.annotation:
            raise UsageError("--annotation: a clip store has its own records; leave it out")
        return synthetic.read(args.root, args.classes)
    if args.dataset != "folder":
        coder = read_coder(args)
        return read_dataset(
            args.dataset,
            args.root,
            args.annotation,
            args.layout,
            coder=coder,
            class_map=class_map,
            max_frames=args.max_frames,
        )
    if len(args.root) > 1 or len(args.annotation) > 2:
        raise UsageError(
            f"folder: expected one --root and at most two --annotation, found {len(args.root)} and {len(args.annotation)}"
        )
    from train.datasets import folder  # loads openpyxl

    for path in (*args.root, *args.annotation):
        if not path.exists():
            raise UsageError(f"{path}: expected it to be there, found nothing")
    return folder.read(args.root[0], *args.annotation, dataset=args.name, filmed_fps=filmed_fps)


def _chosen(reading: Reading, args: argparse.Namespace) -> list[SourceClip]:
    """The clips that are wanted and have a class, in the order of their keys."""
    unknown = [name for name in args.classes if name not in reading.classes]
    if unknown:
        raise UsageError(f"--classes: expected some of {', '.join(reading.classes)}, found {', '.join(unknown)}")
    classes = args.classes or reading.classes
    clips = [clip for clip in reading.clips if clip.label in classes]
    people = resolve_people(args.people, [_person(clip) for clip in clips], "--people")
    clips = [clip for clip in clips if not people or _person(clip) in people]
    if args.limit_per_person is not None:
        if args.limit_per_person < 1:
            raise UsageError(f"--limit-per-person: expected 1 or more, found {args.limit_per_person}")
        clips = _limited(clips, args.limit_per_person)
    if not clips:
        raise UsageError(f"{reading.dataset}: {count(len(reading.clips), 'clip')} read, none of a class to prepare")
    return clips


def _limited(clips: Sequence[SourceClip], limit: int) -> list[SourceClip]:
    """The first clips of everybody, the classes in turn."""
    turns: Counter[tuple[str, str | None]] = Counter()
    ranked: dict[str, list[tuple[int, SourceClip]]] = {}
    for clip in clips:
        turn = turns[_person(clip), clip.label]
        turns[_person(clip), clip.label] += 1
        ranked.setdefault(_person(clip), []).append((turn, clip))
    kept = {
        clip.id for mine in ranked.values() for _, clip in sorted(mine, key=lambda ranked_clip: ranked_clip[0])[:limit]
    }
    return [clip for clip in clips if clip.id in kept]


def _person(clip: SourceClip) -> str:
    return f"{clip.dataset}/{clip.subject}"


def _manifest(args: argparse.Namespace, settings: PrepareSettings, reading: Reading) -> StoreManifest:
    """What the store says of itself, the clips that are skipped on the way apart."""
    told = {
        "source": args.dataset,
        "time_axis": AS_RECORDED if args.dataset == "sessions" else TIME_AXIS,
        "lead": AS_RECORDED if args.dataset == "sessions" else LEAD,
        "limits": {
            "missing_share": MAX_MISSING_SHARE,
            "end_gap_share": MAX_END_GAP_SHARE,
            "lost_share": MAX_LOST_SHARE,
        },
        "annotations": {
            path.name: hashlib.sha256(regular_file(path).read_bytes()).hexdigest() for path in reading.sheets
        },
        "libraries": library_versions(),
    }
    if args.dataset not in OF_ONES_OWN:
        told["class_map"] = {
            **read_class_map(args).to_dict(),
            "in_words": "; ".join((reading.class_map, *reading.notes)),
        }
    return StoreManifest(
        class_names=args.classes or reading.classes,
        fps=settings.fps,
        crop=settings.geometry,
        colour=settings.colour,
        frames=settings.lead_frames + settings.frames,
        lead_frames=settings.lead_frames,
        settings=told,
        left_out={_place(defect): defect.reason for defect in reading.defects if defect.severity == "error"},
        command=shlex.join(["python", "-m", "train", *args.argv]),
    )


def _place(defect: Defect) -> str:
    """Which clip or row, without the folders above it."""
    row = f", row {defect.row}" if defect.row is not None else ""
    return f"{defect.file.name}{row}{f' ({defect.clip})' if defect.clip else ''}"


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"expected different names separated by commas, found {text!r}")
    return names
