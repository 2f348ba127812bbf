"""Videos that the live program has watched: made ones with their truth, and clips without annotations."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.contract import NEUTRAL
from stream.recognizer import Recognizer
from stream.sources.base import FrameSource, SourceError
from stream.sources.open import open_source
from train.errors import TrainError
from train.rundir import write_text
from train.spotting import SpottedVideo, TruthEvent
from train.spotting_chart import Timeline
from train.spotting_dump import Dump
from train.spotting_live import Advance, LiveRun, run_live
from train.spotting_source import PictureSource
from train.synth.long_video import LongVideo, Sampling
from train.synth.long_video_script import Distraction
from train.synth.video_file import compressed, write_while


@dataclass(frozen=True)
class Outputs:
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
    run: LiveRun

    @property
    def spotted(self) -> SpottedVideo:
        return SpottedVideo(self.name, self.run.seconds, self.truth, self.run.events)

    def timeline(self, class_names: Sequence[str]) -> Timeline:
        """For the chart; the trace is 1 - p(neutral), or for models without that class the surest answer."""
        answers = self.run.probabilities
        trace = 1 - answers[:, class_names.index(NEUTRAL)] if NEUTRAL in class_names else answers.max(axis=1)
        return Timeline(self.spotted, self.distractions, self.run.times_s, trace)

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

    def __init__(self, recognizer: Recognizer, outputs: Outputs | None = None) -> None:
        self._recognizer = recognizer
        self._outputs = outputs or Outputs()

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
