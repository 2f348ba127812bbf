"""`python -m train assess`: models on made clips of people they never saw."""

import argparse
import os
import shlex
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console

from model.console import CleanConsole
from stream.engine.model_file import BUNDLED_MODEL
from train.assessment.answers import AssessedModel, open_candidates
from train.assessment.assess import Assessment, AssessPlan, assess, clip_settings
from train.assessment.conditions import CONDITIONS
from train.commands.flags import require_places, write_json
from train.commands.spot_eval import add_face_flags, choose_faces
from train.errors import UsageError
from train.progress import Advance, clip_progress
from train.synth.action_units import CLASS_NAMES

_GROUPS = tuple(dict.fromkeys(condition.group for condition in CONDITIONS))

_EPILOG = """examples:
  python -m train assess --clips 200 --condition-clips 40                       a first look: astronaut and drawn faces
  python -m train assess --model runs/s1 runs/s2 runs/s3 --faces photos --people anna,ben --json assess.json
      three seeds of one recipe: every number is a mean with its standard deviation
  python -m train assess --model model.onnx --faces photos --people anna,ben --chart assess.png --failures wrong.png
  python -m train assess --model runs/s1 runs/s2 runs/s3 --faces photos --people anna,ben --markdown > tables.md

Take people whom the models were neither trained nor chosen on. Clips go the exact way: a camera's pictures are drawn, then
aligned as the live program does. The clips as made come first; the first of them then come back at other frame rates and
filmed in a worse way, and standing still, when nothing should be told from them. Clips and answers are kept in --cache
(about 0.8 GB for each 1000 clips as made, 3 GB for 200 under all conditions), so that an interrupted command goes on where
it was and other models answer the same clips; remove the folder when done. Clips are made at about 6 a second and core."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "assess",
        help="measure models on made clips of unseen people, under many conditions",
        description="Make clips of people and measure models on them: by peak motion, frame rate, noise, light, head motion.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--model",
        type=Path,
        nargs="+",
        default=[BUNDLED_MODEL],
        metavar="PATH",
        help="run or exported folders, .onnx or .keras files; several are taken as one recipe's seeds (the bundled model)",
    )
    add_face_flags(parser)
    add("--clips", type=int, default=1500, metavar="N", help="clips as made (default %(default)s)")
    add(
        "--condition-clips",
        type=int,
        default=200,
        metavar="N",
        help="how many of them come back under each condition; 0: none (default %(default)s)",
    )
    add(
        "--only",
        type=_groups,
        default=_GROUPS,
        metavar="A,B",
        help=f"groups of conditions: {', '.join(_GROUPS)} (all)",
    )
    add("--seed", type=int, default=1, help="the same seed gives the same clips (default %(default)s)")
    add(
        "--peak",
        type=float,
        nargs=2,
        default=(0.6, 3.0),
        metavar=("MIN", "MAX"),
        help="peak motion in pixels of the crop (default 0.6 3)",
    )
    add("--cache", type=Path, default=Path("data/assess"), metavar="DIR", help="where clips are kept (%(default)s)")
    add(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that make clips (default: all cores, here %(default)s)",
    )
    add("--json", type=Path, metavar="OUT", help="write all numbers to this file; - for standard output")
    add("--chart", type=Path, metavar="PNG", help="the numbers as a picture")
    add("--failures", type=Path, metavar="PNG", help="the first model's surest mistakes as a picture")
    add("--markdown", action="store_true", help="print the tables as Markdown")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    from train.assessment.condition_tables import markdown, print_tables  # loads matplotlib

    console = CleanConsole(stderr=True)
    require_places(args.json, args.chart, args.failures)
    candidates = open_candidates(args.model)
    plan = _plan(args, candidates)
    faces = choose_faces(args.faces, args.people, args.drawn)

    def told(what: str, total: int) -> AbstractContextManager[Advance]:
        return clip_progress(console, what, total)

    found = assess(candidates, faces, plan, args.cache, args.jobs, told)
    report = {**found.report, "command": shlex.join(["python", "-m", "train", *args.argv])}
    _draw(args, found, report, candidates[0], console)
    if write_json(report, args.json):
        return 0
    if args.markdown:
        print(markdown(report))
    else:
        print_tables(report, CleanConsole())
    return 0


def _plan(args: argparse.Namespace, candidates: list[AssessedModel]) -> AssessPlan:
    """Raises UsageError for values that do not fit."""
    names = candidates[0].contract.class_names
    unknown = [name for name in names if name not in CLASS_NAMES]
    if unknown:
        raise UsageError(f"classes: expected models of {', '.join(CLASS_NAMES)}, found {', '.join(unknown)}")
    if args.jobs < 1 or args.seed < 0 or args.clips < len(names):
        raise UsageError(
            f"--jobs, --seed and --clips: expected 1 or more, 0 or more and {len(names)} or more, "
            f"found {args.jobs}, {args.seed} and {args.clips}"
        )
    conditions = tuple(condition for condition in CONDITIONS if condition.group in args.only)
    smallest_px, largest_px = args.peak
    try:
        settings = clip_settings(candidates, (smallest_px, largest_px))
        return AssessPlan(args.clips, min(args.condition_clips, args.clips), args.seed, settings, conditions)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _draw(
    args: argparse.Namespace, found: Assessment, report: dict[str, Any], first: AssessedModel, console: Console
) -> None:
    if args.chart:
        from train.assessment.condition_tables import draw_assessment  # pictures are needed here only

        draw_assessment(report, args.chart)
    if args.failures:
        from train.assessment.failures import draw_failures

        if not draw_failures(found.store, found.probabilities[0], first.contract, first.name, args.failures):
            console.print(f"{first.name} made no mistake: no picture of failures", style="yellow", highlight=False)


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or not set(names) <= set(_GROUPS):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(_GROUPS)}, found {text!r}")
    return names
