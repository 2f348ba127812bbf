"""Pictures that are made as they are wanted, or that somebody has already."""

import time
from collections.abc import Iterable, Iterator

from model.types import Frame, Image
from stream.picture_limits import too_large
from stream.sources.base import FrameSource, SourceError, SourceInfo


class PictureSource(FrameSource):
    """Pictures BGR uint8 (height, width, 3) with their times, as pairs (time_s, picture), numbered from 0.

    Nothing is dropped, nothing is paced. With `info.live` it is treated as a camera: its last events come by
    `LivePipeline.finish`. One that is too large raises `SourceError`.
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
            if (wrong := too_large(picture.shape[1], picture.shape[0])) is not None:
                raise SourceError(f"{self.info.name}, picture {index}: {wrong}")
            yield Frame(index, time_s, picture, time.monotonic(), 1000 * (now_s - started_s))
            started_s = time.perf_counter()
