"""Ctrl-C is for the program that was started: it ends its worker processes itself."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes started inside the block are born with SIGINT blocked, so that Ctrl-C finds no moment to reach them.

    Ignoring it in the worker alone comes too late: Python and its imports take a second before, and an interrupt then
    prints a traceback. An interrupt of this process waits until the block ends. No effect where there are no signal masks.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """In a worker, as soon as it can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
