"""Ctrl-C and its like are for the program that was started: it ends its worker processes itself, and they end when it is
gone."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from model.signals import ENDING, signals_blocked


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


def only_parent_ends_this() -> None:
    """In a worker, as soon as it can: of SIGTERM only the parent's counts, and without the parent it ends at once.

    A parent that is killed cannot end its workers, which would wait for tasks for ever. A service manager sends SIGTERM to
    all processes: the parent is to tell what it has, not that its workers died.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent_id = parent.pid

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    def wait_for_signals() -> None:
        while signal.sigwaitinfo(ENDING).si_pid != parent_id:
            pass
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=wait_for_parent, daemon=True).start()
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=wait_for_signals, daemon=True).start()
    elif hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
