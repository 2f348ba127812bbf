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

from model.types import FrameResult
from stream.palette import Colour, class_colours
from stream.timing import Health

REFRESH_S = 1 / 8
_WIDTH = 76
_BAR_WIDTH = 36
_LAST_LABELS = 4
_REASONS = {"no_face": "no face", "tracking_lost": "tracking lost", "face_too_small": "face too small"}


class Panel:
    """A live panel on a terminal; prints nothing elsewhere (a pipe, a log file).

    A context manager that takes its panel away at the end. `update` takes results as they come and redraws at most
    eight times a second. `clock_s` is a monotonic clock.
    """

    def __init__(
        self,
        console: Console,
        class_names: Sequence[str],
        window_frames: int = 30,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._styles = {name: _style(colour) for name, colour in class_colours(class_names).items()}
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

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, result: FrameResult, health: Health) -> None:
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
        rows = Table.grid(expand=True)
        rows.add_row(self._status(health))
        if health.frames_total:
            rows.add_row(
                ProgressBar(health.frames_total, health.frames, complete_style="default", style="bright_black")
            )
        rows.add_row("")
        rows.add_row(self._headline(result))
        rows.add_row(self._bars(result))
        rows.add_row("")
        rows.add_row(self._last_labels())
        return Box(rows, title=Text(health.source), title_align="left", width=_WIDTH, box=box.ROUNDED)

    def _status(self, health: Health) -> RenderableType:
        latency = "" if health.latency_ms is None else f"{health.latency_ms:.1f} ms"
        of_total = f" of {health.frames_total}" if health.frames_total else ""
        facts = [
            health.provider,
            health.engine,
            f"{health.fps_classified:.1f} fps",
            latency,
            f"frame {health.frames}{of_total}",
        ]
        lines = [Text(" · ".join(fact for fact in facts if fact), style="dim", overflow="ellipsis", no_wrap=True)]
        if health.dropped_total:
            causes = ", ".join(f"{count} {cause}" for cause, count in health.dropped.items() if count)
            lines.append(Text(f"dropped: {causes}", style="yellow"))
        return Group(*lines)

    def _headline(self, result: FrameResult) -> Text:
        if result.prediction is not None:
            label = result.prediction.label
            return Text(label, style=f"bold {self._styles[label]}").append(
                f"  {result.prediction.confidence:.0%}", style="not bold default"
            )
        if result.status == "filling":
            return Text(f"filling {result.filled}/{self._window_frames}", style="dim")
        return Text(_REASONS.get(result.status, result.status), style="yellow")

    def _bars(self, result: FrameResult) -> RenderableType:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(width=_BAR_WIDTH)
        table.add_column(justify="right", width=4)
        for name, style in self._styles.items():
            probability = None if result.prediction is None else result.prediction.probabilities[name]
            bar = ProgressBar(1.0, probability or 0.0, complete_style=style, finished_style=style, style="bright_black")
            share = "–" if probability is None else f"{probability:.0%}"
            table.add_row(Text(name, style="dim" if probability is None else ""), bar, share)
        return table

    def _last_labels(self) -> Text:
        labels = "   ".join(f"{time_s:.1f} s {label}" for time_s, label in reversed(self._changes))
        return Text(labels, style="dim", overflow="ellipsis", no_wrap=True)


def _style(colour: Colour) -> str:
    blue, green, red = colour
    return f"rgb({red},{green},{blue})"
