"""How a program is ended from outside: Ctrl-C, SIGTERM (systemd, containers, `kill`) and SIGHUP (a closed terminal) are
one thing. Standard library only."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType, TracebackType
from typing import Any, Self

ENDING = frozenset(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
_HANGUP = getattr(signal, "SIGHUP", None)
_TOGETHER_S = 0.25
"""`timeout`, shells and init systems send a signal to a process and to its group: that is one wish, not two."""


class EndSignals:
    """Inside the block the first of these signals raises KeyboardInterrupt in the main thread; the next SIGINT or SIGTERM
    ends the process at once.

    SIGINT too where it was ignored at the start, as it is for what a script starts with `&`; but what `nohup` started goes
    on when its terminal is closed. After `finishing` a first signal changes nothing: the program is ending already. Does
    nothing in another than the main thread.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._came_s: float | None = None
        self._finishing = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if not (number == _HANGUP and signal.getsignal(number) == signal.SIG_IGN):
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # None: a handler that Python did not set, and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def finishing(self) -> None:
        """What is left to do is what a signal would have asked for."""
        self._finishing = True

    def _take(self, number: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._came_s is None:
            self._came_s = now_s
            if not self._finishing:
                raise KeyboardInterrupt
        elif number != _HANGUP and now_s - self._came_s > _TOGETHER_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """A process that this thread starts inside the block never sees these signals: its parent ends it, by other means."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def signals_let_in() -> None:
    """Where this process was born with them blocked: from here on they come to this thread, and those that have waited."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes started inside the block are born with SIGINT, SIGTERM and SIGHUP blocked, so that what is sent to all
    processes of a terminal or a service finds no moment to reach them.

    Ignoring them in the worker alone comes too late: Python and its imports take a second before, and an interrupt then
    prints a traceback. A signal to this process waits until the block ends. No effect where there are no signal masks.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting a process starts Python's tracker of resources where there is none, which takes the block away.
    with signals_blocked():
        resource_tracker.ensure_running()
    with signals_blocked(), _interrupts_deferred():
        yield


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """The system may hand a signal to a library's thread, which does not block it, and Python then interrupts the main
    thread all the same: half of what a worker needs would have been sent to it."""
    handlers = {number: signal.getsignal(number) for number in ENDING}
    if threading.current_thread() is not threading.main_thread() or None in handlers.values():
        yield
        return
    came: list[int] = []
    for number, handler in handlers.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            # Pending until the block's own mask is taken away.
            signal.raise_signal(came[0])
