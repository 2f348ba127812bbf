"""Ctrl-C and its like are for the program that was started: it ends its worker processes itself, and they end when it is
gone."""

import multiprocessing
import os
import signal
import threading

from model.signals import ENDING


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
