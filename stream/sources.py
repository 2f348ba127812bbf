"""Where frames come from: cameras, files, network streams and the built-in demo, one small interface.

A source is opened by `with`, then iterated once. Frames carry the source's own time: the presentation time of files, a
monotonic clock for live sources. Files drop nothing; of a live source the newest frame wins and the rest are counted.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np

from model.types import Frame, Pace
from stream.native_log import native_log_held_back

_OPEN_TIMEOUT_MS = 5000
_READ_TIMEOUT_MS = 5000
_MAX_CAMERAS = 10


class SourceError(RuntimeError):
    """A source cannot be opened or read: one line that says what and what to do."""


@dataclass(frozen=True)
class SourceInfo:
    """`fps` is what the source says of itself (0 when unknown); `frames` None when there is no end."""

    name: str
    width_px: int
    height_px: int
    fps: float
    live: bool
    frames: int | None = None


class FrameSource(Protocol):
    """Open with `with`, read `info`, iterate once. `dropped` counts frames that were read but not given out."""

    @property
    def info(self) -> SourceInfo: ...

    @property
    def dropped(self) -> int: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def stop(self) -> None:
        """Ends the iteration soon, from any thread."""
        ...


class _Pacer:
    """Holds frames back to the speed they were taken at. After a hold-up (pause, slow reader) it goes on from there."""

    _LATE_S = 0.25

    def __init__(self, pace: Pace, stopped: threading.Event) -> None:
        self._realtime = pace == "realtime"
        self._stopped = stopped
        self._started_s: float | None = None

    def wait(self, time_s: float) -> None:
        if not self._realtime:
            return
        now_s = time.monotonic()
        if self._started_s is None or now_s - self._started_s - time_s > self._LATE_S:
            self._started_s = now_s - time_s
        self._stopped.wait(max(0.0, self._started_s + time_s - now_s))


class FileSource:
    """A video file, every frame of it, at its own presentation times.

    `pace` "realtime" hands frames out no faster than they were taken, "fast" as soon as they are wanted.
    """

    def __init__(self, path: Path, pace: Pace = "realtime") -> None:
        self._path = path
        self._pace: Pace = pace
        self._stopped = threading.Event()
        self.dropped = 0

    def __enter__(self) -> Self:
        self._check_path()
        with _quiet_decoder():
            self._capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
            opened, first = self._capture.read() if self._capture.isOpened() else (False, None)
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
        self.stop()
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

    def stop(self) -> None:
        self._stopped.set()

    def __iter__(self) -> Iterator[Frame]:
        step_s = 1.0 / (self.info.fps or 30.0)
        image = self._first
        pacer = _Pacer(self._pace, self._stopped)
        last_s = -step_s
        index = 0
        decode_ms = 0.0
        while image is not None and not self._stopped.is_set():
            time_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            # Some containers give no times or times that stand still; the frame rate stands in for them.
            if not time_s > last_s:
                time_s = last_s + step_s
            last_s = time_s
            pacer.wait(time_s)
            if self._stopped.is_set():
                return
            yield Frame(index, time_s, image, time.monotonic(), decode_ms)
            index += 1
            started_s = time.perf_counter()
            found, image = self._capture.read()
            decode_ms = 1000 * (time.perf_counter() - started_s)
            image = image if found else None


class LiveSource:
    """A camera index or a stream's URL. A thread drains it, so that a slow reader gets the newest frame, not the oldest."""

    def __init__(self, target: int | str) -> None:
        self._target = target
        self._name = f"camera {target}" if isinstance(target, int) else without_credentials(target)
        self._stopped = threading.Event()
        self._fresh = threading.Condition()
        self._newest: Frame | None = None
        self._ended = False
        self.dropped = 0

    def __enter__(self) -> Self:
        with _quiet_decoder():
            self._capture = self._open()
            opened, image = self._capture.read() if self._capture.isOpened() else (False, None)
        if not opened or image is None:
            self._capture.release()
            if isinstance(self._target, int):
                raise SourceError(f"camera {self._target} cannot be opened: see --list-cameras")
            raise SourceError(f"{self._name} cannot be opened: check the address and that the server is up")
        height, width = image.shape[:2]
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        fps = fps if np.isfinite(fps) and 0 < fps <= 1000 else 0.0
        self.info = SourceInfo(self._name, width, height, fps, live=True)
        self._started_s = time.monotonic()
        self._newest = Frame(0, 0.0, image, self._started_s)
        self._thread = threading.Thread(target=self._drain, name="capture", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        # A read that hangs in the driver cannot be broken off; the thread is a daemon and owns the capture then.
        self._thread.join(timeout=1.0)
        if not self._thread.is_alive():
            self._capture.release()

    def stop(self) -> None:
        self._stopped.set()
        with self._fresh:
            self._fresh.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._fresh:
                self._fresh.wait_for(lambda: self._newest is not None or self._ended or self._stopped.is_set())
                frame, self._newest = self._newest, None
            if frame is None or self._stopped.is_set():
                return
            yield frame

    def _open(self) -> cv2.VideoCapture:
        if isinstance(self._target, int):
            return cv2.VideoCapture(self._target)
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT_MS,
        ]  # fmt: skip
        return cv2.VideoCapture(self._target, cv2.CAP_FFMPEG, timeouts)

    def _drain(self) -> None:
        index = 1
        while not self._stopped.is_set():
            found, image = self._capture.read()
            now_s = time.monotonic()
            if not found:
                break
            with self._fresh:
                if self._newest is not None:
                    self.dropped += 1
                self._newest = Frame(index, now_s - self._started_s, image, now_s)
                self._fresh.notify()
            index += 1
        with self._fresh:
            self._ended = True
            self._fresh.notify()


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
        pacer = _Pacer(self._pace, self._stopped)
        for index in range(self._clip.frames):
            started_s = time.perf_counter()
            image = self._clip.frame(index)
            decode_ms = 1000 * (time.perf_counter() - started_s)
            time_s = index / self._clip.fps
            pacer.wait(time_s)
            if self._stopped.is_set():
                return
            yield Frame(index, time_s, image, time.monotonic(), decode_ms)


def open_source(text: str, pace: Pace = "realtime") -> FrameSource:
    """The source that a user's word stands for: `demo`, a URL, or a file's path."""
    if text == "demo":
        return DemoSource(pace)
    if "://" in text:
        return LiveSource(text)
    return FileSource(Path(text).expanduser(), pace)


def list_cameras() -> list[SourceInfo]:
    """Cameras that open and give a picture, index 0 to 9."""
    found: list[SourceInfo] = []
    for index in range(_MAX_CAMERAS):
        try:
            with LiveSource(index) as source:
                found.append(source.info)
        except SourceError:
            continue
    return found


def without_credentials(url: str) -> str:
    """The URL without user name and password, for the screen and for logs; SourceError when it is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SourceError(f"the address of the stream is not a valid URL: {error}") from error
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@contextmanager
def _quiet_decoder() -> Iterator[None]:
    """Keeps the decoder's own words about a source off the screen; our one line says what is wrong."""
    # FFmpeg's log has a switch of its own, read when a process opens its first video.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with native_log_held_back():
        yield
