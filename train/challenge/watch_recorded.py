"""The live program watches a dataset's long video, picture by picture at the rate it was recorded at; what it finds is told in
the dataset's own frame numbers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.decision import counts
from model.decoding import read_picture
from model.guards import shown
from model.types import Event, Frame
from stream.engine.model_file import ModelError
from stream.recognizer import Recognizer
from stream.sources.base import FrameSource, SourceError, SourceInfo
from stream.sources.file import FileSource
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.datasets.source import FrameFolder, SourceVideo, VideoFile
from train.errors import TrainError, UsageError
from train.spotting.decision_fit import is_candidate
from train.spotting.watch import run_live

UNREADABLE = "unreadable"
"""Beside the statuses of the frames that were watched: how many pictures could not be."""


class WatchStopped(TrainError):
    """Nobody wants the rest of the video."""


class NumberedPictures(FrameSource):
    """A folder's pictures as a video of `fps` a second: when one was taken follows from its number, so that the camera's gaps are
    gaps in time. A damaged picture is left out, and its time passes too.

    SourceError for a file that is not there any more: a drive that went away is no damaged picture.
    """

    def __init__(self, folder: FrameFolder, fps: float, name: str) -> None:
        super().__init__()
        self._folder, self._fps, self._name = folder, fps, name
        self._unreadable: list[Path] = []

    def __enter__(self) -> Self:
        readable = (image for _, path in self._folder.files if (image := read_picture(path)) is not None)
        first = next(readable, None)
        height, width = (0, 0) if first is None else first.shape[:2]
        frames = len(self._folder.files)
        self.info = SourceInfo(self._name, width, height, self._fps, live=False, frames=frames)
        return self

    @property
    def losses(self) -> dict[str, int]:
        return {"bad_frame": len(self._unreadable)} if self._unreadable else {}

    def remarks(self) -> tuple[str, ...]:
        if not self._unreadable:
            return ()
        count, first = len(self._unreadable), shown(str(self._unreadable[0]))
        return (f"pictures left out that cannot be read: {count}, the first {first}",)

    def __iter__(self) -> Iterator[Frame]:
        first = self._folder.files[0][0] if self._folder.files else 0
        for index, (number, path) in enumerate(self._folder.files):
            if self._stopped.is_set():
                return
            started_s = time.perf_counter()
            image = read_picture(path)
            decode_ms = 1000 * (time.perf_counter() - started_s)
            if image is None:
                if not path.is_file():
                    raise SourceError(
                        f"{shown(str(path))} is not there any more: is the drive? Give the same command again to go on"
                    )
                self._unreadable.append(path)
                continue
            yield Frame(index, (number - first) / self._fps, image, time.monotonic(), decode_ms)


@dataclass(frozen=True)
class WatchedVideo:
    """What the live program made of a video: `scored`, frames by status (`UNREADABLE` too), in words what was odd, and all
    movements that may be micro-expressions."""

    scored: ScoredVideo
    statuses: dict[str, int]
    remarks: tuple[str, ...] = ()
    candidates: "tuple[FoundCandidate, ...]" = ()


class RecordedWatcher:
    """Keeps a loaded model and watches one video after the other. One thread and the processor alone, so that what is found does
    not depend on how many do so at a time.

    `is_stopped` is asked at every frame. Raises UsageError when the model cannot be used.
    """

    def __init__(self, model: Path | None, is_stopped: Callable[[], bool] = lambda: False) -> None:
        try:
            self.recognizer = Recognizer(model, provider="cpu", threads=1, one_person=True)
        except ModelError as error:
            raise UsageError(str(error)) from error
        self._is_stopped = is_stopped

    def close(self) -> None:
        self.recognizer.close()

    def watch(self, video: SourceVideo) -> WatchedVideo:
        """Raises TrainError, with the video's name, when it cannot be read; WatchStopped."""
        source = source_of(video)
        try:
            run = run_live(self.recognizer, source, self._go_on)
        except SourceError as error:
            raise TrainError(f"{video.id}: {error}") from error
        first, last = frame_span(video, len(run.times_s))
        unreadable = sum(source.losses.values())
        statuses = dict(sorted((run.statuses | ({UNREADABLE: unreadable} if unreadable else {})).items()))
        found, candidates = (), ()
        if len(run.times_s):
            numbers = first + np.rint((run.times_s - _begin_s(video, run.times_s)) * video.fps).astype(np.int64)
            told = FrameNumbers(run.times_s, numbers)
            found, candidates = told.found(run.events), told.candidates(run.events)
        scored = ScoredVideo(
            video.subject, video.video, video.fps, first, last, true_events(video), found, run.watchable_s
        )
        return WatchedVideo(scored, statuses, source.remarks(), candidates)

    def _go_on(self, _: int) -> None:
        if self._is_stopped():
            raise WatchStopped("stopped")


def source_of(video: SourceVideo) -> FrameSource:
    """The video's pictures at the rate they were taken at; ValueError where there are none."""
    match video.pictures:
        case FrameFolder():
            return NumberedPictures(video.pictures, video.fps, video.id)
        case VideoFile():
            return FileSource(video.pictures.path, "fast", video.fps)
    raise ValueError(f"{video.id}: expected pictures, found none")


def unwatched(video: SourceVideo) -> ScoredVideo:
    """The video with its true events, and nothing found. Raises TrainError when it is a file that cannot be read."""
    frames = None
    if isinstance(video.pictures, VideoFile):
        try:
            with source_of(video) as source:
                frames = source.info.frames
        except SourceError as error:
            raise TrainError(f"{video.id}: {error}") from error
    return ScoredVideo(
        video.subject, video.video, video.fps, *frame_span(video, frames), truth=true_events(video), found=()
    )


def _begin_s(video: SourceVideo, times_s: NDArray[np.float64]) -> float:
    """The time of the frame that `frame_span` begins with: of pictures it is 0, whether the first one can be read or not."""
    return float(times_s[0]) if isinstance(video.pictures, VideoFile) else 0.0


def frame_span(video: SourceVideo, frames: int | None = None) -> tuple[int, int]:
    """The numbers of the first and the last frame. Of a video file the last follows from how many `frames` were read; where
    nobody knows, and where nothing lies on the disk, the last event's offset is taken."""
    known = [number for event in video.events for number in (event.onset, event.offset)]
    match video.pictures:
        case FrameFolder(files=files) if files:
            return files[0][0], files[-1][0]
        case VideoFile(first=first) if frames:
            return first, first + frames - 1
        case VideoFile(first=first):
            return first, max([first, *known])
    return min(known, default=0), max(known, default=0)


def true_events(video: SourceVideo) -> tuple[FrameEvent, ...]:
    """An apex outside of its event counts as none: the reader has told of it."""
    return tuple(
        FrameEvent(
            event.kind,
            event.onset,
            event.offset,
            event.apex if event.apex is not None and event.onset <= event.apex <= event.offset else None,
            event.label,
        )
        for event in video.events
    )


@dataclass(frozen=True)
class FoundCandidate:
    """A movement that may be a micro-expression, counted or not, with what its probability was reckoned from."""

    event: FrameEvent
    evidence: dict[str, float]


class FrameNumbers:
    """Events of a video in its frame numbers, both ends included. `times_s` and `numbers` (n,) are those of its frames, growing; a
    moment belongs to the frame that is nearest to it."""

    def __init__(self, times_s: NDArray[np.float64], numbers: NDArray[np.int64]) -> None:
        self._times_s, self._numbers = times_s, numbers

    def found(self, events: Sequence[Event]) -> tuple[FrameEvent, ...]:
        """By onset: those that count, and micro-expressions that would where less is asked for."""
        counting = (e for e in events if counts(e.kind, e.probability, e.rejected, 0.0))
        return tuple(sorted(map(self._event, counting), key=lambda event: (event.onset, event.offset, event.kind)))

    def candidates(self, events: Sequence[Event]) -> tuple[FoundCandidate, ...]:
        """All that a decision can be learned from, likelier ones at the same time or not."""
        return tuple(
            FoundCandidate(self._event(event), {name: round(value, 4) for name, value in event.evidence.items()})
            for event in events
            if is_candidate(event)
        )

    def _event(self, event: Event) -> FrameEvent:
        onset, apex, offset = map(self._number_at, (event.onset_s, event.apex_s, event.offset_s))
        chance = event.probability if event.kind == "micro" else None
        return FrameEvent(event.kind, onset, offset, apex, event.label, chance)

    def _number_at(self, moment_s: float) -> int:
        after = min(int(np.searchsorted(self._times_s, moment_s)), len(self._times_s) - 1)
        before = max(after - 1, 0)
        is_before = moment_s - self._times_s[before] <= self._times_s[after] - moment_s
        return int(self._numbers[before if is_before else after])
