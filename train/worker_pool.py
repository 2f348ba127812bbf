"""Work that is spread over processes: each keeps what it works with, and Ctrl-C is for the program that started them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import cv2

from model.signals import interrupts_blocked
from train.errors import TrainError
from train.interrupts import only_parent_ends_this

Kept = TypeVar("Kept")
Task = TypeVar("Task")
Result = TypeVar("Result")
_WAITING_A_PROCESS = 4


class WorkerPool(Generic[Kept]):
    """`jobs` processes, started when first needed and ended with the block; with 1 everything happens in this one.

    `make()` gives what each of them keeps and is handed to its work, closed in the end if it has a `close`. That and
    the work are sent to them by name: functions and methods of modules, or `functools.partial`s of such.
    """

    def __init__(self, jobs: int, make: Callable[[], Kept]) -> None:
        self._jobs, self._make = jobs, make
        self._pool: ProcessPoolExecutor | None = None
        self._here: list[Kept] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        for kept in self._here:
            _close(kept)

    def in_order(self, work: Callable[[Kept, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in the order of the tasks, a bounded number of which is ahead of what has been taken.

        Raises:
            TrainError: a process died.
        """
        if self._jobs <= 1:
            yield from (work(self._own(), task) for task in tasks)
            return
        waiting: deque[Future[Result]] = deque()
        with _deaths_told():
            for task in tasks:
                with interrupts_blocked():  # the first of them start the processes
                    waiting.append(self._started().submit(_work, work, task))
                if len(waiting) > _WAITING_A_PROCESS * self._jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def as_done(self, work: Callable[[Kept, Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[Task, Result]]:
        """Tasks with their results as they are done. Raises TrainError as `in_order` does."""
        if self._jobs <= 1:
            yield from ((task, work(self._own(), task)) for task in tasks)
            return
        with _deaths_told():
            with interrupts_blocked():
                futures = {self._started().submit(_work, work, task): task for task in tasks}
            for future in as_completed(futures):
                yield futures[future], future.result()

    def _own(self) -> Kept:
        self._here = self._here or [self._make()]
        return self._here[0]

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned, not forked: TensorFlow, OpenCV and Face Mesh may have threads in this process.
            self._pool = ProcessPoolExecutor(self._jobs, get_context("spawn"), _start, (self._make,))
        return self._pool


@contextmanager
def _deaths_told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise TrainError(
            f"a worker process died ({error}); run the command again, with fewer processes (--jobs or --workers) if memory is short"
        ) from error


# What a worker process keeps from one task to the next.
_kept: Any = None


def _start(make: Callable[[], Any]) -> None:
    """One OpenCV thread each, since there is a worker a core."""
    global _kept
    only_parent_ends_this()
    cv2.setNumThreads(1)
    _kept = make()


def _work(work: Callable[[Any, Any], Any], task: Any) -> Any:
    return work(_kept, task)


def _close(kept: object) -> None:
    close = getattr(kept, "close", None)
    if close:
        close()
