"""Folds in local processes: each worker imports TensorFlow once and trains one fold after another."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection, wait

from train.errors import TrainError
from train.fold_job import FOLDS_A_PROCESS, FoldData, FoldFailure, FoldJob, FoldResult, attempt
from train.interrupts import ignore_interrupts, interrupts_blocked

Started = Callable[[FoldJob], None]
"""Told that a fold was begun."""

_JOIN_S = 5.0


def local_folds(data: FoldData, jobs: Sequence[FoldJob], workers: int, started: Started) -> Generator[FoldResult]:
    """Results as the folds end, from `workers` processes, which end with the generator: close it when left early.

    Raises:
        TrainError, UsageError: a fold failed. TrainError: a worker died.
    """
    waiting, pool = deque(jobs), list[_Worker]()
    try:
        for _ in range(min(workers, len(jobs))):
            pool.append(_Worker(data))
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
            worker.process.terminate()
        for worker in pool:
            worker.end()


def default_workers(threads: int) -> int:
    """Folds at a time: as many as the cores give `threads` to; one where there is a GPU, which one fold fills."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if _has_gpu() else max(1, cores // threads)


class _Worker:
    """A process, replaced now and then, and this end of the pipe to it. `job` is the fold in hand."""

    def __init__(self, data: FoldData) -> None:
        self._data = data
        self.job: FoldJob | None = None
        self._start()

    def begin(self, job: FoldJob, started: Started) -> None:
        if self._folds == FOLDS_A_PROCESS:
            self.process.terminate()
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
        self.process = context.Process(target=_serve, args=(theirs, self._data), daemon=True)
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


def _serve(pipe: Connection, data: FoldData) -> None:
    """A worker's life: folds from the pipe, outcomes into it, until either end goes."""
    ignore_interrupts()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(data, job))


def _end_with_parent() -> None:
    """Ends this process at once when the one that started it is gone, even if that was killed in the middle of a fold."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


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
