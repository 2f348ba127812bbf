"""`python -m train spot-score`: long videos of real datasets, scored as the field scores them."""

import argparse
import shlex
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from model.console import CleanConsole
from train.challenge.least_probability import Choose
from train.challenge.rules import RULES
from train.challenge.score_tables import caveats, tables
from train.challenge.spot_folder import SpotDir
from train.challenge.spot_score import SpotSettings, spot_score
from train.commands.flags import add_class_map_flags, add_max_frames, read_class_map, require_places, write_json
from train.datasets.registry import VIDEO_DATASETS, read_videos
from train.datasets.source import Defect, VideoReading
from train.errors import UsageError

_SHOWN_DEFECTS = 20

_EPILOG = """examples:
  python -m train spot-score --dataset casme2-long --root CASME_sq --out runs/sq
      every video at its own rate through the live program; F1 for micro, macro and both, STRS, errors in time, false
      events a minute, by subject, chance and published figures beside it
  python -m train spot-score --dataset samm-long --root SAMM_LV --subjects 006,007 --limit-videos 3 --out runs/try
      a few videos first: every result says that it is not the whole dataset
  python -m train spot-score --dataset casme2-long --root CASME_sq --choose loso --out runs/sq
      scored anew, nothing is watched again: the least probability that counts is chosen for each subject on all others
  python -m train spot-score --dataset casme3 --root CASME3 --max-frames 15 --ray local --jobs 8 --out runs/cas3
      on Ray, here on this machine alone; --ray HOST:6379 uses a cluster
  python -m train spot-score --dataset samm-long --root SAMM_LV --predictions theirs.csv --out runs/theirs
      anybody's found events, scored alike; no model runs

A found event is a hit when it overlaps a true one of its kind by one half (intersection over union, frames counted
inclusively), one to one; hits, false events and misses are pooled over all videos, those without any event included.
--rules counts as some published code does, which is looser: the result says how, and what that hides.

The least probability that counts is the model's own unless you say otherwise: fixed in advance, nothing is chosen on the
videos that are scored. Do not try several --min-probability and report the best: --choose loso is for that.

A killed run goes on when the same command is given again; the videos in hand are lost, no others. What is found is the
same whatever --jobs and --ray, since every video is watched by one thread on the processor. On a Ray cluster pictures
and model must lie under the same paths on every node. In the run's folder: settings.json, videos.jsonl (what was true
and what was found in each, in the dataset's frame numbers), scores.json, and the found events in the formats of the
challenge servers, predictions-megc2021.csv and predictions-megc2023.csv.
python -m train report RUN makes a page of it."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "spot-score",
        help="score the live program, or anybody's events, on long videos of real datasets",
        description="Long videos of real datasets through the live program, or anybody's found events, scored as the\n"
        "Micro-Expression Grand Challenges score them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = parser.add_argument_group("data")
    data.add_argument("--dataset", choices=VIDEO_DATASETS, required=True, help="whose layout and sheets")
    data.add_argument("--root", type=Path, nargs="+", required=True, metavar="DIR", help="folders it lies in")
    data.add_argument(
        "--annotation", type=Path, nargs="+", default=[], metavar="FILE", help="sheets (found under the roots)"
    )
    data.add_argument("--layout", metavar="NAME", help="which copy of the pictures to read (the fullest there is)")
    data.add_argument("--subjects", type=_names, default=(), metavar="A,B", help="only these, for trying (all)")
    data.add_argument("--limit-videos", type=int, metavar="N", help="only the first N of them, for trying (all)")
    add_max_frames(parser)
    data.add_argument("--strict", action="store_true", help="end with exit code 2 when anything in the dataset is odd")
    add_class_map_flags(parser)
    found = parser.add_argument_group("what is found")
    found.add_argument("--model", type=Path, metavar="ONNX", help="exported model (the bundled one)")
    found.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="found events instead: CSV as for MEGC 2021 or 2023, or with seconds; no model runs",
    )
    found.add_argument(
        "--choose",
        choices=get_args(Choose),
        default="fixed",
        help="the least probability that counts: fixed in advance, or chosen for each subject on all others (%(default)s)",
    )
    found.add_argument(
        "--min-probability", type=float, metavar="P", help="the fixed one (the model's own; for --predictions 0)"
    )
    found.add_argument(
        "--refit",
        action="store_true",
        help="with --choose loso: the decision which movements are micro-expressions is learned anew for each subject from all "
        "others; takes about a minute a subject",
    )
    found.add_argument(
        "--rules", choices=tuple(RULES), default="pooled", help="how hits are counted (%(default)s, the proper ones)"
    )
    run_group = parser.add_argument_group("run")
    run_group.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    run_group.add_argument("--overwrite", action="store_true", help="replace a run that is in --out already")
    run_group.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the scores here; - for standard output"
    )
    run_group.add_argument(
        "--jobs", type=int, metavar="N", help="videos at a time (one a core; with Ray, as there is room)"
    )
    run_group.add_argument("--ray", metavar="ADDRESS", help="watch on a Ray cluster; local starts one on this machine")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    console = CleanConsole(stderr=True)
    settings = settings_of(args)
    require_places(args.json)
    with console.status(f"reading {args.dataset} ..."):
        reading = read_videos(
            settings.dataset, settings.roots, settings.annotations, settings.layout, settings.class_map, args.max_frames
        )
    _tell(reading, args.strict, console)
    command = shlex.join(["python", "-m", "train", *args.argv])
    try:
        scores = spot_score(reading, settings, console, args.jobs or 0, args.ray, args.overwrite, command)
    except KeyboardInterrupt:
        again = "videos that are done are kept: give the same command again to go on"
        begun = SpotDir(settings.out).settings.is_file()
        console.print(f"\nstopped; {again if begun else 'nothing was watched yet'}", highlight=False, soft_wrap=True)
        return 130
    if write_json(scores, args.json):
        return 0
    shown = CleanConsole()
    for table in tables(scores):
        shown.print(table.shown())
    for line in caveats(scores):
        shown.print(line, highlight=False, soft_wrap=True, markup=False)
    for line in scores["remarks"]:
        console.print(line, style="yellow", highlight=False, soft_wrap=True, markup=False)
    out = settings.out
    console.print(f"in {out}: scores.json; next: python -m train report {out}", highlight=False, soft_wrap=True)
    return 0


def settings_of(args: argparse.Namespace) -> SpotSettings:
    """What the flags say. Raises UsageError, DatasetError."""
    for name in ("jobs", "max_frames"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')}: expected 1 or more, found {value}")
    if args.predictions and (args.ray or args.jobs):
        raise UsageError("--ray and --jobs do not go with --predictions: nothing is watched")
    return SpotSettings(
        dataset=args.dataset,
        roots=tuple(args.root),
        out=args.out,
        annotations=tuple(args.annotation),
        layout=args.layout,
        class_map=read_class_map(args),
        **{
            name: getattr(args, name)
            for name in (
                "model", "predictions", "choose", "min_probability", "refit", "rules", "subjects", "limit_videos"
            )
        },
    )  # fmt: skip


def _tell(reading: VideoReading, strict: bool, console: Console) -> None:
    """What was odd about the dataset. Raises UsageError for anything, where that is wanted."""
    for severity, style in (("warning", "yellow"), ("error", "red")):
        defects: list[Defect] = [defect for defect in reading.defects if defect.severity == severity]
        for defect in defects[:_SHOWN_DEFECTS]:
            console.print(f"{severity}: {defect}", style=style, markup=False, highlight=False, soft_wrap=True)
        if len(defects) > _SHOWN_DEFECTS:
            more = (
                f"and {len(defects) - _SHOWN_DEFECTS} more: python -m train list --dataset {reading.dataset} shows all"
            )
            console.print(more, style=style, markup=False, highlight=False, soft_wrap=True)
    refused = [defect for defect in reading.defects if defect.strict]
    if strict and refused:
        raise UsageError(f"{reading.dataset}: {len(refused)} of these are none that --strict lets pass")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
