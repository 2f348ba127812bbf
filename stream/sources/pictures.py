"""Pictures that are made as they are wanted: anybody's, and the built-in demo."""

import time
from collections.abc import Iterable, Iterator
from typing import Self

from model.types import Frame, Image, Pace
from stream.sources.base import FrameSource, Pacer, SourceInfo


class PictureSource(FrameSource):
    """Pictures BGR uint8 (height, width, 3) with their times, as pairs (time_s, picture), numbered from 0.

    Nothing is dropped, nothing is paced. With `info.live` it is treated as a camera: its last events come by
    `LivePipeline.finish`.
    """

    def __init__(self, info: SourceInfo, pictures: Iterable[tuple[float, Image]]) -> None:
        super().__init__()
        self.info = info
        self._pictures = pictures

    def __iter__(self) -> Iterator[Frame]:
        started_s = time.perf_counter()
        for index, (time_s, picture) in enumerate(self._pictures):
            if self._stopped.is_set():
                return
            now_s = time.perf_counter()
            yield Frame(index, time_s, picture, time.monotonic(), 1000 * (now_s - started_s))
            started_s = time.perf_counter()


class DemoSource(FrameSource):
    """The built-in demo: a clip with known micro-expressions, rendered as it plays. `events` is the truth."""

    def __init__(self, pace: Pace = "realtime") -> None:
        super().__init__()
        self._pace: Pace = pace

    def __enter__(self) -> Self:
        from train.synth.demo import DemoClip

        self._clip = DemoClip()
        self.events = self._clip.events
        self.info = SourceInfo(
            "demo", self._clip.size_px, self._clip.size_px, self._clip.fps, live=False, frames=self._clip.frames
        )
        return self

    def __iter__(self) -> Iterator[Frame]:
        pacer = Pacer(self._pace, self._stopped)
        for index in range(self._clip.frames):
            started_s = time.perf_counter()
            image = self._clip.frame(index)
            decode_ms = 1000 * (time.perf_counter() - started_s)
            time_s = index / self._clip.fps
            pacer.wait(time_s)
            if self._stopped.is_set():
                return
            yield Frame(index, time_s, image, time.monotonic(), decode_ms)
