"""Cameras and network streams, as the program reads them."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from model.types import Frame, Pace
from stream.health import Connection, Outage, RateMeter, SourceStatus
from stream.sources.base import (
    FileTimes,
    FrameSource,
    LiveSettings,
    Pacer,
    SourceError,
    SourceInfo,
    without_credentials,
)
from stream.sources.capture import CaptureProcess, CaptureWatch
from stream.sources.capture_protocol import CapturedPicture, Opened

_JOIN_S = 5.0
# A file's count of its pictures is often reckoned from how long it is, its sound included.
_SHORT_S, _SHORT_SHARE = 0.5, 0.1


class LiveSource(FrameSource):
    """A camera's index or a stream's URL, read in a process of its own and opened again when it fails.

    Of what is live a slow reader gets the newest frame, not the oldest; the rest are counted. Its times are those of
    arrival, on a clock that goes on while nothing arrives. A video file over HTTP is no live source: every frame comes, at
    its presentation time and at the `pace`, and a connection that breaks off ends it with an error.

    `on_change` hears of every change of the connection, in a thread of the source. `new_process` starts what reads it. Raises `SourceError` when it cannot
    be opened (see `LiveSettings.wait`), and from the iteration when it has been lost for good.
    """

    def __init__(
        self,
        target: int | str,
        settings: LiveSettings | None = None,
        pace: Pace = "realtime",
        on_change: Callable[[Connection], None] | None = None,
        new_process: Callable[[], CaptureProcess] = CaptureProcess,
    ) -> None:
        super().__init__()
        self._settings = settings or LiveSettings()
        self._name = f"camera {target}" if isinstance(target, int) else without_credentials(target)
        self._pace: Pace = pace
        self._watch = CaptureWatch(target, self._name, self._settings, self, on_change, new_process)
        self._fresh = threading.Condition()
        self._waiting: deque[tuple[CaptureProcess, CapturedPicture]] = deque()
        self._captured = RateMeter()
        self._info: SourceInfo | None = None
        self._first_index = self._next_index = 0
        self._started_s = self._newest_s = self._last_s = 0.0
        self._finished = self._read_whole = False
        self._error: Exception | None = None

    @property
    def info(self) -> SourceInfo:
        if self._info is None:
            raise ValueError(f"{self._name} has not been opened")
        return self._info

    @property
    def notice(self) -> str | None:
        """What the camera gives where it is not what was asked for; one line."""
        camera, info = self._settings.camera, self.info
        wanted, given = "", f"{info.width_px}x{info.height_px}"
        if camera.size_px is not None and camera.size_px != (info.width_px, info.height_px):
            wanted = f"{camera.size_px[0]}x{camera.size_px[1]}"
        if camera.fps is not None and abs(camera.fps - info.fps) > 0.5:
            wanted += f"{' at ' if wanted else ''}{camera.fps:g} fps"
            given += f" at {info.fps:g} fps" if info.fps else " at a rate that it does not tell"
        return f"{self._name} gives {given}, not {wanted}" if wanted else None

    def remarks(self) -> tuple[str, ...]:
        """Of a file: that its pictures end long before it says that it does."""
        with self._fresh:
            info, ended_s, whole = self._info, self._last_s, self._read_whole
        if info is None or info.live or not whole or not info.frames or not info.fps:
            return ()
        stated_s = info.frames / info.fps
        if stated_s - ended_s <= max(_SHORT_S, _SHORT_SHARE * stated_s):
            return ()
        return (
            f"{self._name}: its pictures end at {ended_s:.1f} s, though it says that it lasts until {stated_s:.1f} s: "
            "it may be cut off",
        )

    def __enter__(self) -> Self:
        self._watch.start()
        try:
            with self._fresh:
                self._fresh.wait_for(lambda: self._info is not None or self._finished)
            if self._info is None:
                raise self._error or SourceError(f"{self._name} was stopped before it was open")
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self.stop()
        self._watch.join(_JOIN_S)

    def stop(self) -> None:
        super().stop()
        with self._fresh:
            self._fresh.notify_all()
        self._watch.stop()

    def status(self) -> SourceStatus:
        """How the source is, from any thread."""
        with self._fresh:
            rate_hz = self._captured.rate_hz()
            age_s = time.monotonic() - self._newest_s if self._info is not None else None
            dropped = {"source": self.dropped, "bad_frame": self._watch.damaged}
        outages = tuple(self._on_own_clock(outage) for outage in self._watch.outages())
        return SourceStatus(self._watch.connection, rate_hz, age_s, dropped, self._watch.reconnects, outages)

    def _on_own_clock(self, outage: Outage) -> Outage:
        ended_s = None if outage.ended_s is None else outage.ended_s - self._started_s
        return replace(outage, began_s=outage.began_s - self._started_s, ended_s=ended_s)

    def __iter__(self) -> Iterator[Frame]:
        pacer = Pacer(self._pace, self._stopped)
        step_s = 1.0 / (self.info.fps or 30.0)
        times = FileTimes(step_s)
        while True:
            with self._fresh:
                self._fresh.wait_for(lambda: self._waiting or self._finished or self._stopped.is_set())
                if self._stopped.is_set():
                    return
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    self._read_whole = True
                    return
                process, picture = self._waiting.popleft()
            image = process.copy(picture)
            if self.info.live:
                time_s = picture.captured_s - self._started_s
                yield Frame(picture.index, time_s, image, picture.captured_s, picture.decode_ms)
                continue
            time_s = times.step(picture.media_s)
            pacer.wait(time_s)
            if self._stopped.is_set():
                return
            yield Frame(picture.index, time_s, image, time.monotonic(), picture.decode_ms)

    def opened(self, opened: Opened) -> None:
        with self._fresh:
            self._first_index = self._next_index
            self._opened = opened

    def take(self, process: CaptureProcess, picture: CapturedPicture) -> None:
        """The watch gives it. Of a live source only the newest waits."""
        picture = replace(picture, index=self._first_index + picture.index)
        overtaken: list[tuple[CaptureProcess, CapturedPicture]] = []
        with self._fresh:
            if self._info is None:
                self._begin(picture)
            if self._info is not None and self._info.live:
                overtaken = list(self._waiting)
                self._waiting.clear()
                self.dropped += len(overtaken) + picture.index - self._next_index
            for _ in range(self._next_index, picture.index + 1):
                self._captured.tick(picture.captured_s)
            self._next_index = picture.index + 1
            self._newest_s, self._last_s = picture.captured_s, picture.media_s
            self._waiting.append((process, picture))
            self._fresh.notify_all()
        for late_process, late in overtaken:
            late_process.release(late)

    def _begin(self, first: CapturedPicture) -> None:
        found = self._opened
        self._started_s = first.captured_s
        self._info = SourceInfo(self._name, found.width_px, found.height_px, found.fps, found.live, found.frames)

    def is_behind(self) -> bool:
        """For the watch."""
        with self._fresh:
            return bool(self._waiting)

    def finished(self, error: Exception | None) -> None:
        """The watch says that nothing more will come."""
        with self._fresh:
            self._error, self._finished = error, True
            self._fresh.notify_all()
