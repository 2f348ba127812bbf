"""`python -m train spot-fit`: learn which movements are micro-expressions, and measure the curve of its sensitivity."""

import argparse
import hashlib
import math
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model.console import CleanConsole
from model.decision import SpottingDecision
from stream.engine.model_file import BUNDLED_MODEL
from stream.face.landmarks import FaceMeshDetector
from train.commands.flags import require_places, write_json
from train.commands.spot_eval import add_face_flags, choose_faces, names_of, open_recognizer
from train.errors import UsageError
from train.progress import clip_progress
from train.spotting.clip_videos import RealClip, clip_script, find_clips
from train.spotting.decision_fit import (
    JudgedVideo,
    Rows,
    count_at,
    curve,
    fit_decision,
    noticed,
    out_of_fold,
    watchable_shares,
)
from train.spotting.material import Task, watched
from train.spotting.reviews import GROUP, reviewed_videos
from train.spotting.watch import Watched, Watcher
from train.synth.clip_scene import ClipScene, make_clip_video
from train.synth.faces import FaceSource
from train.synth.long_video import Sampling, make_long_video, make_rest_video, pick_face
from train.synth.long_video_script import ScriptSettings
from train.text_table import TextTable

_RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
_CLIP_S = 60.0

_EPILOG = """examples:
  python -m train spot-fit --out decision.json                                 the astronaut and drawn faces
  python -m train spot-fit --faces photos --videos clips --out decision.json   and the generator's motion in real clips
  python -m train spot-fit --reviews sessions --out decision.json              and what coders said of recorded candidates
  python -m export model.onnx --decision decision.json --out exported          the model with it

The live program watches made long videos and the clips of --videos with the generator's motion put in; every candidate it has
becomes a row, and boosted trees learn which of them are micro-expressions. The curve (false events a minute in which the face was read, and recall, at
every threshold) comes from folds over people: each is judged by a decision that has not seen them. Take people whom the network
was not trained on. Of --reviews accepted candidates are micro-expressions, rejected ones none, undecided ones are not used;
no pictures are needed. What was watched is kept beside OUT (OUT.watched.jsonl): the same call goes on where it was broken off."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "spot-fit",
        help="learn which movements are micro-expressions",
        description="Learn the decision about the live program's candidates, and measure the curve of its sensitivity.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_face_flags(parser)
    add("--minutes", type=float, default=20.0, help="made video in all, 0 for none (default %(default)g)")
    add("--video-minutes", type=float, default=2.0, metavar="M", help="length of one of them (default %(default)g)")
    add("--rest", type=float, default=2.0, metavar="M", help="minutes of resting faces (default %(default)g)")
    add("--videos", type=Path, metavar="DIR", help="folder of real clips of one person each: anna_1.mp4 is of anna")
    add("--leave-out", type=names_of, default=(), metavar="A,B", help="people in --videos not to learn from")
    add(
        "--reviews",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="reviewed sessions, or folders of them (microlive --review)",
    )
    add(
        "--subjects",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="of --reviews: a sheet with the columns session and subject (default: anna-1 is of anna)",
    )
    add("--coder", metavar="NAME", help="of --reviews: the labels of this coder alone (default: what most agree on)")
    add("--rounds", type=int, default=1, metavar="N", help="videos made of each clip (default %(default)s)")
    add("--folds", type=int, default=5, metavar="K", help="over people, for the curve (default %(default)s)")
    add("--seed", type=int, default=1, help="the same seed gives the same videos (default %(default)s)")
    add("--model", type=Path, metavar="ONNX", help="exported model (default: the bundled one)")
    add("--out", type=Path, required=True, metavar="JSON", help="the decision, for `python -m export --decision`")
    add("--json", type=Path, metavar="OUT", help="also write the scores to this file; - for standard output")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    _check(args)
    console = CleanConsole(stderr=True)
    reviews, remarks = _reviews(args)
    tasks = [*_made(args), *_clips(args)]
    if not tasks and not reviews:
        raise UsageError("--minutes, --videos and --reviews: expected one of them at least")
    settings = {"model": _digest(args.model or BUNDLED_MODEL), "seed": args.seed}
    with clip_progress(console, "seconds watched", round(sum(task.seconds for task in tasks))) as advance:
        path = args.out.with_name(f"{args.out.stem}.watched.jsonl")
        videos, left_out = watched(tasks, path, settings, lambda seconds: advance(round(seconds)))
    for why in left_out:
        console.print(f"left out: {why}", highlight=False, soft_wrap=True)
    for why in remarks:
        console.print(why, style="yellow", highlight=False, soft_wrap=True, markup=False)
    videos += reviews
    command = shlex.join(["python", "-m", "train", *args.argv])
    chances = out_of_fold(videos, args.folds)
    real = [number for number, video in enumerate(videos) if video.group == "clips"] or list(range(len(videos)))
    measured = curve([videos[n] for n in real], [chances[n] for n in real])
    decision = replace(
        fit_decision(videos, _words(videos, args.folds, command)), curve=measured, noticed=noticed(videos, chances)
    )
    write_json(asdict(decision), args.out)
    report = {
        "command": command,
        "groups": _scores(videos, chances),
        "watchable": watchable_shares(decision, [videos[n] for n in real], [chances[n] for n in real]),
    }
    if write_json(report, args.json):
        return 0
    _print(report["groups"], decision, CleanConsole())
    return 0


def _check(args: argparse.Namespace) -> None:
    require_places(args.out, args.json)
    if str(args.out) == "-":
        raise UsageError("--out: expected a file, since what was watched is kept beside it")
    if args.minutes < 0 or args.video_minutes <= 0 or args.rest < 0 or args.rounds < 1 or args.folds < 2:
        raise UsageError(
            "--minutes, --video-minutes, --rest, --rounds and --folds: expected 0 or more, a length above 0, 0 or more, 1 or more "
            f"and 2 or more, found {args.minutes:g}, {args.video_minutes:g}, {args.rest:g}, {args.rounds} and {args.folds}"
        )


def _made(args: argparse.Namespace) -> Iterator[Task]:
    """Made long videos of faces in turn, and resting ones."""
    faces = choose_faces(args.faces, args.people, args.drawn)
    watcher = Watcher(open_recognizer(args.model))
    resting = Watcher(open_recognizer(args.model, face_at=(0.5, 0.5)))
    try:
        settings = ScriptSettings(duration_s=60 * args.video_minutes)
    except ValueError as error:
        raise UsageError(str(error)) from error
    for index in range(math.ceil(args.minutes / args.video_minutes - 1e-6)):
        yield _task(watcher, "made", faces, args.seed, index, settings)
    for index in range(math.ceil(args.rest - 1e-6)):
        yield _task(resting, "rest", faces, args.seed, index, None)


def _task(watcher: Watcher, group: str, faces: Sequence[FaceSource], seed: int, index: int, settings: Any) -> Task:
    def watch() -> Watched:
        if settings is None:
            return watcher.made(make_rest_video(faces, seed, index, 60.0), Sampling())
        return watcher.made(make_long_video(faces, seed, index, settings), Sampling())

    seconds = 60.0 if settings is None else settings.duration_s
    face = pick_face(faces, index)
    return Task(f"{group}-{index}-{face.name}-{seconds:g}", face.subject, group, seconds, watch)


def _clips(args: argparse.Namespace) -> Iterator[Task]:
    """Real clips with expressions put in."""
    if args.videos is None:
        return
    every = find_clips(args.videos)
    if unknown := [name for name in args.leave_out if all(clip.person != name for clip in every)]:
        raise UsageError(f"--leave-out: nobody in {args.videos} is called {', '.join(unknown)}")
    clips = [clip for clip in every if clip.person not in args.leave_out]
    watcher = Watcher(open_recognizer(args.model))
    for turn in range(args.rounds):
        for clip in clips:
            watch = partial(_watch_clip, watcher, clip, args.seed + turn)
            yield Task(f"clip-{turn}-{clip.path.name}", clip.person, "clips", _CLIP_S, watch)


def _reviews(args: argparse.Namespace) -> tuple[list[JudgedVideo], list[str]]:
    """Sessions that coders looked through."""
    if not args.reviews:
        if args.subjects or args.coder:
            raise UsageError("--subjects and --coder go with --reviews")
        return [], []
    return reviewed_videos(args.reviews, args.subjects, args.coder, args.model or BUNDLED_MODEL)


def _watch_clip(watcher: Watcher, clip: RealClip, seed: int) -> Watched:
    # One for each clip: it follows faces from picture to picture, and would from one clip into the next.
    with FaceMeshDetector(static=False) as detector:
        video = make_clip_video(clip.path, seed, clip.number, clip_script(_CLIP_S), detector)
    assert isinstance(video.scene, ClipScene)
    return watcher.made(video, Sampling(video.scene.fps))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _words(videos: Sequence[JudgedVideo], folds: int, command: str) -> str:
    """What the decision was learned from, in words."""
    parts = []
    for group, name in (
        ("made", "made long videos"),
        ("rest", "made resting faces"),
        ("clips", "real clips with made motion"),
        (GROUP, "reviewed sessions"),
    ):
        chosen = [video for video in videos if video.group == group]
        if chosen:
            people = len({video.person for video in chosen})
            parts.append(
                f"{len(chosen)} {name} of {people} people ({sum(len(v.truth) for v in chosen)} micro-expressions)"
            )
    return f"{'; '.join(parts)}; curve by {folds} folds over people; {command}"


def _scores(videos: Sequence[JudgedVideo], chances: Sequence[Rows]) -> dict[str, Any]:
    """By group: candidates, recall of the candidates, and recall at some rates of false events."""
    scores = {}
    for group in sorted({video.group for video in videos}):
        chosen = [n for n, video in enumerate(videos) if video.group == group]
        some, likely = [videos[n] for n in chosen], [chances[n] for n in chosen]
        every = count_at(some, likely, 0.0)
        points = curve(some, likely)
        scores[group] = {
            "videos": len(some),
            "people": len({video.person for video in some}),
            "read_min": sum(video.minutes for video in some),
            "true": every.true,
            "candidates": sum(len(video.candidates) for video in some),
            "recall_of_candidates": every.found / every.true if every.true else None,
            "recall_at": {
                f"{rate:g}": max((p.recall for p in points if p.false_per_min <= rate), default=0.0) for rate in _RATES
            },
            "expected_calibration_error": _calibration_error(some, likely),
        }
    return scores


def _calibration_error(videos: Sequence[JudgedVideo], chances: Sequence[Rows], bins: int = 10) -> float:
    """Mean distance of probabilities from shares of hits, bins of as many candidates each."""
    chance, hit = np.concatenate(list(chances)), np.concatenate([video.hits for video in videos])
    if not len(chance):
        return 0.0
    order = np.array_split(np.argsort(chance, kind="stable"), bins)
    return float(
        sum(len(part) * abs(chance[part].mean() - hit[part].mean()) for part in order if len(part)) / len(chance)
    )


def _print(groups: dict[str, Any], decision: SpottingDecision, console: CleanConsole) -> None:
    rows = [
        (
            name,
            str(row["people"]),
            f"{row['read_min']:.1f}",
            str(row["true"]),
            str(row["candidates"]),
            "–" if row["recall_of_candidates"] is None else f"{row['recall_of_candidates']:.2f}",
            *(f"{value:.2f}" for value in row["recall_at"].values()),
            f"{row['expected_calibration_error']:.3f}",
        )
        for name, row in groups.items()
    ]
    headings = (
        "",
        "people",
        "minutes read",
        "true",
        "candidates",
        "of these at one",
        *(f"at {r:g}" for r in _RATES),
        "ECE",
    )
    console.print(
        TextTable("Recall at false events a minute in which the face was read, people apart", headings, rows).shown()
    )
    asked = Counter(decision.features[number] for tree in decision.trees for number in tree.feature if number >= 0)
    said = ", ".join(f"{name} {count}" for name, count in asked.most_common(10))
    console.print(f"{len(decision.trees)} trees; asked most: {said}", highlight=False, soft_wrap=True)
