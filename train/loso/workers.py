"""Folds in local processes, and how they show themselves: a bar with the folds in hand and the time left, else a line a fold.

Each worker imports TensorFlow once and trains one fold after another; it is replaced now and then, and a dead one is told
from a failed fold, which is why this is no `train.worker_pool.WorkerPool`.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from model.quiet import native_log_held_back
from model.signals import interrupts_blocked
from train.clips.samples import Samples
from train.errors import TrainError, UsageError
from train.interrupts import only_parent_ends_this
from train.loso.fold_job import FOLDS_A_PROCESS, FoldData, FoldFailure, FoldJob, FoldResult, fold_name

Started = Callable[[FoldJob], None]
"""Told that a fold was begun."""
Run = Callable[[FoldData, FoldJob], FoldResult]
"""Trains and tests a fold; a function of a module, which processes know by its name."""

_JOIN_S = 5.0
_SHOWN = 3


def whole_fold(data: FoldData, job: FoldJob) -> FoldResult:
    """A fold as leave-one-subject-out trains it."""
    with native_log_held_back():
        from train.loso.fold import run_fold
    return run_fold(data, job)


def local_folds(
    data: FoldData, jobs: Sequence[FoldJob], workers: int, started: Started, run: Run = whole_fold
) -> Generator[FoldResult]:
    """Results as the folds end, from `workers` processes, which end with the generator: close it when left early.

    Raises:
        TrainError, UsageError: a fold failed. TrainError: a worker died.
    """
    waiting, pool = deque(jobs), list[_Worker]()
    try:
        for _ in range(min(workers, len(jobs))):
            pool.append(_Worker(data, run))
        for worker in pool:
            worker.begin(waiting.popleft(), started)
        while busy := [worker for worker in pool if worker.job]:
            ready = wait([worker.pipe for worker in busy])
            outcomes = []
            for worker in (worker for worker in busy if worker.pipe in ready):
                outcomes.append(worker.outcome())
                if waiting and isinstance(outcomes[-1], FoldResult):
                    worker.begin(waiting.popleft(), started)
            yield from (outcome for outcome in outcomes if isinstance(outcome, FoldResult))
            for outcome in outcomes:
                if isinstance(outcome, FoldFailure):
                    raise outcome.error()
    finally:
        for worker in pool:
            worker.process.kill()
        for worker in pool:
            worker.end()


def default_workers(threads: int) -> int:
    """Folds at a time: as many as the cores give `threads` to; one where there is a GPU, which one fold fills."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if _has_gpu() else max(1, cores // threads)


def attempt(data: FoldData, job: FoldJob, run: Run = whole_fold) -> FoldResult | FoldFailure:
    """Trains and tests a fold in this process, which is for folds alone: its TensorFlow is set up to repeat itself."""
    try:
        with native_log_held_back():
            from train.loso.fold import prepare_process

            prepare_process(job.threads)
        return run(data, job)
    except Exception as error:
        text = (
            str(error) if isinstance(error, TrainError) else f"{type(error).__name__}: {' '.join(str(error).split())}"
        )
        return FoldFailure(f"fold {job.name}: {text}", isinstance(error, UsageError), traceback.format_exc())


class _Worker:
    """A process, replaced now and then, and this end of the pipe to it. `job` is the fold in hand."""

    def __init__(self, data: FoldData, run: Run) -> None:
        self._data, self._run = data, run
        self.job: FoldJob | None = None
        self._start()

    def begin(self, job: FoldJob, started: Started) -> None:
        if self._folds == FOLDS_A_PROCESS:
            self.process.kill()
            self.end()
            self._start()
        self.job = job
        self._folds += 1
        try:
            self.pipe.send(job)
        except OSError:  # it died: `outcome` finds out
            return
        started(job)

    def _start(self) -> None:
        # Spawned, not forked: other threads may run in this process.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self._data, self._run), daemon=True)
        self._folds = 0
        with interrupts_blocked():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does

    def outcome(self) -> FoldResult | FoldFailure:
        """What became of the fold in hand; waits for it."""
        assert self.job
        job, self.job = self.job, None
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(_JOIN_S)
            return FoldFailure(f"fold {job.name}: its process died ({_cause(self.process.exitcode)})", False, "")

    def end(self) -> None:
        self.process.join(_JOIN_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()
        self.pipe.close()


def _serve(pipe: Connection, data: FoldData, run: Run) -> None:
    """A worker's life: folds from the pipe, outcomes into it, until either end goes."""
    only_parent_ends_this()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(data, job, run))


def _cause(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    return f"{name}: perhaps out of memory, then fewer --jobs help" if name == "SIGKILL" else name


def _has_gpu() -> bool:
    """Whether NVIDIA's driver shows a GPU that this process may use; TensorFlow is not asked, since it starts slowly."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1") or not shutil.which("nvidia-smi"):
        return False
    try:
        found = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrainError(f"nvidia-smi: expected a list of GPUs, found {error}; give --jobs N") from error
    return found.returncode == 0 and "GPU" in found.stdout


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
