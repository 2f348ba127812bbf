"""The run in the terminal, where there is no window."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel as Box
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from model.contract import NEUTRAL
from model.types import FrameResult
from stream.sinks.summary import RunSummary
from stream.timing import Health

REFRESH_S = 1 / 8
_WIDTH = 76
_BAR_WIDTH = 32
_LAST_LABELS = 4
_REASONS = {"no_face": "no face", "tracking_lost": "tracking lost", "face_too_small": "face too small"}


class Panel:
    """A live panel on a terminal; nothing but the final summary elsewhere (a pipe, a log file).

    A context manager. `update` takes every result and redraws at most eight times a second.
    The summary is printed on the way out, after Ctrl-C too, but not after an error.
    """

    def __init__(
        self,
        console: Console,
        class_names: Sequence[str],
        window_frames: int = 30,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.summary = RunSummary(class_names)
        self._console = console
        self._class_names = tuple(class_names)
        self._window_frames = window_frames
        self._clock_s = clock_s
        self._drawn_s = float("-inf")
        self._changes: deque[tuple[float, str]] = deque(maxlen=_LAST_LABELS)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is None or isinstance(error, KeyboardInterrupt):
            self._console.print(self.summary.table())

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, result: FrameResult, health: Health) -> None:
        self.summary.add(result)
        if result.prediction is not None:
            label = result.prediction.label
            if not self._changes or self._changes[-1][1] != label:
                self._changes.append((result.frame.time_s, label))
        now_s = self._clock_s()
        if self._live is not None and now_s - self._drawn_s >= REFRESH_S:
            self._drawn_s = now_s
            self._live.update(self.render(result, health), refresh=True)

    def render(self, result: FrameResult, health: Health) -> RenderableType:
        """The panel as it stands after `result`."""
        parts: list[RenderableType] = [self._status(health)]
        if health.frames_total:
            parts.append(ProgressBar(total=health.frames_total, completed=health.frames, width=_WIDTH - 4))
        parts += [Text(), self._headline(result), self._bars(result)]
        if self._changes:
            parts += [Text(), self._last_labels()]
        return Box(Group(*parts), title=Text(health.source), title_align="left", width=_WIDTH, box=box.ROUNDED)

    def _status(self, health: Health) -> RenderableType:
        of_total = f" of {health.frames_total}" if health.frames_total else ""
        latency = "–" if health.latency_ms is None else f"{health.latency_ms:.1f} ms"
        facts = [
            health.provider,
            health.engine,
            f"{health.fps_classified:.1f} fps",
            latency,
            f"frame {health.frames}{of_total}",
        ]
        line = Text(" · ".join(fact for fact in facts if fact), style="dim", overflow="ellipsis", no_wrap=True)
        if health.dropped_total:
            causes = ", ".join(f"{count} {cause}" for cause, count in health.dropped.items() if count)
            line.append(f"\ndropped: {causes}", style="yellow")
        return line

    def _headline(self, result: FrameResult) -> Text:
        if result.prediction is not None:
            label = result.prediction.label
            style = "bold" if label == NEUTRAL else "bold cyan"
            return Text(label, style=style).append(f"  {result.prediction.confidence:.0%}", style="dim")
        if result.status == "filling":
            return Text(f"filling {result.filled}/{self._window_frames}", style="dim")
        return Text(_REASONS.get(result.status, result.status), style="yellow")

    def _bars(self, result: FrameResult) -> RenderableType:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(width=_BAR_WIDTH)
        table.add_column(justify="right", width=5)
        for name in self._class_names:
            if result.prediction is None:
                table.add_row(Text(name, style="dim"), ProgressBar(total=1.0, completed=0.0, width=_BAR_WIDTH), "–")
            else:
                probability = result.prediction.probabilities[name]
                bar = ProgressBar(total=1.0, completed=probability, width=_BAR_WIDTH)
                table.add_row(Text(name), bar, f"{probability:.0%}")
        return table

    def _last_labels(self) -> Text:
        return Text(
            "   ".join(f"{time_s:.1f} s {label}" for time_s, label in reversed(self._changes)),
            style="dim",
            overflow="ellipsis",
            no_wrap=True,
        )
