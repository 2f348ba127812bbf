"""Pictures that are made as they are wanted, as a source of the live line."""

import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from model.types import Frame, Image
from stream.sources.base import SourceInfo


class PictureSource:
    """A FrameSource over (time_s, BGR uint8 picture) pairs; nothing is dropped, nothing is paced."""

    def __init__(self, info: SourceInfo, pictures: Iterable[tuple[float, Image]]) -> None:
        self.info = info
        self.dropped = 0
        self._pictures = pictures
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()

    def __iter__(self) -> Iterator[Frame]:
        started_s = time.perf_counter()
        for index, (time_s, picture) in enumerate(self._pictures):
            if self._stopped.is_set():
                return
            now_s = time.perf_counter()
            yield Frame(index, time_s, picture, time.monotonic(), 1000 * (now_s - started_s))
            started_s = time.perf_counter()
