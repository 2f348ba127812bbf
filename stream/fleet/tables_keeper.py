"""Tables and page made anew now and then while the fleet records: in a process of its own, after everything else."""

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing import connection as pipes
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from model.errors import MicroliveError
from model.signals import EndSignals, interrupts_blocked, signals_let_in
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.table_files import Form

_NICE = 10
_REST = 4.0
"""It rests for so many times the processor time that it took: what is recorded without an end grows, and its tables may never
take more than a fifth of a core."""
_END_S = 5.0


class TablesKeeper:
    """A context manager around a fleet that records into `out`. Every `every_s` seconds, and more seldom where that takes long,
    tables and page are made, by one process at a time; leaving ends it, and what it was just writing stays as it was before.

    `said` is told, from a thread, why it could not be done; the same only once.
    """

    def __init__(self, out: Path, form: Form, every_s: float, said: Callable[[str], None]) -> None:
        self._folder, self._form, self._every_s, self._said = FleetFolder(out), form, every_s, said
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._process: SpawnProcess | None = None
        self._thread = threading.Thread(target=self._run, name="tables", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._starting:
            self._stopped.set()
            if self._process is not None:
                self._process.terminate()
        self._thread.join(_END_S)
        with self._starting:
            if self._process is not None:
                self._process.kill()
        self._thread.join(_END_S)

    def _run(self) -> None:
        told, wait_s = "", self._every_s
        while not self._stopped.wait(wait_s):
            if not self._folder.sessions_folder.is_dir():
                continue
            began_s = time.monotonic()
            trouble, processor_s = self._make()
            wait_s = max(self._every_s - (time.monotonic() - began_s), _REST * processor_s)
            if trouble and trouble != told and not self._stopped.is_set():
                self._said(f"tables: {trouble}")
            told = trouble

    def _make(self) -> tuple[str, float]:
        """Once, in a process: why it could not, or nothing, and the processor time that it took."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        with ours:
            with self._starting, theirs:
                if self._stopped.is_set():
                    return "", 0.0
                process = context.Process(
                    target=_make_and_tell, args=(theirs, self._folder.path, self._form), daemon=True
                )
                with interrupts_blocked():
                    process.start()
                self._process = process
            try:
                return ours.recv()
            except (EOFError, OSError):
                return "their process was ended", 0.0
            finally:
                process.join()
                with self._starting:
                    self._process = None


def _make_and_tell(pipe: pipes.Connection, out: Path, form: Form) -> None:
    """The process. It was born without signals, and takes them from where it can leave all files whole."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    from stream.fleet.fleet_tables import write_tables
    from stream.fleet.index_page import write_index

    trouble = ""
    with EndSignals(), contextlib.suppress(KeyboardInterrupt):
        signals_let_in()
        try:
            write_tables(out, form)
            write_index(out)
        except MicroliveError as error:
            trouble = str(error)
        except Exception as error:  # a traceback would break the fleet's screen
            trouble = f"{type(error).__name__}: {' '.join(str(error).split())}"
    with contextlib.suppress(OSError):  # the fleet may be gone
        pipe.send((trouble, time.process_time()))
