"""How a training run shows itself: a bar with loss, score and time left in a terminal, a line an epoch elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from train.clips.features import Advance
from train.fit.resume import EpochResult


@contextmanager
def clip_progress(console: Console, what: str, total: int) -> Iterator[Advance]:
    """A bar over clips, gone when the block ends."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda clips: progress.advance(task, clips)


class TrainingProgress:
    """The trainer's listener."""

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._epochs = console, epochs
        columns = (
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=12),
            TextColumn("loss {task.fields[loss]:.3f}{task.fields[score]}"),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
        )
        self._bar = Progress(*columns, console=console, transient=True, speed_estimate_period=600)
        self._task = self._bar.add_task("", total=None, epoch=1, epochs=epochs, loss=float("nan"), score="")
        self._best: EpochResult | None = None
        self._started = False

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # elsewhere the bar would leave an empty line
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        done = (epoch - 1) * steps + step
        if not self._started:  # what a run had behind it before it was resumed says nothing about its speed
            self._bar.reset(self._task, total=self._epochs * steps, completed=done)
            self._started = True
        self._bar.update(self._task, completed=done, epoch=epoch, loss=loss)

    def epoch(self, result: EpochResult) -> None:
        if result.best:
            self._best = result
        if result.val_uf1 is None:
            told = ""
        else:
            best = f" (best {self._best.val_uf1:.3f})" if self._best else ""
            told = f", UF1 {result.val_uf1:.3f}{best}"
        self._bar.update(self._task, score=told)
        if result.best or not self._console.is_terminal:
            line = (
                f"epoch {result.epoch}/{self._epochs}: loss {result.loss:.3f}{told}, {result.clips_per_s:.1f} clips/s"
            )
            self._console.print(line, highlight=False, soft_wrap=True)
