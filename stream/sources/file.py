"""Video files."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from model.quiet import native_log_held_back
from model.types import Frame, Pace
from stream.picture_limits import too_large
from stream.sources.base import FileTimes, FrameSource, Pacer, SourceError, SourceInfo


class FileSource(FrameSource):
    """A video file, every frame of it, at its own presentation times.

    `pace` "realtime" hands frames out no faster than they were taken, "fast" as soon as they are wanted.
    """

    def __init__(self, path: Path, pace: Pace = "realtime") -> None:
        super().__init__()
        self._path = path
        self._pace: Pace = pace

    def __enter__(self) -> Self:
        self._check_path()
        with quiet_decoder():
            self._capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
            wrong = too_large(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            opened, first = self._capture.read() if self._capture.isOpened() and not wrong else (False, None)
        if wrong:
            self._capture.release()
            raise SourceError(f"{self._path}: {wrong}")
        if not opened or first is None:
            self._capture.release()
            raise SourceError(f"{self._path} holds no video that can be decoded: it may be cut off or of another kind")
        self._first = first
        height, width = first.shape[:2]
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        fps = fps if np.isfinite(fps) and 0 < fps <= 1000 else 0.0
        self.info = SourceInfo(self._path.name, width, height, fps, live=False, frames=count if count > 0 else None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._capture.release()

    def _check_path(self) -> None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            raise SourceError(
                f"{self._path} does not exist: give a video file, a URL, `demo`, or use --camera N"
            ) from None
        except OSError as error:
            raise SourceError(f"{self._path} cannot be read: {error.strerror}") from error
        if self._path.is_dir():
            raise SourceError(f"{self._path} is a folder: give a video file")
        if not os.access(self._path, os.R_OK):
            raise SourceError(f"{self._path} cannot be read: you have no permission to")
        if size == 0:
            raise SourceError(f"{self._path} is empty: give a video file")

    def __iter__(self) -> Iterator[Frame]:
        step_s = 1.0 / (self.info.fps or 30.0)
        image = self._first
        pacer = Pacer(self._pace, self._stopped)
        times = FileTimes(step_s)
        index = 0
        decode_ms = 0.0
        while image is not None and not self._stopped.is_set():
            last_s = times.step(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0)
            pacer.wait(last_s)
            if self._stopped.is_set():
                return
            yield Frame(index, last_s, image, time.monotonic(), decode_ms)
            index += 1
            started_s = time.perf_counter()
            found, image = self._capture.read()
            decode_ms = 1000 * (time.perf_counter() - started_s)
            image = image if found else None


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keeps the decoder's own words about a source off the screen; our one line says what is wrong."""
    # FFmpeg's log has a switch of its own, read when a process opens its first video.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with native_log_held_back(shown_on_error=True):
        yield
