"""Videos that the live program has watched: made ones with their truth, and clips without annotations.

What the live line saw of a video, in one file: for trying detector ideas offline, in seconds instead of minutes.

The live line over a video, and the events that came of it.
"""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL, ClipContract
from model.types import Event, FrameResult, Status
from stream.recognizer import Recognizer
from stream.sources.base import FrameSource, SourceError
from stream.sources.open import open_source
from stream.sources.pictures import PictureSource
from train.errors import TrainError
from train.files import write_text, write_with
from train.spotting.event_tables import VideoLine
from train.spotting.match import SpottedVideo, TruthEvent
from train.synth.long_video import LongVideo, Sampling, compressed, write_while
from train.synth.long_video_script import Distraction

STATUSES: tuple[str, ...] = get_args(Status)
Advance = Callable[[int], Any]


class Dump:
    """Collects results; `write` makes an uncompressed .npz of n frames.

    `time_s` (n,), `status` (n,) index into `statuses`, `probabilities` (n, classes) NaN where there is no answer,
    `filled` (n,), `transform` (n, 2, 3) NaN without a face, `rekeyed` (n,), `crop` uint8 (n, size, size[, 3]) 0 without
    a face, `classes`, `statuses`, and of the truth `event_kind`, `event_label`, `event_onset_s`, `event_apex_s`,
    `event_offset_s`, `event_peak_px`, `other_kind`, `other_start_s`, `other_end_s`; `about` is JSON.
    """

    def __init__(self, contract: ClipContract) -> None:
        self._contract = contract
        size = contract.crop.size_px
        self._empty = np.zeros((size, size) if contract.input.colour == "grey" else (size, size, 3), np.uint8)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, result: FrameResult) -> None:
        names, answer, face = self._contract.class_names, result.prediction, result.face
        self._rows.append(
            (
                result.frame.time_s,
                STATUSES.index(result.status),
                [answer.probabilities[name] for name in names] if answer else [np.nan] * len(names),
                result.filled,
                face.transform if face else np.full((2, 3), np.nan),
                face.rekeyed if face else False,
                face.crop if face else self._empty,
            )
        )

    def collect(self, results: Iterable[FrameResult]) -> None:
        for result in results:
            self.add(result)

    def write(
        self, path: Path, events: Sequence[TruthEvent], others: Sequence[Distraction], about: dict[str, Any]
    ) -> None:
        times, statuses, probabilities, filled, transforms, rekeyed, crops = zip(*self._rows, strict=True)
        arrays: dict[str, Any] = {
            "time_s": np.array(times),
            "status": np.array(statuses, np.uint8),
            "probabilities": np.array(probabilities, np.float32),
            "filled": np.array(filled, np.int16),
            "transform": np.array(transforms),
            "rekeyed": np.array(rekeyed),
            "crop": np.stack(crops),
            "classes": np.array(self._contract.class_names),
            "statuses": np.array(STATUSES),
            "about": np.array(json.dumps(about)),
        }
        for name in ("kind", "label", "onset_s", "apex_s", "offset_s", "peak_px"):
            arrays[f"event_{name}"] = np.array([getattr(event, name) for event in events])
        for name in ("kind", "start_s", "end_s"):
            arrays[f"other_{name}"] = np.array([getattr(other, name) for other in others])
        write_with(path, lambda temporary: np.savez(temporary, **arrays))


@dataclass(frozen=True, eq=False)
class WatchedRun:
    """What the live line said of a video. `events` holds rejected candidates too.

    `times_s` (n,) and `probabilities` (n, classes), NaN where there was no answer, are those of every frame;
    `statuses` counts frames by status. `seconds` is the video's length, `took_s` how long it took, drawing included.
    """

    events: tuple[Event, ...]
    seconds: float
    took_s: float
    times_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    statuses: dict[str, int]

    @property
    def frames(self) -> int:
        return len(self.times_s)


def run_live(
    recognizer: Recognizer,
    source: FrameSource,
    dump: Dump | None = None,
    advance: Advance = lambda frames: None,
) -> WatchedRun:
    """Runs a source that is not open yet through the live program to its end. `advance` is called for every frame."""
    return collect(recognizer.run(source), recognizer.contract.class_names, dump, advance)


def collect(
    results: Iterable[FrameResult],
    class_names: tuple[str, ...],
    dump: Dump | None = None,
    advance: Advance = lambda frames: None,
) -> WatchedRun:
    """A WatchedRun from a stream of results."""
    started_s = time.perf_counter()
    events: list[Event] = []
    times: list[float] = []
    rows: list[list[float]] = []
    statuses: Counter[str] = Counter()
    for result in results:
        answer = result.prediction
        times.append(result.frame.time_s)
        rows.append([answer.probabilities[name] for name in class_names] if answer else [np.nan] * len(class_names))
        statuses[result.status] += 1
        events += result.events
        if dump:
            dump.add(result)
        advance(1)
    times_s = np.array(times, np.float64)
    return WatchedRun(
        events=tuple(sorted(events, key=lambda event: event.onset_s)),
        seconds=float(times_s[-1] - times_s[0] + np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0,
        took_s=time.perf_counter() - started_s,
        times_s=times_s,
        probabilities=np.array(rows, np.float32).reshape(len(rows), len(class_names)),
        statuses=dict(statuses),
    )


@dataclass(frozen=True)
class KeptFiles:
    """Folders for what is kept of each video: found events (JSONL), dumps (.npz), the made video itself (.mp4)."""

    events: Path | None = None
    dumps: Path | None = None
    videos: Path | None = None

    def folders(self) -> list[Path]:
        return [path for path in (self.events, self.dumps, self.videos) if path]


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
        return SpottedVideo(self.name, self.run.seconds, self.truth, self.run.events)

    def timeline(self, class_names: Sequence[str]) -> VideoLine:
        """For the chart; the trace is 1 - p(neutral), or for models without that class the surest answer."""
        answers = self.run.probabilities
        trace = 1 - answers[:, class_names.index(NEUTRAL)] if NEUTRAL in class_names else answers.max(axis=1)
        return VideoLine(self.spotted, self.distractions, self.run.times_s, trace)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times in whole milliseconds."""
        return {
            "name": self.name,
            "people": self.people,
            "seconds": round(self.run.seconds, 3),
            "frames": self.run.frames,
            "fps_with_drawing": round(self.run.frames / self.run.took_s, 1) if self.run.took_s else None,
            "statuses": self.run.statuses,
            "distractions": dict(Counter(distraction.kind for distraction in self.distractions)),
            "truth": [_rounded(event) for event in self.truth],
            "found": [_rounded(event) for event in self.run.events],
        }


def _rounded(event: Any) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(event).items()
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
        dump = Dump(self._recognizer.contract) if self._outputs.dumps else None
        run = run_live(self._recognizer, source, dump, advance)
        if dump and self._outputs.dumps:
            about = {"name": name, "people": people, "seconds": run.seconds}
            dump.write(self._outputs.dumps / f"{name}.npz", truth, distractions, about)
        if self._outputs.events:
            lines = [json.dumps(dataclasses.asdict(event)) + "\n" for event in run.events]
            write_text(self._outputs.events / f"{name}.jsonl", "".join(lines))
        return Watched(name, people, truth, distractions, run)
