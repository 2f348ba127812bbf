"""The built-in demo."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from model.types import Frame, Pace
from stream.sources.base import Pacer, SourceInfo


class DemoSource:
    """The built-in demo: a clip with known micro-expressions, rendered as it plays. `events` is the truth."""

    def __init__(self, pace: Pace = "realtime") -> None:
        self._pace: Pace = pace
        self._stopped = threading.Event()
        self.dropped = 0

    def __enter__(self) -> Self:
        from train.synth.demo import DemoClip

        self._clip = DemoClip()
        self.events = self._clip.events
        self.info = SourceInfo(
            "demo", self._clip.size_px, self._clip.size_px, self._clip.fps, live=False, frames=self._clip.frames
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()

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
