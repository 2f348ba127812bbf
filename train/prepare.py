"""Clips of datasets → a clip store: each prepared once, by several processes, and put together in the order of their keys.

What is done is kept beside the output, so that a killed run goes on where it was and ends with the same bytes.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import cv2
import numpy as np

from train.datasets.source import SourceClip
from train.errors import NO_SPACE, TrainError
from train.features import Advance
from train.interrupts import ignore_interrupts, interrupts_blocked
from train.prepare_clip import ClipPreparer, PrepareSettings
from train.prepare_pieces import PieceFolder, piece_key
from train.prepare_window import ClipError
from train.store import ClipStoreWriter, StoreManifest


@dataclass(frozen=True)
class Remark:
    """Something about a clip: why it is skipped, or what is odd about it."""

    clip: str
    text: str


@dataclass(frozen=True)
class Prepared:
    """How a run went: the pieces of the clips that are done, in the order of the clips, `resumed` of them from before."""

    keys: tuple[str, ...]
    resumed: int
    skipped: tuple[Remark, ...]
    seconds: float

    @property
    def clips_per_s(self) -> float:
        """Clips looked at in this run, skipped ones as well, for each second."""
        return (len(self.keys) + len(self.skipped) - self.resumed) / self.seconds


@dataclass(frozen=True)
class _Task:
    """A clip and the key of its piece, taken once: its files may change meanwhile."""

    clip: SourceClip
    key: str


def prepare_clips(
    clips: Sequence[SourceClip], settings: PrepareSettings, pieces: PieceFolder, jobs: int, advance: Advance
) -> Prepared:
    """Prepares all clips that have no piece yet, in `jobs` processes (1: in this one).

    Raises:
        TrainError: the disk is full, or a worker died; what was done is kept.
    """
    started_s = time.monotonic()
    tasks = [_Task(clip, piece_key(clip, settings)) for clip in clips]
    todo = [task for task in tasks if pieces.load(task.key) is None]
    advance(len(tasks) - len(todo))
    reasons: dict[str, str] = {}
    with _disk(pieces.path):
        for task, reason in _outcomes(todo, settings, pieces, min(jobs, len(todo))):
            if reason:
                reasons[task.key] = reason
            advance(1)
    return Prepared(
        tuple(task.key for task in tasks if task.key not in reasons),
        len(tasks) - len(todo),
        tuple(Remark(task.clip.id, reasons[task.key]) for task in tasks if task.key in reasons),
        time.monotonic() - started_s,
    )


def assemble(
    keys: Sequence[str], settings: PrepareSettings, manifest: StoreManifest, pieces: PieceFolder
) -> tuple[Remark, ...]:
    """Puts the pieces together as the store they are for, in their order, and removes them; returns what is odd about them.

    An old store stays until the new one is complete.

    Raises:
        TrainError: the disk is full; the pieces are kept.
    """
    remarks: list[Remark] = []
    with _disk(pieces.out):
        with ClipStoreWriter(pieces.store, manifest, overwrite=True) as store:
            for key in keys:
                piece = pieces.load(key)
                if piece is None:
                    raise TrainError(f"{pieces.path}: a finished clip is gone; run the command again")
                lead = np.repeat(piece.window[:1], settings.lead_frames, axis=0)
                store.add(piece.record, np.concatenate([lead, piece.window]))
                remarks += [Remark(piece.record.id, text) for text in piece.warnings]
        if pieces.out.exists():
            os.replace(pieces.out, pieces.replaced)
        os.replace(pieces.store, pieces.out)
    pieces.remove()
    return tuple(remarks)


def _outcomes(
    tasks: Sequence[_Task], settings: PrepareSettings, pieces: PieceFolder, jobs: int
) -> Iterator[tuple[_Task, str]]:
    """Tasks as they are done, with the reason why a clip is skipped ("": it is not)."""
    if jobs <= 1:
        worker = _Worker(settings, pieces)
        try:
            for task in tasks:
                yield task, worker.work(task)
        finally:
            worker.close()
        return
    # Spawned, not forked: OpenCV and Face Mesh may have threads in this process.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker, (settings, pieces))
    try:
        with interrupts_blocked():
            futures = {pool.submit(_work, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise TrainError(
            f"a worker process died ({error}); run the command again to go on, with fewer --jobs if memory is short"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """Prepares clips and writes their pieces. Needs `close()`."""

    def __init__(self, settings: PrepareSettings, pieces: PieceFolder) -> None:
        self._pieces, self._preparer = pieces, ClipPreparer(settings)

    def close(self) -> None:
        self._preparer.close()

    def work(self, task: _Task) -> str:
        """The reason why the clip cannot be used, or ""."""
        try:
            prepared = self._preparer.prepare(task.clip)
        except ClipError as error:
            return str(error)
        self._pieces.save(task.key, prepared)
        return ""


# A worker process keeps its Face Mesh from one clip to the next.
_worker: _Worker | None = None


def _start_worker(settings: PrepareSettings, pieces: PieceFolder) -> None:
    """One OpenCV thread each, since there is a worker a core."""
    global _worker
    ignore_interrupts()
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(settings, pieces)


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, which would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _work(task: _Task) -> str:
    assert _worker is not None
    return _worker.work(task)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Says what to do about a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise TrainError(
            f"{path}: {os.strerror(error.errno).lower()}; make room and run the command again: it goes on where it was"
        ) from error
