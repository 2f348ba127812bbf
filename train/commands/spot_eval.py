"""`python -m train spot-eval`: how well the live program finds micro-expressions in long videos."""

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.console import CleanConsole
from model.contract import NEUTRAL
from stream.engine.model_file import ModelError
from stream.recognizer import Recognizer
from train.commands.flags import require_places, write_json
from train.errors import UsageError
from train.progress import clip_progress
from train.spotting.event_scores import score, score_quiet
from train.spotting.watch import KeptFiles, Watched, Watcher
from train.synth.drawn import drawn_face
from train.synth.faces import FaceSource, astronaut, load_faces, subjects
from train.synth.long_video import Sampling, make_long_video, make_rest_video
from train.synth.long_video_script import ScriptSettings

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")

_EPILOG = """examples:
  python -m train spot-eval                                                 astronaut and drawn faces, 20 minutes
  python -m train spot-eval --faces photos --people anna,ben --seed 2 --json spot.json --chart spot.png
  python -m train spot-eval --minutes 4 --videos clips                      also false events on clips of one's own
  python -m train spot-eval --minutes 4 --fps 60 --jitter 0.3               a faster camera with an unsteady clock
  python -m train spot-eval --minutes 2 --write look                        keep the made videos, to look at

The made videos show people with micro-expressions (120 to 500 ms, 4 to 12 s apart) among blinks, talking, ordinary
expressions, gaze, head motion and changes of light. Take people whom the model was not trained on, and choose settings
of the detector on other people and another seed than those you report. In the clips of --videos every micro-expression
found counts as false. Photos are grouped into people by file name: anna_1.jpg and anna_2.jpg are anna."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "spot-eval",
        help="measure the live program on long videos with known micro-expressions",
        description="Make long videos, run the live program on them, and score the micro-expressions it finds.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_face_flags(parser)
    add("--minutes", type=float, default=20.0, help="made video in all (default %(default)g)")
    add("--video-minutes", type=float, default=2.0, metavar="M", help="length of one of them (default %(default)g)")
    add(
        "--rest",
        type=float,
        default=5.0,
        metavar="M",
        help="minutes of one resting face, 0 for none (default %(default)g)",
    )
    add("--seed", type=int, default=1, help="the same seed gives the same videos (default %(default)s)")
    add("--videos", type=Path, metavar="DIR", help="folder of real clips without annotated events")
    add("--model", type=Path, metavar="ONNX", help="exported model (default: the bundled one)")
    add("--fps", type=float, default=30.0, help="of the made videos (default %(default)g)")
    add(
        "--jitter",
        type=float,
        default=0.0,
        metavar="J",
        help="unsteady clock: up to J intervals early or late (0 to 0.45)",
    )
    add("--compress", action="store_true", help="the made videos go through MPEG-4 compression")
    add("--json", type=Path, metavar="OUT", help="scores, curve, and true and found events; - for standard output")
    add("--chart", type=Path, metavar="PNG", help="timeline of every video; the curve goes beside it as NAME-curve.png")
    add("--events-dir", type=Path, metavar="DIR", help="a JSONL file of found events for each video")
    add("--write", type=Path, metavar="DIR", help="keep the made videos as .mp4")
    parser.set_defaults(run=run)
    return parser


def add_face_flags(parser: argparse.ArgumentParser) -> None:
    """--faces, --people and --drawn, as `choose_faces` takes them."""
    add = parser.add_argument
    add("--faces", type=Path, metavar="PHOTOS", help="folder of portraits (default: the astronaut and drawn faces)")
    add("--people", type=_names, default=(), metavar="A,B", help="only these people (all)")
    add("--drawn", type=int, default=5, metavar="N", help="drawn faces, without --faces (default %(default)s)")


def choose_faces(folder: Path | None, people: Sequence[str], drawn: int) -> list[FaceSource]:
    """Faces of the chosen people; raises UsageError for people who are not there, FaceError for a folder without faces."""
    if drawn < 0:
        raise UsageError(f"--drawn: expected 0 or more, found {drawn}")
    faces = load_faces(folder)[0] if folder else [astronaut(), *(drawn_face(seed) for seed in range(drawn))]
    known = subjects(faces)
    unknown = [name for name in people if name not in known]
    if unknown:
        raise UsageError(f"--people: expected some of {', '.join(known)}, found {', '.join(unknown)}")
    return [face for face in faces if not people or face.subject in people]


def run(args: argparse.Namespace) -> int:
    from train.spotting.event_tables import draw_curve, draw_timelines, print_scores  # loads matplotlib

    console = CleanConsole(stderr=True)
    sampling, settings, count = _plan(args)
    clips = _clips(args.videos) if args.videos else []
    outputs = _outputs(args)
    faces = choose_faces(args.faces, args.people, args.drawn)
    recognizer = open_recognizer(args.model)
    watcher = Watcher(recognizer, outputs)

    made: list[Watched] = []
    with clip_progress(console, "made videos", round(count * settings.duration_s * sampling.fps)) as advance:
        for index in range(count):
            video = make_long_video(faces, args.seed, index, settings)
            made.append(watcher.made(video, sampling, args.compress, advance))
    rest: list[Watched] = []
    if args.rest:
        with clip_progress(console, "resting face", round(60 * args.rest * sampling.fps)) as advance:
            video = make_rest_video(faces, args.seed, 0, 60 * args.rest)
            # Nothing moves there for minutes: one that is not pointed at would be taken for a poster.
            resting = Watcher(open_recognizer(args.model, face_at=(0.5, 0.5)), outputs)
            rest.append(resting.made(video, sampling, args.compress, advance))
    quiet: list[Watched] = []
    with clip_progress(console, "clips", len(clips)) as advance:
        for path in clips:
            quiet.append(watcher.clip(path))
            advance(1)

    names = recognizer.contract.class_names
    classes = [name for name in names if name != NEUTRAL]
    scores = score([w.spotted for w in made], [w.spotted for w in quiet], classes, args.seed)
    scores["rest"] = score_quiet([w.spotted for w in rest]) if rest else None
    if args.chart:
        draw_timelines([w.timeline(names) for w in (*made, *rest, *quiet)], classes, args.chart)
        draw_curve(scores["curve"], scores["chance"], args.chart.with_stem(f"{args.chart.stem}-curve"))
    report = {
        "model": str(args.model or "bundled"),
        "people": sorted({person for w in made for person in w.people}),
        "seed": args.seed,
        "fps": args.fps,
        "jitter": args.jitter,
        "compressed": args.compress,
        "command": shlex.join(["python", "-m", "train", *args.argv]),
        **scores,
        "made_videos": [w.as_dict() for w in made],
        "rest_videos": [w.as_dict() for w in rest],
        "clips": [w.as_dict() for w in quiet],
    }
    if write_json(report, args.json):
        return 0
    print_scores(scores, CleanConsole())
    return 0


def open_recognizer(model: Path | None, face_at: tuple[float, float] | None = None) -> Recognizer:
    try:
        return Recognizer(model, face_at=face_at)
    except ModelError as error:
        raise UsageError(str(error)) from error


def _plan(args: argparse.Namespace) -> tuple[Sampling, ScriptSettings, int]:
    """Frame times, length of the made videos and their number; UsageError for values that do not fit."""
    if not 0 < args.video_minutes <= args.minutes or args.rest < 0:
        raise UsageError(
            "--minutes, --video-minutes and --rest: expected at least one video's length, a length above 0 and 0 or more, "
            f"found {args.minutes:g}, {args.video_minutes:g} and {args.rest:g}"
        )
    try:
        settings = ScriptSettings(duration_s=60 * args.video_minutes)
        return Sampling(args.fps, args.jitter), settings, math.ceil(args.minutes / args.video_minutes - 1e-6)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _clips(folder: Path) -> list[Path]:
    """The video files of a folder, by name; raises UsageError when there is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder of video files, found none")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if not paths:
        raise UsageError(f"{folder}: expected video files ({', '.join(VIDEO_SUFFIXES)}), found none")
    return paths


def _outputs(args: argparse.Namespace) -> KeptFiles:
    """Makes the folders that are asked for; raises UsageError where a file could not be written."""
    require_places(args.json, args.chart)
    outputs = KeptFiles(args.events_dir, args.write)
    for folder in outputs.folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be made or is no folder ({error.strerror})") from error
    return outputs


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
