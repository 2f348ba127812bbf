"""The live program watches videos, made ones with their truth and clips without annotations: what it says of them is kept."""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from model.decision import UNJUDGED
from model.types import Event
from stream.recognizer import Recognizer
from stream.sources.base import FrameSource, SourceError
from stream.sources.open import open_source
from stream.sources.pictures import PictureSource
from train.errors import TrainError
from train.files import write_text
from train.progress import Advance
from train.spotting.match import SpottedVideo
from train.synth.long_video import LongVideo, Sampling, compressed, write_while
from train.synth.long_video_script import Distraction, TruthEvent


@dataclass(frozen=True, eq=False)
class WatchedRun:
    """What the live line said of a video. `events` holds rejected candidates too.

    `times_s` (n,) and `probabilities` (n, classes), NaN where there was no answer, are those of every frame;
    `statuses` counts frames by status. `seconds` is the video's length, `took_s` how long it took, drawing included.
    `read_s`: of the length, so long the first face was read and calibrated. `watchable_s`: so long a micro-expression of usual
    size would have been noticed in it. Of a gap without pictures either counts as the contract's `max_gap_s` at the most.
    `smallest_px`: the median of the smallest movement that would have been, in pixels of a crop with 44 between the eyes;
    None where there never was one.
    """

    events: tuple[Event, ...]
    seconds: float
    took_s: float
    times_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    statuses: dict[str, int]
    read_s: float = 0.0
    watchable_s: float = 0.0
    smallest_px: float | None = None

    @property
    def frames(self) -> int:
        return len(self.times_s)


def run_live(recognizer: Recognizer, source: FrameSource, advance: Advance = lambda frames: None) -> WatchedRun:
    """Runs a source that is not open yet through the live program to its end. `advance` is called for every frame."""
    class_names = recognizer.contract.class_names
    started_s = time.perf_counter()
    events: list[Event] = []
    times: list[float] = []
    rows: list[list[float]] = []
    statuses: Counter[str] = Counter()
    read: list[bool] = []
    watchable: list[bool] = []
    smallest_px: list[float] = []
    for result in recognizer.run(source):
        answer = result.prediction
        times.append(result.frame.time_s)
        rows.append([answer.probabilities[name] for name in class_names] if answer else [np.nan] * len(class_names))
        statuses[result.status] += 1
        events += result.events
        face = result.faces[0] if result.faces else None
        read.append(face is not None and face.calibrated and face.status == "ok")
        watchable.append(face is not None and face.watchable)
        if face is not None and face.smallest_px is not None:
            smallest_px.append(face.smallest_px)
        advance(1)
    times_s = np.array(times, np.float64)
    # A frame lasts until the next one; the last one as long as they do.
    lasts_s = np.append(np.diff(times_s), np.median(np.diff(times_s))) if len(times_s) > 1 else np.zeros(len(times_s))
    seen_s = np.minimum(lasts_s, recognizer.contract.max_gap_s)
    return WatchedRun(
        events=tuple(sorted(events, key=lambda event: event.onset_s)),
        seconds=float(lasts_s.sum()),
        took_s=time.perf_counter() - started_s,
        times_s=times_s,
        probabilities=np.array(rows, np.float32).reshape(len(rows), len(class_names)),
        statuses=dict(statuses),
        read_s=float(seen_s[np.array(read, bool)].sum()),
        watchable_s=float(seen_s[np.array(watchable, bool)].sum()),
        smallest_px=float(np.median(smallest_px)) if smallest_px else None,
    )


@dataclass(frozen=True)
class KeptFiles:
    """Folders for what is kept of each video: found events (JSONL), the made video itself (.mp4)."""

    events: Path | None = None
    videos: Path | None = None

    def folders(self) -> list[Path]:
        return [path for path in (self.events, self.videos) if path]


@dataclass(frozen=True, eq=False)
class VideoLine:
    """A video to draw. `times_s` (n,) and `trace` (n,): how sure the answers are of an expression, 0..1, NaN for none."""

    video: SpottedVideo
    distractions: Sequence[Distraction]
    times_s: NDArray[np.float64]
    trace: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Watched:
    """A video, its truth (nothing for clips) and what the live program said of it."""

    name: str
    people: tuple[str, ...]
    truth: tuple[TruthEvent, ...]
    distractions: tuple[Distraction, ...]
    run: WatchedRun

    @property
    def spotted(self) -> SpottedVideo:
        return SpottedVideo(self.name, self.run.seconds, self.truth, self.run.events, self.run.watchable_s)

    def timeline(self, class_names: Sequence[str]) -> VideoLine:
        """For the chart; the trace is 1 - p(neutral), or for models without that class the surest answer."""
        answers = self.run.probabilities
        trace = 1 - answers[:, class_names.index(NEUTRAL)] if NEUTRAL in class_names else answers.max(axis=1)
        return VideoLine(self.spotted, self.distractions, self.run.times_s, trace)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times in whole milliseconds. Candidates that count at no sensitivity are left out, and of events their
        evidence: the JSONL files of `KeptFiles` have all of it."""
        return {
            "name": self.name,
            "people": self.people,
            "seconds": round(self.run.seconds, 3),
            "watchable_s": round(self.run.watchable_s, 3),
            "smallest_px": None if self.run.smallest_px is None else round(self.run.smallest_px, 3),
            "frames": self.run.frames,
            "fps_with_drawing": round(self.run.frames / self.run.took_s, 1) if self.run.took_s else None,
            "statuses": self.run.statuses,
            "distractions": dict(Counter(distraction.kind for distraction in self.distractions)),
            "truth": [_rounded(event) for event in self.truth],
            "found": [_rounded(event) for event in self.run.events if event.rejected not in UNJUDGED],
        }


def _rounded(event: Any) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(event).items()
        if name != "evidence"
    }


class Watcher:
    """Has the live program watch videos, one after the other, and keeps of each what `outputs` asks for."""

    def __init__(self, recognizer: Recognizer, outputs: KeptFiles | None = None) -> None:
        self._recognizer = recognizer
        self._outputs = outputs or KeptFiles()

    def made(
        self, video: LongVideo, sampling: Sampling, compress: bool = False, advance: Advance = lambda frames: None
    ) -> Watched:
        """Watches a made video; `compress` has it go through a compressed file first."""
        frames = video.frames(sampling)
        if compress:
            frames = compressed(frames, sampling.fps)
        if self._outputs.videos:
            frames = write_while(frames, self._outputs.videos / f"{video.name}.mp4", sampling.fps)
        source = PictureSource(video.info(sampling), frames)
        return self._watch(source, video.name, video.people, video.events, video.distractions, advance)

    def clip(self, path: Path, advance: Advance = lambda frames: None) -> Watched:
        """Watches a video file in which nothing is annotated; raises TrainError when it cannot be read."""
        try:
            return self._watch(open_source(str(path), "fast"), path.stem, (), (), (), advance)
        except SourceError as error:
            raise TrainError(str(error)) from error

    def _watch(
        self,
        source: FrameSource,
        name: str,
        people: tuple[str, ...],
        truth: tuple[TruthEvent, ...],
        distractions: tuple[Distraction, ...],
        advance: Advance,
    ) -> Watched:
        run = run_live(self._recognizer, source, advance)
        if self._outputs.events:
            lines = [json.dumps(dataclasses.asdict(event)) + "\n" for event in run.events]
            write_text(self._outputs.events / f"{name}.jsonl", "".join(lines))
        return Watched(name, people, truth, distractions, run)
