"""Video files, and video that comes through a pipe."""

import os
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from av.error import FFmpegError

from model.guards import shown
from model.quiet import native_log_held_back
from model.types import Frame, Pace
from stream.picture_limits import too_large
from stream.sources.base import FileTimes, FrameSource, Pacer, SourceError, SourceInfo
from stream.sources.decoder import DecodedPicture, VideoDecoder

_GAP_S, _GAP_FRAMES = 0.5, 3
"""A step in time is a gap when it is longer than both."""
_SHORT_S = 0.5
_NO_VIDEO = "it may be cut off or of another kind"
_EVEN_STEPS = 0.1
_POLL_S = 0.1


class FileSource(FrameSource):
    """A video file, every frame of it, upright, at its own presentation times: seconds from where the file begins, sound
    included.

    `path` None is standard input. `pace` "realtime" hands frames out no faster than they were taken, "fast" as soon as
    they are wanted. `fps`: at so many frames a second it was filmed, whatever rate it is stored at: its times are scaled.
    """

    def __init__(self, path: Path | None, pace: Pace = "realtime", fps: float | None = None) -> None:
        super().__init__()
        self._path = path
        self._name = "standard input" if path is None else shown(str(path))
        self._pace: Pace = pace
        self._fps = fps
        self._decoder: VideoDecoder | None = None
        self._opened = ExitStack()
        self._pipe: _Pipe | None = None
        self._gaps = 0
        self._longest_gap_s = (0.0, 0.0)
        self._ended_s: float | None = None

    def __enter__(self) -> Self:
        first = wrong = None
        with suppress(FFmpegError, ValueError), quiet_decoder():
            self._decoder = decoder = VideoDecoder(self._target())
            self._opened.callback(decoder.close)
            self._pictures = decoder.pictures()
            wrong = too_large(*decoder.size_px)
            first = None if wrong else next(self._pictures, None)
        if first is None:
            self._opened.close()
            if self._pipe is not None and self._pipe.interrupted:
                raise KeyboardInterrupt
            if wrong:
                raise SourceError(f"{self._name}: {wrong}")
            advice = "pipe Matroska, MPEG-TS or the like into it" if self._path is None else _NO_VIDEO
            raise SourceError(f"{self._name} holds no video that can be decoded: {advice}")
        self._first = first
        height, width = first.image.shape[:2]
        self._stored_fps = decoder.stored_fps or 30.0
        self._scale = self._stored_fps / self._fps if self._fps else 1.0
        self._place, self._stored_s = -1.0, -1 / self._stored_fps
        self._stored_times = FileTimes(1 / self._stored_fps)
        name = self._name if self._path is None else shown(self._path.name)
        fps = self._fps or decoder.fps
        self.info = SourceInfo(name, width, height, fps, live=False, frames=decoder.frames)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._opened.close()

    @property
    def notice(self) -> str | None:
        told = None if self._decoder is None or self._fps else self._decoder.filmed_fps
        if told is None:
            return None
        return (
            f"{self.info.name} says that it was filmed at {told:g} frames a second, and is stored at {self.info.fps:g}: "
            f"give --fps {told:g} for the times of the filming"
        )

    @property
    def losses(self) -> dict[str, int]:
        damaged = 0 if self._decoder is None else self._decoder.damaged
        return {"bad_frame": damaged} if damaged else {}

    def remarks(self) -> tuple[str, ...]:
        found: list[str] = []
        if self.losses:
            found.append(f"{self.info.name}: pictures left out that cannot be decoded: {self.losses['bad_frame']}")
        if self._gaps:
            first_s, last_s = self._longest_gap_s
            which = "a gap" if self._gaps == 1 else f"{self._gaps} gaps, the longest"
            found.append(f"{self.info.name}: {which} without pictures from {first_s:.1f} s to {last_s:.1f} s")
        stated_s = None if self._decoder is None else self._decoder.stated_end_s
        if stated_s is not None and self._ended_s is not None and self._ended_s < stated_s * self._scale - _SHORT_S:
            found.append(
                f"{self.info.name}: its pictures end at {self._ended_s:.1f} s, though it says that it lasts until "
                f"{stated_s * self._scale:.1f} s: it may be cut off"
            )
        return tuple(found)

    def __iter__(self) -> Iterator[Frame]:
        step_s = 1.0 / (self.info.fps or 30.0)
        gap_s = max(_GAP_S, _GAP_FRAMES * step_s)
        picture: DecodedPicture | None = self._first
        pacer = Pacer(self._pace, self._stopped)
        times = FileTimes(step_s)
        index = 0
        decode_ms = 0.0
        last_s = -step_s
        while picture is not None and not self._stopped.is_set():
            time_s = last_s if picture.time_s is None else picture.time_s
            time_s = self._filmed_s(time_s) if self._fps else times.step(time_s)
            if index and abs(time_s - last_s) > gap_s:
                self._gaps += 1
                self._longest_gap_s = max(self._longest_gap_s, (last_s, time_s), key=lambda gap: abs(gap[1] - gap[0]))
            last_s = time_s
            pacer.wait(last_s)
            if self._stopped.is_set():
                return
            yield Frame(index, last_s, picture.image, time.monotonic(), decode_ms)
            index += 1
            lasts_s = max(step_s, picture.lasts_s * self._scale)
            started_s = time.perf_counter()
            picture = self._next(last_s)
            decode_ms = 1000 * (time.perf_counter() - started_s)
            if picture is None and not self._stopped.is_set():
                self._ended_s = last_s + lasts_s

    def _filmed_s(self, stored_s: float) -> float:
        """When the next picture was taken. Containers round their times: what is all but a whole number of pictures after
        the one before is that."""
        assert self._fps is not None
        stored_s = self._stored_times.step(stored_s)
        steps = (stored_s - self._stored_s) * self._stored_fps
        self._stored_s = stored_s
        self._place += round(steps) if abs(steps - round(steps)) < _EVEN_STEPS else steps
        return self._place / self._fps

    def _next(self, last_s: float) -> DecodedPicture | None:
        try:
            return next(self._pictures, None)
        except (FFmpegError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise SourceError(f"{self._name}: reading broke off after {last_s:.1f} s: {why}") from error

    def _target(self) -> "str | _Pipe":
        """What the decoder is to read, if it can be read at all."""
        path = self._path
        if path is None:
            if sys.stdin is None or sys.stdin.isatty():
                raise SourceError("standard input is no pipe: give it a video, e.g. ffmpeg … | run_live.py --source -")
            return self._piped(sys.stdin.fileno())
        try:
            found = path.stat()
        except FileNotFoundError:
            raise SourceError(
                f"{self._name} does not exist: give a video file, a URL, `demo`, or use --camera N"
            ) from None
        except OSError as error:
            raise SourceError(f"{self._name} cannot be read: {error.strerror}") from error
        if path.is_dir():
            raise SourceError(f"{self._name} is a folder: give a video file")
        if not os.access(path, os.R_OK):
            raise SourceError(f"{self._name} cannot be read: you have no permission to")
        if not stat.S_ISREG(found.st_mode):
            descriptor = os.open(path, os.O_RDONLY)
            self._opened.callback(os.close, descriptor)
            return self._piped(descriptor)
        if found.st_size == 0:
            raise SourceError(f"{self._name} is empty: give a video file")
        return ffmpeg_name(path)

    def _piped(self, descriptor: int) -> "_Pipe":
        self._pipe = _Pipe(descriptor, self._stopped)
        return self._pipe


class _Pipe:
    """What the decoder reads from a pipe; it ends when the source is stopped, or the program is `interrupted`, even while
    nothing comes."""

    name = "pipe"

    def __init__(self, descriptor: int, stopped: threading.Event) -> None:
        self._descriptor = descriptor
        self._stopped = stopped
        self.interrupted = False

    def read(self, size: int) -> bytes:
        try:
            while not self._stopped.is_set():
                # Windows cannot wait for a pipe without reading from it.
                if os.name == "nt" or select.select([self._descriptor], [], [], _POLL_S)[0]:
                    return os.read(self._descriptor, size)
        except KeyboardInterrupt:  # FFmpeg, which asks, would not hand it on
            self.interrupted = True
        return b""


def ffmpeg_name(path: Path) -> str:
    """A file's name as FFmpeg takes it, whatever is in it: a bare name with a colon would be an address."""
    return f"file:{os.path.abspath(path)}"


def is_utf8(path: Path) -> bool:
    """Whether a file's name is: OpenCV's writers end the process over one that is not."""
    return not any("\ud800" <= letter <= "\udfff" for letter in str(path))


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keeps the decoder's own words about a source off the screen; our one line says what is wrong."""
    # FFmpeg's log has a switch of its own, read when a process opens its first video.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with native_log_held_back(shown_on_error=True):
        yield
