"""Long videos from their annotations to scores: watched by the live program, or found by anybody, and counted as the field counts."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from stream.machine import VERSION
from train.challenge.challenge_scores import score
from train.challenge.finder import live, predicted
from train.challenge.least_probability import Choose, chosen_by_others, in_words
from train.challenge.prediction_files import write_predictions
from train.challenge.published_spotting import published_beside
from train.challenge.refit import WORDS, refitted
from train.challenge.rules import Rules
from train.challenge.spot_folder import KIND, SpotDir, VideoKey, data_sha256, scored_video, video_line
from train.challenge.video_progress import VideoProgress
from train.challenge.watch_many import default_jobs
from train.datasets.class_maps import ClassMap
from train.datasets.source import SourceVideo, VideoReading
from train.errors import UsageError
from train.files import sole_use, write_text
from train.prepare.overview import count
from train.progress import clip_progress

SCHEMA = 1


@dataclass(frozen=True)
class SpotSettings:
    """What makes a run over long videos what it is.

    Attributes:
        dataset, roots, annotations, layout, class_map: what `train.datasets.registry.read_videos` is asked for.
        out: the run's folder.
        model: an exported model, None for the bundled one; not used with `predictions`, somebody's found events.
        choose: the least probability of a micro-expression that counts: fixed in advance, `min_probability` or the model's own; or
            chosen by leave-one-subject-out.
        refit: the decision which movements are micro-expressions is learned anew for each subject from all others.
        subjects, limit_videos: only a part of the dataset, for trying.

    Raises:
        UsageError: values do not go together, or are out of range.
    """

    dataset: str
    roots: tuple[Path, ...]
    out: Path
    annotations: tuple[Path, ...] = ()
    layout: str | None = None
    class_map: ClassMap = field(default_factory=ClassMap)
    model: Path | None = None
    predictions: Path | None = None
    choose: Choose = "fixed"
    min_probability: float | None = None
    refit: bool = False
    rules: Rules = "pooled"
    subjects: tuple[str, ...] = ()
    limit_videos: int | None = None

    def __post_init__(self) -> None:
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise UsageError(f"--min-probability: expected a number from 0 to 1, found {self.min_probability:g}")
        if self.min_probability is not None and self.choose != "fixed":
            raise UsageError("--min-probability goes with --choose fixed: what is fixed is not chosen")
        if self.limit_videos is not None and self.limit_videos < 1:
            raise UsageError(f"--limit-videos: expected 1 or more, found {self.limit_videos}")
        if self.refit and self.choose != "loso":
            raise UsageError("--refit goes with --choose loso: probabilities of a new decision have no least one yet")
        if self.refit and self.predictions:
            raise UsageError("--refit does not go with --predictions: they say nothing to learn from")
        if self.model and self.predictions:
            raise UsageError("--model does not go with --predictions: no model runs")

    @property
    def by(self) -> Literal["live", "predictions"]:
        return "predictions" if self.predictions else "live"


def choose_videos(reading: VideoReading, settings: SpotSettings) -> VideoReading:
    """The reading with the videos that are to be scored, what is left out in its notes. Raises UsageError for subjects who are not
    there, and when no video is left."""
    videos, notes = list(reading.videos), list(reading.notes)
    known = sorted({video.subject for video in videos})
    unknown = [subject for subject in settings.subjects if subject not in known]
    if unknown:
        raise UsageError(f"--subjects: expected some of {', '.join(known)}, found {', '.join(unknown)}")
    absent = [video for video in videos if video.pictures is None]
    if absent and not settings.predictions:
        events = sum(len(video.events) for video in absent)
        notes.append(
            f"{len(absent)} of {len(videos)} videos have no pictures here: they are left out with their {events} events (the first "
            f"is {absent[0].id})"
        )
        videos = [video for video in videos if video.pictures is not None]
    if settings.subjects:
        kept = [video for video in videos if video.subject in settings.subjects]
        notes.append(
            f"not the whole dataset: {len(kept)} of {len(videos)} videos (--subjects {','.join(settings.subjects)})"
        )
        videos = kept
    if settings.limit_videos is not None and settings.limit_videos < len(videos):
        notes.append(f"not the whole dataset: {settings.limit_videos} of {len(videos)} videos (--limit-videos)")
        videos = videos[: settings.limit_videos]
    if not videos:
        raise UsageError(
            f"{reading.dataset}: none of {len(reading.videos)} videos is left to score; {'; '.join(notes)}"
        )
    return replace(reading, videos=tuple(videos), notes=tuple(notes))


def spot_score(
    reading: VideoReading,
    settings: SpotSettings,
    console: Console,
    jobs: int = 0,
    ray: str | None = None,
    overwrite: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Watches the videos that are not watched yet, scores all; returns what the run's `scores.json` says.

    `jobs`: videos at a time (0: one a core; with Ray, as many as the cluster has room for). `ray`: address of a Ray cluster,
    "local" for one of this machine's own; None: local processes.

    Raises:
        UsageError: settings, data or run folder do not fit. ClusterError: Ray. TrainError: something failed on the way.
    """
    if jobs < 0:
        raise UsageError(f"--jobs: expected 1 or more, found {jobs}")
    warn = partial(console.print, style="yellow", highlight=False, soft_wrap=True, markup=False)
    if settings.predictions:
        finder = predicted(settings.predictions, reading, warn)
    else:
        finder = live(settings.model, reading.classes, jobs, ray, warn)
    fixed = finder.least if settings.min_probability is None else settings.min_probability
    reading = choose_videos(reading, settings)
    for line in reading.notes:
        warn(line)
    run, keys = SpotDir(settings.out), [_key(video) for video in reading.videos]
    with sole_use(run.path):
        resumes = run.begin(_head(reading, settings, finder.facts, fixed, command), overwrite)
        done = run.recover(keys)
        waiting = [video for video in reading.videos if _key(video) not in done]
        begun = f"going on with {run.path}" if resumes else str(run.path)
        console.print(
            f"{begun}: {count(len(keys), 'video')} of {count(len({s for s, _ in keys}), 'subject')}, {len(done)} done",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        if waiting:
            with VideoProgress(console, waiting, len(keys)) as progress, closing(finder.find(waiting)) as found:
                for video, watched in found:
                    run.append(video_line(video, watched))
                    progress.finished(video, watched)
        lines = run.in_order(keys)
        least: float | dict[str, float] = fixed
        if settings.refit:
            with clip_progress(
                console, "subjects, learned anew without", len({line["subject"] for line in lines})
            ) as advance:
                lines, least = refitted(lines, settings.rules, jobs or default_jobs(), advance)
            run.write(lines)
        videos = [scored_video(line) for line in lines]
        if settings.choose == "loso" and not settings.refit:
            least = chosen_by_others(videos, fixed, settings.rules)
        scores = {
            **_about(reading, settings, fixed, least),
            **score(videos, least, settings.rules),
            "published": published_beside(reading.dataset),
            **_seen(lines),
        }
        write_predictions(run.predictions_2021, videos, "megc2021", least)
        write_predictions(run.predictions_2023, videos, "megc2023", least)
        write_text(run.scores, json.dumps(scores, indent=2, ensure_ascii=False) + "\n")
    return scores


def _key(video: SourceVideo) -> VideoKey:
    return video.subject, video.video


def _head(
    reading: VideoReading, settings: SpotSettings, facts: Mapping[str, Any], fixed: float, command: str
) -> dict[str, Any]:
    """`settings.json`."""
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "dataset": reading.dataset,
        "roots": [str(root) for root in settings.roots],
        "class_map": reading.class_map,
        "classes": list(reading.classes),
        **facts,
        "by": settings.by,
        "notes": list(reading.notes),
        "data_sha256": data_sha256(reading.videos),
        "choose": settings.choose,
        "refit": settings.refit,
        "min_probability": fixed if settings.choose == "fixed" else None,
        "rules": settings.rules,
        "command": command,
        "microlive": VERSION,
    }


def _about(
    reading: VideoReading, settings: SpotSettings, fixed: float, least: float | Mapping[str, float]
) -> dict[str, Any]:
    """What `scores.json` says besides the scores."""
    subjects = dict.fromkeys(video.subject for video in reading.videos)
    return {
        "schema": SCHEMA,
        "dataset": reading.dataset,
        "classes": list(reading.classes),
        "class_map": reading.class_map,
        "by": settings.by,
        "notes": list(reading.notes),
        "sensitivity": {
            "choose": settings.choose,
            "refit": settings.refit,
            "in_words": in_words(settings.choose, fixed, settings.min_probability is not None)
            + (WORDS if settings.refit else ""),
            "by_subject": {s: least[s] if isinstance(least, Mapping) else least for s in subjects},
        },
    }


def _seen(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many frames had which status, and what was odd about the pictures."""
    statuses: Counter[str] = Counter()
    for line in lines:
        statuses.update(line["statuses"])
    return {
        "statuses": dict(sorted(statuses.items())),
        "remarks": [f"{line['subject']}/{line['video']}: {remark}" for line in lines for remark in line["remarks"]],
    }
