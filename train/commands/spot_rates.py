"""`python -m train spot-rates`: the same performance at several frame rates, and whether the same events come out."""

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console

from model.console import CleanConsole
from train.commands.flags import require_places, write_json
from train.commands.spot_eval import add_face_flags, choose_faces, open_recognizer
from train.errors import UsageError
from train.progress import clip_progress
from train.spotting.event_scores import WITHIN_MS, RateRun, compare_rates
from train.spotting.watch import Watcher
from train.synth.long_video import Sampling, make_long_video
from train.synth.long_video_script import ScriptSettings
from train.text_table import TextTable

_EPILOG = """examples:
  python -m train spot-rates
  python -m train spot-rates --faces photos --people anna,ben --rates 30,15,60,30~0.3 --json rates.json

A rate is frames a second; N~J adds an unsteady clock, every frame up to J of an interval early or late. The first one is
what the others are compared with."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "spot-rates",
        help="compare the events found at several frame rates",
        description="Sample the same made videos at several frame rates, run the live program on them, and compare events.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_face_flags(parser)
    add(
        "--rates", type=_rates, default=_rates("30,15,60,120,30~0.3"), metavar="R,R", help="default 30,15,60,120,30~0.3"
    )
    add("--minutes", type=float, default=2.0, help="made video, once a rate (default %(default)g)")
    add("--video-minutes", type=float, default=1.0, metavar="M", help="length of one video (default %(default)g)")
    add("--seed", type=int, default=1, help="the same seed gives the same videos (default %(default)s)")
    add("--model", type=Path, metavar="ONNX", help="exported model (default: the bundled one)")
    add("--json", type=Path, metavar="OUT", help="also write the table to this file; - for standard output")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    console = CleanConsole(stderr=True)
    if not 0 < args.video_minutes <= args.minutes:
        raise UsageError(
            f"--minutes: expected at least --video-minutes, found {args.minutes:g} and {args.video_minutes:g}"
        )
    require_places(args.json)
    try:
        settings = ScriptSettings(duration_s=60 * args.video_minutes)
    except ValueError as error:
        raise UsageError(str(error)) from error
    faces = choose_faces(args.faces, args.people, args.drawn)
    watcher = Watcher(open_recognizer(args.model))
    count = round(args.minutes / args.video_minutes)
    frames = sum(round(count * settings.duration_s * sampling.fps) for sampling in args.rates)
    runs: list[RateRun] = []
    with clip_progress(console, "frames", frames) as advance:
        for sampling in args.rates:
            videos = (make_long_video(faces, args.seed, index, settings) for index in range(count))
            seen = [watcher.made(video, sampling, advance=advance).spotted for video in videos]
            runs.append(RateRun(_name(sampling), seen))
    rows = compare_rates(runs[0], runs)
    report = {
        "seed": args.seed,
        "minutes": count * args.video_minutes,
        "command": shlex.join(["python", "-m", "train", *args.argv]),
        "rates": rows,
    }
    if write_json(report, args.json):
        return 0
    _print(rows, CleanConsole())
    return 0


def _rates(text: str) -> tuple[Sampling, ...]:
    samplings = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)(?:~(\d*\.?\d+))?\s*", part)
        if not found:
            raise argparse.ArgumentTypeError(f"expected rates such as 30 or 30~0.3, found {part!r}")
        try:
            samplings.append(Sampling(float(found[1]), float(found[2] or 0)))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return tuple(samplings)


def _name(sampling: Sampling) -> str:
    return f"{sampling.fps:g} fps" + (f" ± {100 * sampling.jitter:.0f} %" if sampling.jitter else "")


def _print(rows: list[dict[str, Any]], console: Console) -> None:
    headings = ["sampling", "F1", "with class", "same", "new", "gone", "same class", f"within {WITHIN_MS:.0f} ms"]
    cells = [
        [
            row["sampling"],
            f"{row['f1']:.3f}",
            f"{row['f1_with_class']:.3f}",
            *(str(row[key]) for key in ("same", "only_here", "only_there")),
            *("–" if row[key] is None else f"{row[key]:.2f}" for key in ("same_label", "within")),
            *(
                "–" if row[key] is None else f"{row[key]['median']:.0f}, {row[key]['max']:.0f}"
                for key in ("onset_ms", "apex_ms")
            ),
        ]
        for row in rows
    ]
    title = f"Micro events, compared with {rows[0]['sampling']}"
    console.print(TextTable(title, [*headings, "onset ms", "apex ms"], cells).shown())
    console.print("onset and apex: median and largest difference", highlight=False)
