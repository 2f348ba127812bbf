"""What all sources have in common, what of a stream's address may be shown, and how patient live sources are."""

import math
import os
import random
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from model.errors import MicroliveError
from model.guards import shown
from model.types import Frame, Pace
from stream.health import SourceStatus

MOST_CAMERA_FPS = 1000.0
_SCHEMES = frozenset(
    [
        "file",
        "ftp",
        "ftps",
        "hls",
        "http",
        "https",
        "mms",
        "mmsh",
        "mmst",
        "rtmp",
        "rtmpe",
        "rtmps",
        "rtmpt",
        "rtmpte",
        "rtmpts",
        "rtp",
        "rtsp",
        "rtsps",
        "rtspt",
        "rtspu",
        "sftp",
        "srt",
        "srtp",
        "tcp",
        "tls",
        "udp",
        "unix",
        "ws",
        "wss",
    ]
)
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_LIKE_AN_ADDRESS = re.compile(r"[@?&=#]|:\d|^[a-zA-Z][\w+.-]+:|^[\w-]+(\.[\w-]+)+/")
"""Of what is no file: user and password, fields, a port, a scheme, a host's name before a path."""


class SourceError(MicroliveError, RuntimeError):
    """A source cannot be opened or read: one line that says what and what to do.

    Example:
        ```python
        try:
            for result in recognizer.run("rtsp://camera.local/stream"):
                print(result.status)
        except SourceError as error:
            print(error)
        ```
    """


@dataclass(frozen=True)
class SourceInfo:
    """What an open source says of itself.

    Attributes:
        name: For people; without credentials.
        width_px: Of its pictures.
        height_px: Of its pictures.
        fps: Its frames a second, 0 when unknown.
        live: A camera or stream, of which the newest frame wins.
        frames: How many there are; None when that is unknown or there is no end.

    Example:
        ```python
        SourceInfo("my frames", width_px=640, height_px=480, fps=30.0, live=False)
        ```
    """

    name: str
    width_px: int
    height_px: int
    fps: float
    live: bool
    frames: int | None = None


class FrameSource(ABC):
    """Open with `with`, read `info`, iterate once.

    A source of one's own sets `info` and iterates; what it opens, it opens and closes as a context manager. It ends its
    iteration when `_stopped` is set.

    Attributes:
        info: What it says of itself, once it is open.
        dropped: Frames that were read but not given out.

    Example:
        ```python
        class Pictures(FrameSource):
            info = SourceInfo("pictures", 640, 480, 30.0, live=False)

            def __iter__(self) -> Iterator[Frame]:
                for index, image in enumerate(my_pictures()):
                    yield Frame(index, index / 30, image, time.monotonic())
        ```
    """

    info: SourceInfo

    def __init__(self) -> None:
        self.dropped = 0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def stop(self) -> None:
        """Ends the iteration soon, from any thread."""
        self._stopped.set()

    def status(self) -> SourceStatus | None:
        """How a live source stands, from any thread; None for one that cannot lose what it reads from."""
        return None

    @property
    def notice(self) -> str | None:
        """One line of what is to be known of an open source before it is read; None for nothing."""
        return None

    @property
    def losses(self) -> Mapping[str, int]:
        """By cause, how many frames could not be given out: part of `Health.dropped`. From any thread."""
        return {}

    def remarks(self) -> tuple[str, ...]:
        """What was odd about what has been read so far: one line each."""
        return ()


class Pacer:
    """Holds frames back to the speed they were taken at. After a hold-up (pause, slow reader) it goes on from there, and
    after a jump of the times too: no frame is waited for longer than a second."""

    _LATE_S = 0.25
    _LONGEST_S = 1.0

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
        self._started_s = min(self._started_s, now_s + self._LONGEST_S - time_s)
        self._stopped.wait(max(0.0, self._started_s + time_s - now_s))


class FileTimes:
    """The times of a file's frames. Some containers give none, or times that stand still: the frame rate, by `step_s`,
    stands in for them. A jump back, by more than a second, is the file's own."""

    _JUMP_S = 1.0

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._last_s = -step_s
        self._told_s = -math.inf

    def step(self, told_s: float) -> float:
        """The time of the next frame, of which the container says `told_s`."""
        jumped_back = told_s < self._told_s - self._JUMP_S
        self._told_s = told_s
        self._last_s = told_s if jumped_back or told_s > self._last_s else self._last_s + self._step_s
        return self._last_s


def without_credentials(url: str) -> str:
    """The URL for the screen, for files and for logs: scheme, host and port, and `…` for all the rest, since a password
    may stand anywhere in it (cameras take it in the path and in fields of any name). SourceError when it is no URL; the
    message shows nothing of it.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError(
            "the address of the stream is not a valid URL: expected scheme://host[:port]/path, with any of :/?#[]@% in a "
            "user name or password written as %3A and so on"
        ) from None
    if parts.scheme.lower() not in _SCHEMES:
        return "the address given"
    host, rest = parts.netloc.rpartition("@")[2], f"{parts.path}{parts.query}{parts.fragment}"
    # An @ further on: what stands for the host may be the beginning of a password with a slash in it.
    known = host if _HOST.fullmatch(host) and "@" not in rest else "…"
    return f"{parts.scheme.lower()}://{known}" + ("" if known == "…" or rest in ("", "/") else "/…")


def source_name(source: int | str) -> str:
    """What a user's word for a source is called, wherever it is shown or kept. SourceError for what looks like an address
    without its scheme, of which nothing is repeated."""
    if isinstance(source, int):
        return f"camera {source}"
    if "://" in source:
        return without_credentials(source)
    if source != "demo" and _LIKE_AN_ADDRESS.search(source) and not os.path.exists(os.path.expanduser(source)):
        raise SourceError(
            "the source does not exist as a file, and looks like an address without its scheme: begin with rtsp:// or "
            "http:// (it is not repeated here, for it may hold a password)"
        )
    return shown(source)


class NamedSource(FrameSource):
    """Another source under a name of the user's. What comes after it was opened, errors too, holds nothing of its own
    name, nor of `given`, the user's word for it."""

    def __init__(self, source: FrameSource, name: str, given: str) -> None:
        self._source = source
        self._name = name
        self._given = given
        super().__init__()

    @property
    def info(self) -> SourceInfo:
        return replace(self._source.info, name=self._name)

    @property
    def dropped(self) -> int:
        return self._source.dropped

    @dropped.setter
    def dropped(self, _: int) -> None:
        """Counted by the other one."""

    @property
    def notice(self) -> str | None:
        told = self._source.notice
        return None if told is None else self._renamed(told)

    @property
    def losses(self) -> Mapping[str, int]:
        return self._source.losses

    def remarks(self) -> tuple[str, ...]:
        return tuple(self._renamed(line) for line in self._source.remarks())

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._source
        except MicroliveError as error:
            raise SourceError(self._renamed(str(error))) from None

    def stop(self) -> None:
        self._source.stop()

    def status(self) -> SourceStatus | None:
        return self._source.status()

    def _renamed(self, words: str) -> str:
        for own in (os.path.expanduser(self._given), self._given, self._source.info.name):
            words = words.replace(own, self._name)
        return words


@dataclass(frozen=True)
class CameraSettings:
    """What a camera is asked for.

    Attributes:
        size_px: (width, height); None leaves it to the camera.
        fps: Frames a second; None leaves it to the camera.
        backend: One of `camera_backends()`, or `auto`.

    Raises:
        ValueError: A size or rate that cannot be.

    Example:
        ```python
        settings = LiveSettings(camera=CameraSettings(size_px=(1280, 720), fps=30))
        ```
    """

    size_px: tuple[int, int] | None = None
    fps: float | None = None
    backend: str = "auto"

    def __post_init__(self) -> None:
        if self.size_px is not None and min(self.size_px) < 1:
            raise ValueError(f"size_px: expected a width and a height of 1 or more, found {self.size_px}")
        if self.fps is not None and not 0 < self.fps <= MOST_CAMERA_FPS:
            raise ValueError(f"fps: expected more than 0 and up to {MOST_CAMERA_FPS:g}, found {self.fps}")


@dataclass(frozen=True)
class LiveSettings:
    """Patience with cameras and streams.

    Attributes:
        open_timeout_s: Until the first picture, whatever the driver or the decoder does.
        read_timeout_s: Until the next one.
        retry_for_s: An outage may last so long before the run ends with an error. None: for ever. 0: the end of a stream is
            the end of the run, and no error.
        wait: A source that is not there at the start is waited for in the same way.
        camera: What it is asked for; for cameras only.

    Raises:
        ValueError: A time that cannot be.

    Example:
        ```python
        source = open_source("rtsp://camera.local/stream", settings=LiveSettings(read_timeout_s=5, wait=True))
        ```
    """

    open_timeout_s: float = 5.0
    read_timeout_s: float = 2.0
    retry_for_s: float | None = None
    wait: bool = False
    camera: CameraSettings = field(default_factory=CameraSettings)

    def __post_init__(self) -> None:
        for name in ("open_timeout_s", "read_timeout_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}: expected a finite number above 0, found {value}")
        if self.retry_for_s is not None and not self.retry_for_s >= 0:
            raise ValueError(f"retry_for_s: expected 0 or more, found {self.retry_for_s}")


@dataclass(frozen=True)
class BackoffSettings:
    """Waits grow from `first_s` by `factor` to `max_s`; each is shortened by up to the share `jitter`, at random, so
    that many clients of a server do not come back all at once (M. Brooker, "Exponential backoff and jitter", 2015)."""

    first_s: float = 0.1
    factor: float = 2.0
    max_s: float = 1.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.max_s and math.isfinite(self.max_s)):
            raise ValueError(f"backoff: expected 0 < first_s <= max_s, found {self.first_s} and {self.max_s}")
        if not (self.factor >= 1 and 0 <= self.jitter < 1):
            raise ValueError(
                f"backoff: expected factor >= 1 and jitter in [0, 1), found {self.factor} and {self.jitter}"
            )


class Backoff:
    """How long to wait before the next try; `reset()` after a success."""

    def __init__(self, settings: BackoffSettings | None = None, rng: random.Random | None = None) -> None:
        self._settings = settings or BackoffSettings()
        self._rng = rng or random.Random()
        self.reset()

    def reset(self) -> None:
        self._longest_s = self._settings.first_s

    def next_s(self) -> float:
        wait_s = self._longest_s * (1 - self._settings.jitter * self._rng.random())
        self._longest_s = min(self._longest_s * self._settings.factor, self._settings.max_s)
        return wait_s
