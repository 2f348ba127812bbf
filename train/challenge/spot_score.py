"""Long videos from their annotations to scores: watched by the live program, or found by anybody, and counted as the field counts."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model.ray_cluster import imported_ray
from stream.events.judgement import Judge
from stream.machine import VERSION
from stream.session.facts import file_hash
from train.challenge.challenge_scores import score
from train.challenge.rules import Rules
from train.challenge.sensitivity import Choose, chosen_by_others, in_words
from train.challenge.spot_folder import KIND, SpotDir, VideoKey, data_sha256, scored_video, video_line
from train.challenge.watch_many import default_jobs, watch_here, watch_on_ray
from train.challenge.watch_recorded import RecordedWatcher, WatchedVideo
from train.datasets.class_maps import ClassMap
from train.datasets.source import FrameFolder, SourceVideo, VideoReading
from train.errors import UsageError
from train.files import sole_use, write_text

SCHEMA = 1
BUNDLED = "bundled"


@dataclass(frozen=True)
class SpotSettings:
    """What makes a run over long videos what it is.

    Attributes:
        dataset, roots, annotations, layout, class_map: what `train.datasets.registry.read_videos` is asked for.
        out: the run's folder.
        model: an exported model, None for the bundled one; not used with `predictions`, somebody's found events.
        choose: the least probability of a micro-expression that counts: fixed in advance, `min_probability` or the model's own; or
            chosen by leave-one-subject-out.
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
    if ray:
        imported_ray()
    reading = choose_videos(reading, settings)
    facts, least = _predicted_by(settings) if settings.predictions else _watched_by(settings, reading.classes)
    warn = partial(console.print, style="yellow", highlight=False, soft_wrap=True, markup=False)
    for line in reading.notes:
        warn(line)
    run, keys = SpotDir(settings.out), [_key(video) for video in reading.videos]
    with sole_use(run.path):
        resumes = run.begin(_head(reading, settings, facts, least, command), overwrite)
        done = run.recover(keys)
        waiting = [video for video in reading.videos if _key(video) not in done]
        begun = f"going on with {run.path}" if resumes else str(run.path)
        console.print(
            f"{begun}: {len(keys)} videos of {len({subject for subject, _ in keys})} subjects, {len(done)} done",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        if settings.predictions:
            raise NotImplementedError
        elif ray:
            watching = watch_on_ray(ray, settings.model, waiting, jobs, warn)
        else:
            watching = watch_here(settings.model, waiting, jobs or default_jobs())
        with VideoProgress(console, waiting, len(keys)) as progress, closing(watching):
            for video, watched in watching:
                run.append(video_line(video, watched))
                progress.finished(video, watched)
        lines = run.in_order(keys)
        scores = _scores(reading, settings, lines, least)
        # _write_predictions(run, [scored_video(line) for line in lines], scores["sensitivity"]["by_subject"])
        write_text(run.scores, json.dumps(scores, indent=2, ensure_ascii=False) + "\n")
    return scores


def _key(video: SourceVideo) -> VideoKey:
    return video.subject, video.video


def _watched_by(settings: SpotSettings, classes: Sequence[str]) -> tuple[dict[str, Any], float]:
    """What is to be known of the model, and the least probability where it is fixed."""
    watcher = RecordedWatcher(settings.model)
    contract, path = watcher.recognizer.contract, watcher.recognizer.model_path
    strange = [name for name in classes if name not in contract.class_names]
    if strange:
        raise UsageError(
            f"--classes: expected classes that the model tells ({', '.join(contract.class_names)}), found {', '.join(strange)}"
        )
    own = Judge(contract.decision).least_probability
    facts = {"model": str(settings.model or BUNDLED), "model_sha256": file_hash(path)}
    watcher.close()
    return facts, own if settings.min_probability is None else settings.min_probability


def _predicted_by(settings: SpotSettings) -> tuple[dict[str, Any], float]:
    """Of predictions, what is to be known of the file. All of them count unless somebody says otherwise."""
    assert settings.predictions
    facts = {"predictions": str(settings.predictions), "predictions_sha256": file_hash(settings.predictions)}
    return facts, settings.min_probability or 0.0


def _head(
    reading: VideoReading,
    settings: SpotSettings,
    facts: Mapping[str, Any],
    least: float,
    command: str,
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
        "min_probability": least if settings.choose == "fixed" else None,
        "rules": settings.rules,
        "command": command,
        "microlive": VERSION,
    }


def _scores(
    reading: VideoReading,
    settings: SpotSettings,
    lines: Sequence[Mapping[str, Any]],
    least: float,
) -> dict[str, Any]:
    """`scores.json`."""
    videos = [scored_video(line) for line in lines]
    subjects = sorted({video.subject for video in videos})
    by_subject = (
        chosen_by_others(videos, least, settings.rules) if settings.choose == "loso" else dict.fromkeys(subjects, least)
    )
    statuses: Counter[str] = Counter()
    for line in lines:
        statuses.update(line["statuses"])
    return {
        "schema": SCHEMA,
        "dataset": reading.dataset,
        "classes": list(reading.classes),
        "class_map": reading.class_map,
        "by": settings.by,
        "notes": list(reading.notes),
        "sensitivity": {
            "choose": settings.choose,
            "in_words": in_words(settings.choose, least, settings.min_probability is not None),
            "by_subject": by_subject,
        },
        **score(videos, by_subject if settings.choose == "loso" else least, settings.rules),
        "statuses": dict(sorted(statuses.items())),
        "remarks": [f"{line['subject']}/{line['video']}: {remark}" for line in lines for remark in line["remarks"]],
    }


class VideoProgress:
    """A bar over videos with frames a second and the time left; where there is no terminal, a line a video."""

    def __init__(self, console: Console, waiting: Sequence[SourceVideo], total: int) -> None:
        self._console = console
        self._total, self._done = total, total - len(waiting)
        self._frames, self._started_s = 0, time.monotonic()
        columns = (
            TextColumn("videos {task.fields[videos]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", total=sum(map(_weight, waiting)), videos=self._videos, speed="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # elsewhere the bar would leave an empty line
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    @property
    def _videos(self) -> str:
        return f"{self._done}/{self._total}"

    def finished(self, video: SourceVideo, watched: WatchedVideo) -> None:
        """A video is done and written."""
        self._done += 1
        self._frames += sum(watched.statuses.values())
        speed = f"{self._frames / max(time.monotonic() - self._started_s, 1e-3):.0f} frames/s" if self._frames else ""
        self._bar.update(self._task, advance=_weight(video), videos=self._videos, speed=speed)
        if not self._console.is_terminal and self._frames:
            found = watched.scored.found
            micro = sum(event.kind == "micro" for event in found)
            line = f"video {self._videos}, {video.subject}/{video.video}: {micro} candidates, {len(found) - micro} macro, {speed}"
            self._console.print(line, highlight=False, soft_wrap=True)


def _weight(video: SourceVideo) -> int:
    """Its frames; of video files, which would have to be read for that, each counts the same."""
    return len(video.pictures.files) if isinstance(video.pictures, FrameFolder) else 1
