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
from train.spotting.clip_videos import WatchedClip, clip_script, find_clips, watch_clip
from train.spotting.event_scores import score, score_group, score_quiet
from train.spotting.watch import KeptFiles, Watched, Watcher
from train.synth.drawn import drawn_face
from train.synth.faces import FaceSource, astronaut, load_faces, subjects
from train.synth.long_video import Sampling, make_long_video, make_rest_video
from train.synth.long_video_script import ScriptSettings

ALL_CLIPS = "clips"
"""Calm and moving ones together, beside the scores of either."""

_EPILOG = """examples:
  python -m train spot-eval                                                 astronaut and drawn faces, 20 minutes
  python -m train spot-eval --faces photos --people anna,ben --seed 2 --json spot.json --chart spot.png
  python -m train spot-eval --minutes 4 --videos clips                      also in clips of real people
  python -m train spot-eval --minutes 4 --videos clips --clip-people v11,v12 --clip-minutes 2
  python -m train spot-eval --minutes 4 --fps 60 --jitter 0.3               a faster camera with an unsteady clock
  python -m train spot-eval --minutes 2 --write look                        keep the made videos, to look at

The made videos show people with micro-expressions (120 to 500 ms, 4 to 12 s apart) among blinks, talking, ordinary
expressions, gaze, head motion and changes of light. Take people whom the model was not trained on, and choose settings
of the detector on other people and another seed than those you report. Photos and clips are grouped into people by file
name, up to its first underscore: anna_1.jpg and anna_2.mp4 are anna.

Every clip of --videos is watched as it is, where each micro-expression found counts as false, and once more, to and fro,
with made micro-expressions (peaks of 1 to 5 px) put into it among whatever the person does. A clip is calm when its
skin moves less than 0.8 px within 0.1 s (median over its frames; 44 px between the eyes), else moving. The scores of
made videos, calm clips and moving clips are told side by side: recall at 0.25 to 4 false events a watchable minute, that
is of the time in which a micro-expression would have been noticed."""


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
    add("--clip-people", type=names_of, default=(), metavar="A,B", help="of --videos, only these people (all)")
    add(
        "--clip-minutes",
        type=float,
        default=1.0,
        metavar="M",
        help="of each clip with expressions in it, 0 for the clip as it is only (default %(default)g)",
    )
    add("--model", type=Path, metavar="ONNX", help="exported model (default: the bundled one)")
    add("--fps", type=float, default=30.0, help="of the made videos (default %(default)g); clips have their own")
    add(
        "--jitter",
        type=float,
        default=0.0,
        metavar="J",
        help="unsteady clock: up to J intervals early or late (0 to 0.45)",
    )
    add("--compress", action="store_true", help="the made videos go through MPEG-4 compression")
    add("--json", type=Path, metavar="OUT", help="scores, curve, and true and found events; - for standard output")
    add("--chart", type=Path, metavar="PNG", help="timeline of every video; the curves go beside it as NAME-curve.png")
    add("--events-dir", type=Path, metavar="DIR", help="a JSONL file of found events for each video")
    add("--write", type=Path, metavar="DIR", help="keep the made videos as .mp4")
    parser.set_defaults(run=run)
    return parser


def add_face_flags(parser: argparse.ArgumentParser) -> None:
    """--faces, --people and --drawn, as `choose_faces` takes them."""
    add = parser.add_argument
    add("--faces", type=Path, metavar="PHOTOS", help="folder of portraits (default: the astronaut and drawn faces)")
    add("--people", type=names_of, default=(), metavar="A,B", help="only these people (all)")
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
    from train.spotting.event_tables import draw_curves, draw_timelines, print_groups, print_scores  # loads matplotlib

    console = CleanConsole(stderr=True)
    sampling, settings, count = _plan(args)
    acting = _clip_settings(args)
    clips = find_clips(args.videos, args.clip_people) if args.videos else []
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
    contract = recognizer.contract
    real: list[WatchedClip] = []
    with clip_progress(console, "clips", len(clips)) as advance:
        for clip in clips:
            real.append(watch_clip(watcher, contract, clip, args.seed, acting))
            advance(1)
    for clip in real:
        if clip.why_not:
            console.print(
                f"no expressions were put into {clip.why_not}", style="yellow", highlight=False, soft_wrap=True
            )

    names = contract.class_names
    classes = [name for name in names if name != NEUTRAL]
    scores = score([w.spotted for w in made], [clip.plain.spotted for clip in real], classes, args.seed)
    scores["rest"] = score_quiet([w.spotted for w in rest]) if rest else None
    scores["groups"] = groups = _groups(made, real)
    if args.chart:
        acted = [clip.acted for clip in real if clip.acted]
        watched = (*made, *rest, *(clip.plain for clip in real), *acted)
        draw_timelines([w.timeline(names) for w in watched], classes, args.chart)
        shown = {name: group for name, group in groups.items() if name != ALL_CLIPS}
        draw_curves(shown, args.chart.with_stem(f"{args.chart.stem}-curve"))
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
        "clips": [clip.as_dict() for clip in real],
    }
    if write_json(report, args.json):
        return 0
    print_scores(scores, CleanConsole())
    print_groups(groups, CleanConsole())
    return 0


def _groups(made: Sequence[Watched], real: Sequence[WatchedClip]) -> dict[str, dict[str, Any]]:
    """Scores of made videos and, where there are some, of clips with expressions in them: of all, calm ones, moving ones."""
    own_s = sum(w.run.seconds for w in made)
    people = [person for w in made for person in w.people]
    groups = {
        "made videos": score_group([w.spotted for w in made], [], people, own_s, [w.run.smallest_px for w in made])
    }
    acted = [(clip, clip.acted) for clip in real if clip.acted]
    for name, motions in ((ALL_CLIPS, ("calm", "moving")), ("calm clips", ("calm",)), ("moving clips", ("moving",))):
        of_kind = [(clip, watched) for clip, watched in acted if clip.motion in motions]
        if of_kind:
            groups[name] = score_group(
                [watched.spotted for _, watched in of_kind],
                [clip.plain.spotted for clip, _ in of_kind],
                [clip.person for clip, _ in of_kind],
                sum(clip.own_s for clip, _ in of_kind),
                [watched.run.smallest_px for _, watched in of_kind],
            )
    return groups


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


def _clip_settings(args: argparse.Namespace) -> ScriptSettings | None:
    """What is put into clips, None for nothing; UsageError for a length that does not fit."""
    if args.clip_people and not args.videos:
        raise UsageError("--clip-people goes with --videos, the folder of their clips")
    if args.clip_minutes == 0:
        return None
    try:
        return clip_script(60 * args.clip_minutes)
    except ValueError as error:
        raise UsageError(f"--clip-minutes: {error}") from error


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


def names_of(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
