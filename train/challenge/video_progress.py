"""How watching many long videos shows itself: a bar with frames a second and the time left, else a line a video."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from train.challenge.watch_recorded import WatchedVideo
from train.datasets.source import FrameFolder, SourceVideo


class VideoProgress:
    """A bar over videos with frames a second and the time left; where there is no terminal, a line a video."""

    def __init__(self, console: Console, waiting: Sequence[SourceVideo], total: int) -> None:
        self._console = console
        self._total, self._done = total, total - len(waiting)
        self._frames, self._started_s = 0, time.monotonic()
        columns = (
            TextColumn("videos {task.fields[videos]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", total=sum(map(_weight, waiting)), videos=self._videos, speed="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # elsewhere the bar would leave an empty line
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    @property
    def _videos(self) -> str:
        return f"{self._done}/{self._total}"

    def finished(self, video: SourceVideo, watched: WatchedVideo) -> None:
        """A video is done and written."""
        self._done += 1
        self._frames += sum(watched.statuses.values())
        speed = f"{self._frames / max(time.monotonic() - self._started_s, 1e-3):.0f} frames/s" if self._frames else ""
        self._bar.update(self._task, advance=_weight(video), videos=self._videos, speed=speed)
        if not self._console.is_terminal and self._frames:
            found = watched.scored.found
            micro = sum(event.kind == "micro" for event in found)
            line = f"video {self._videos}, {video.subject}/{video.video}: {micro} candidates, {len(found) - micro} macro, {speed}"
            self._console.print(line, highlight=False, soft_wrap=True)


def _weight(video: SourceVideo) -> int:
    """Its frames; of video files, which would have to be read for that, each counts the same."""
    return len(video.pictures.files) if isinstance(video.pictures, FrameFolder) else 1
