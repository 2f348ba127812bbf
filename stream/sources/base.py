"""What all sources have in common."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from model.types import Frame, Pace


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


class Pacer:
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


def growing_time_s(time_s: float, last_s: float, step_s: float) -> float:
    """Some containers give no times or times that stand still; the frame rate stands in for them."""
    return time_s if time_s > last_s else last_s + step_s
