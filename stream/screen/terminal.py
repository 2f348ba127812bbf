"""The run in the terminal: a panel where there is no window, and what is said of a source's connection."""

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TextIO, cast

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel as Box
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from model.console import CleanConsole
from model.contract import ActionUnits
from model.types import FrameResult, Prediction
from stream.health import Connection, Health
from stream.history import EventWindow, LiveHistory, Recent
from stream.screen.paint import Colour, class_colours
from stream.screen.statement import (
    REJECTION_WORDS,
    Statement,
    Waits,
    disconnected,
    event_details,
    event_name,
    percent,
    statement,
    units_words,
)
from stream.screen.writer import ScreenWriter

REFRESH_S = 1 / 8
_WIDTH, _BAR_WIDTH = 76, 36
"""In letters."""
_LINES = 5
"""Room for so many lines under the headline, so that nothing moves when one is missing."""


class Panel:
    """A live panel on a terminal; prints nothing elsewhere (a pipe, a log file).

    A context manager that takes its panel away at the end. `update` takes results as they come and redraws at most
    eight times a second. Without `with_events` nothing is said of events. `clock_s` is a monotonic clock. `units`: the
    action units that the model tells, which get a line.
    """

    def __init__(
        self,
        console: Console,
        class_names: Sequence[str],
        window_frames: int = 30,
        with_events: bool = True,
        clock_s: Callable[[], float] = time.monotonic,
        units: ActionUnits | None = None,
    ) -> None:
        self._styles = {name: _style(colour) for name, colour in class_colours(class_names).items()}
        self._waits = Waits.of_run(window_frames, with_events)
        self._clock_s = clock_s
        self._units = units
        self._drawn_s = float("-inf")
        self._console = console
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

    def update(self, result: FrameResult, history: LiveHistory, health: Health) -> bool:
        """Whether it was drawn. `history` has taken up every result until this one, also those that were not shown."""
        now_s = self._clock_s()
        if self._live is None or now_s - self._drawn_s < REFRESH_S:
            return False
        # A picture that nobody has read yet is not followed by the next: they would pile up.
        if isinstance(self._console, Screen) and self._console.behind:
            return False
        self._drawn_s = now_s
        self._live.update(self.render(result, history.recent(), health), refresh=True)
        return True

    def render(self, result: FrameResult, recent: Recent, health: Health) -> RenderableType:
        """The panel as it stands after `result`."""
        rows = Table.grid(expand=True)
        rows.add_row(self._status(health))
        if health.frames_total:
            rows.add_row(
                ProgressBar(health.frames_total, health.frames, complete_style="default", style="bright_black")
            )
        rows.add_row("")
        lost = health.disconnected
        rows.add_row(
            self._said(disconnected(lost, self._clock_s()) if lost else statement(result, recent, self._waits))
        )
        rows.add_row("")
        answer = None if lost else result.prediction
        rows.add_row(self._bars(answer))
        if self._units is not None:
            rows.add_row(Text(units_words(answer, self._units), overflow="ellipsis", no_wrap=True))
        for line in self._earlier(recent.events):
            rows.add_row(line)
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
        flow = " · ".join(flow_words(health))
        if flow:
            lines.append(Text(flow, style="dim", overflow="ellipsis", no_wrap=True))
        if health.dropped_total:
            causes = ", ".join(f"{count} {cause}" for cause, count in health.dropped.items() if count)
            lines.append(Text(f"dropped: {causes}", style="yellow"))
        return Group(*lines)

    def _said(self, said: Statement) -> RenderableType:
        style = {"calm": "bold", "warning": "bold yellow", "event": f"bold {self._styles.get(said.label or '', '')}"}
        headline = Text(said.headline, style=style[said.tone].strip(), overflow="ellipsis", no_wrap=True)
        headline.append(f"  {said.beside}" if said.beside else "", style="not bold dim")
        lines: list[RenderableType] = [
            Text(" ".join(line.variants[0]), style="dim" if place else "", overflow="ellipsis", no_wrap=True)
            for place, line in enumerate(said.lines)
        ]
        if said.progress is not None:
            bar = ProgressBar(1.0, said.progress, _BAR_WIDTH, complete_style="default", style="bright_black")
            lines.insert(1, bar)
        rows = Table.grid(expand=True)
        for row in (headline, *lines[:_LINES], *[""] * (_LINES - len(lines))):
            rows.add_row(row)
        return rows

    def _bars(self, answer: Prediction | None) -> RenderableType:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(width=_BAR_WIDTH)
        table.add_column(justify="right", width=5)
        for name, style in self._styles.items():
            probability = None if answer is None else answer.probabilities[name]
            bar = ProgressBar(1.0, probability or 0.0, complete_style=style, finished_style=style, style="bright_black")
            share = "–" if probability is None else percent(probability)
            table.add_row(Text(name, style="dim" if probability is None else ""), bar, share)
        return table

    def _earlier(self, events: EventWindow) -> list[Text]:
        """The events before the last one, the newest first, and how many were rejected for each reason."""
        lines: list[Text] = []
        for event in reversed(events.latest[:-1]):
            line = Text(f"earlier   {event.kind} ", style="dim", overflow="ellipsis", no_wrap=True)
            line.append(event_name(event), style=f"not dim {self._styles.get(event.label, '')}".strip())
            lines.append(line.append(f" {event_details(event)[0]}"))
        if events.rejected:
            reasons = " · ".join(f"{count} {REJECTION_WORDS[reason]}" for reason, count in events.rejected.items())
            lines.append(Text(f"rejected  {reasons}", style="dim", overflow="ellipsis", no_wrap=True))
        return [Text(""), *lines] if lines else []


def flow_words(health: Health) -> list[str]:
    """How the frames of a live source come through, and how well the face is held."""
    words: list[str] = []
    if health.fps_captured is not None:
        words.append(f"captured {health.fps_captured:.1f}, aligned {health.fps_aligned:.1f} fps")
    if health.newest_age_ms is not None:
        words.append(f"newest {health.newest_age_ms:.0f} ms old")
    if health.reconnects:
        words.append(f"{health.reconnects} reconnect{'s' if health.reconnects > 1 else ''}")
    if health.gaps:
        words.append(f"{health.gaps} gap{'s' if health.gaps > 1 else ''} in time")
    if health.crop_jitter_px is not None:
        words.append(f"jitter {health.crop_jitter_px:.2f} px")
    return words


def _style(colour: Colour) -> str:
    blue, green, red = colour
    return f"rgb({red},{green},{blue})"


class Screen(CleanConsole):
    """A console on standard output that never holds up who prints: the run and its files go on while the terminal is not
    read, and when what it writes to is closed (`| head`)."""

    def __init__(self) -> None:
        self._writer = ScreenWriter(sys.stdout) if sys.stdout is not None else None
        super().__init__(file=cast(TextIO | None, self._writer))

    @property
    def behind(self) -> bool:
        """Whether what was printed still waits to be taken."""
        return self._writer is not None and self._writer.behind

    def close(self) -> None:
        """Waits a short time for what is still to be shown."""
        if self._writer is not None:
            self._writer.close()


class ConnectionTeller:
    """Says when a live source is lost and when it is back, and no more often than that. For `LiveSource.on_change`."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._before = Connection("opening", 0.0)
        self._waiting = False

    def __call__(self, connection: Connection) -> None:
        before, self._before = self._before, connection
        if connection.state == "opening" and connection.tries == 2 and before.tries < 2:
            self._waiting = True
            self._say(f"waiting for it: {connection.reason}")
        elif connection.state == "reconnecting" and before.state == "connected":
            self._say(f"lost, opening it again: {connection.reason}")
        elif connection.state == "connected" and (self._waiting or before.state == "reconnecting"):
            again = "" if self._waiting else " again"
            self._waiting = False
            self._say(f"connected{again} after {connection.since_s - before.since_s:.1f} s")

    def _say(self, text: str) -> None:
        self._console.print(f"{self._name}: {text}", style="yellow", soft_wrap=True, markup=False, highlight=False)


class JumpTeller:
    """Says when a file's time jumps, the first times. To be called with the health of the run now and then."""

    _MOST = 3
    _LEAST_S = 1.0
    """Shorter gaps are counted only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0
        self._last_s: tuple[float, float] | None = None

    def __call__(self, health: Health) -> None:
        gap_s = health.last_gap_s
        if gap_s is None or gap_s == self._last_s or self._told == self._MOST:
            return
        self._last_s = first_s, last_s = gap_s
        if first_s - last_s > 0 or last_s - first_s > self._LEAST_S:
            self._told += 1
            text = f"{health.source}: its time jumps from {first_s:.1f} s to {last_s:.1f} s, which counts as a gap"
            self._console.print(text, style="yellow", soft_wrap=True, markup=False, highlight=False)
