"""How a fleet stands, on the screen: one line that changes on a terminal, plain lines now and then elsewhere."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from stream.fleet.supervisor import Charge

_DRAW_S, _LINE_S = 0.25, 30.0
_RATE_S = 10.0
_MOST_SAID = 200


class FleetProgress:
    """Is told how the charges stand; `finished` files were done in an earlier run. `clock_s` is a monotonic clock."""

    def __init__(self, console: Console, finished: int = 0, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._console, self._finished, self._clock_s = console, finished, clock_s
        self._started_s = self._drawn_s = clock_s()
        self._counted: deque[tuple[float, int]] = deque()
        self._said = 0
        columns = (
            TextColumn("files"), MofNCompleteColumn(), BarColumn(bar_width=16), TextColumn("{task.fields[words]}"),
        )  # fmt: skip
        self._bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=None, words="starting")

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # elsewhere the bar would leave an empty line
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def said(self, line: str) -> None:
        """What happened; of very much only the first, for all of it is in state.jsonl."""
        self._said += 1
        if self._said <= _MOST_SAID:
            more = " (what follows is in state.jsonl only)" if self._said == _MOST_SAID else ""
            self._console.print(f"{line}{more}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def update(self, charges: Sequence[Charge]) -> None:
        now_s = self._clock_s()
        if now_s - self._drawn_s < (_DRAW_S if self._console.is_terminal else _LINE_S):
            return
        self._drawn_s = now_s
        words = self.words(charges)
        files = [charge for charge in charges if not charge.source.endless]
        if self._console.is_terminal:
            done = sum(charge.over for charge in files) + self._finished
            self._bar.update(self._task, completed=done, total=len(files) + self._finished, words=words)
            self._bar.refresh()
        else:
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    def words(self, charges: Sequence[Charge]) -> str:
        """In one line: how many are in which state, restarts, frames a second, time left."""
        counts = Counter(charge.state for charge in charges)
        counts["done"] += self._finished
        restarts = sum(charge.restarts for charge in charges)
        states = [
            f"{counts[state]} {state}" for state in ("done", "running", "waiting", "failed", "skipped") if counts[state]
        ]
        # One that is between two sessions waits.
        states += [f"{counts['restarted']} starting again"] if counts["restarted"] else []
        apart = sum(charge.apart for charge in charges if not charge.over)
        states += [f"{apart} apart"] if apart else []
        parts = [*states, *([f"{restarts} restarts"] if restarts else []), f"{self.rate_hz(charges):.0f} frames/s"]
        left_s = self._left_s(charges)
        return ", ".join([*parts, *([f"about {_duration(left_s)} left"] if left_s is not None else [])])

    def rate_hz(self, charges: Sequence[Charge]) -> float:
        """Frames a second, of all together, over the last ten seconds."""
        now_s = self._clock_s()
        self._counted.append((now_s, sum(charge.frames_now for charge in charges)))
        while len(self._counted) > 2 and now_s - self._counted[0][0] > _RATE_S:
            self._counted.popleft()
        (first_s, before), (last_s, frames) = self._counted[0], self._counted[-1]
        return (frames - before) / (last_s - first_s) if last_s > first_s else 0.0

    def _left_s(self, charges: Sequence[Charge]) -> float | None:
        """By the bytes of the files that are over; None where nobody can know."""
        files = [charge for charge in charges if not charge.source.endless]
        over = sum(charge.source.size_bytes or 0 for charge in files if charge.over)
        left = sum(charge.source.size_bytes or 0 for charge in files if not charge.over)
        return (self._clock_s() - self._started_s) * left / over if over and left else None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
