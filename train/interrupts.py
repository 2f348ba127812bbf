"""Ctrl-C is for the program that was started: it ends its worker processes itself, and they end when it is gone."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes started inside the block are born with SIGINT blocked, so that Ctrl-C finds no moment to reach them.

    Ignoring it in the worker alone comes too late: Python and its imports take a second before, and an interrupt then
    prints a traceback. An interrupt of this process waits until the block ends. No effect where there are no signal masks.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting a process starts Python's tracker of resources where there is none, which takes the block away.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _interrupts_deferred():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """The system may hand the signal to a library's thread, which does not block it, and Python then interrupts the main
    thread all the same: half of what a worker needs would have been sent to it."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            # Pending until the block's own mask is taken away.
            signal.raise_signal(signal.SIGINT)


def ignore_interrupts() -> None:
    """In a worker, as soon as it can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_with_parent() -> None:
    """In a worker: ends this process at once when the one that started it is gone, even if that was killed.

    A parent that is killed cannot end its workers, which would wait for tasks for ever.
    """
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
