"""How a run of many folds shows itself: a bar with the folds in hand and the time left, a line a fold elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from train.data import Samples
from train.fold_job import FoldJob, FoldResult, fold_name

_SHOWN = 3


class FoldProgress:
    """Told what begins and ends; `done` of `total` folds were done before."""

    def __init__(self, console: Console, samples: Samples, total: int, done: int) -> None:
        self._console, self._samples = console, samples
        self._total, self._done = total, done
        self._seconds: list[float] = []
        self._current: list[str] = []
        columns = (
            TextColumn("folds"),
            MofNCompleteColumn(),
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}{task.fields[current]}"),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", total=total, completed=done, left="", current="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # elsewhere the bar would leave an empty line
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __rich__(self) -> Progress:
        return self._bar

    def started(self, job: FoldJob) -> None:
        self._current.append(job.name)
        self._show()

    def finished(self, result: FoldResult) -> None:
        """A fold is done and written."""
        name = fold_name(result.seed, result.person)
        if name in self._current:
            self._current.remove(name)
        self._done += 1
        self._seconds.append(result.seconds)
        self._show()
        if not self._console.is_terminal:
            right = int((result.probabilities.argmax(axis=1) == self._samples.labels[result.rows]).sum())
            line = (
                f"fold {self._done}/{self._total}, {name}: {right} of {len(result.rows)} right, {result.seconds:.1f} s"
            )
            self._console.print(line, highlight=False, soft_wrap=True)

    def _show(self) -> None:
        shown = self._current[:_SHOWN]
        more = f" and {len(self._current) - _SHOWN} more" if len(self._current) > _SHOWN else ""
        left = f"about {_duration(self._left_s())} left, " if self._seconds else ""
        self._bar.update(
            self._task, completed=self._done, left=left, current=f"now {', '.join(shown)}{more}" if shown else ""
        )

    def _left_s(self) -> float:
        """From the mean fold so far; a round of parallel folds takes as long as one."""
        rounds = -(-(self._total - self._done) // max(1, len(self._current)))
        return rounds * sum(self._seconds) / len(self._seconds)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
