"""Clips of datasets → a clip store: each prepared once, by several processes, and put together in the order of their keys.

A finished clip is a file in a work folder beside the output, so that a killed run goes on where it was and ends with the
same bytes. The file's name is a hash of all that decides it (the clip's annotation, its files with sizes and times, the
settings): changed files or settings never meet an old piece.
"""

import hashlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from model.atomic import regular_file
from stream.session.session_folder import SessionFolder
from train.clips.store import CLIPS_FILE, RECORDS_FILE, ClipRecord, ClipStoreWriter, StoreError, StoreManifest
from train.datasets.source import FrameFolder, SessionMoment, SourceClip, StoredClip
from train.errors import NO_SPACE, TrainError
from train.files import write_with
from train.prepare.crops import ClipError, between
from train.prepare.recorded_clip import ClipPreparer, PreparedClip, PrepareSettings
from train.progress import Advance
from train.worker_pool import WorkerPool

_VERSION = 1  # of what preparing does to a clip


class PieceFolder:
    """The work folder of the store `out`, on the same disk.

    `store` and `replaced` in it are where the new store is put together and an old one set aside. Raises StoreError
    when there is something else by its name.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.resolve()
        self.path = self.out.with_name(self.out.name + ".partial")
        self.store = self.path / "store"
        self.replaced = self.path / "replaced"
        if self.path.exists() and not (self.path.is_dir() and all(map(self._ours, self.path.iterdir()))):
            raise StoreError(
                f"{self.path}: expected the pieces of an unfinished run, found something else; choose another --out"
            )

    def load(self, key: str) -> PreparedClip | None:
        """A finished clip; None when there is none or it is damaged."""
        try:
            with np.load(regular_file(self._file(key))) as piece:
                told = json.loads(str(piece["told"]))
                return PreparedClip(ClipRecord.from_json(told["record"]), piece["window"], tuple(told["warnings"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, key: str, clip: PreparedClip) -> None:
        """Writes a piece, whole or not at all."""
        told = json.dumps({"record": clip.record.to_json(), "warnings": clip.warnings})
        # In memory first: a zip file that the disk has no room for complains once more when it is thrown away.
        packed = io.BytesIO()
        np.savez(packed, window=clip.window, told=np.array(told))
        self.path.mkdir(parents=True, exist_ok=True)
        write_with(self._file(key), lambda path: path.write_bytes(packed.getbuffer()))

    def remove(self) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path)

    def _file(self, key: str) -> Path:
        return self.path / f"clip-{key}.npz"

    def _ours(self, path: Path) -> bool:
        # With a leading dot: what a killed process was writing.
        return path in (self.store, self.replaced) or path.name.startswith((".", "clip-"))


def piece_key(clip: SourceClip, settings: PrepareSettings) -> str:
    """Hash of what decides a prepared clip: 24 hexadecimal digits."""
    parts = {
        "version": _VERSION,
        "libraries": library_versions(),
        "settings": asdict(settings),
        "clip": {name: value for name, value in vars(clip).items() if name != "pictures"},
        "pictures": [
            (number, *_state(path)) for number, path in _files(clip)
        ],
        "moment": None if not isinstance(clip.pictures, SessionMoment) else [
            clip.pictures.apex_s, clip.pictures.onset_s, clip.pictures.offset_s
        ],
        "row": clip.pictures.row if isinstance(clip.pictures, StoredClip) else None,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def library_versions() -> dict[str, str]:
    """The libraries that find and align faces."""
    return {"opencv": cv2.__version__, "mediapipe": version("mediapipe")}


def _files(clip: SourceClip) -> list[tuple[int, Path]]:
    match clip.pictures:
        case None:
            return []
        case FrameFolder() as pictures:
            return list(between(pictures, clip.onset, clip.offset))
        case StoredClip(path=path):
            return [(0, path / CLIPS_FILE), (1, path / RECORDS_FILE)]
        case SessionMoment(path=path):
            return list(enumerate(sorted(SessionFolder(path).recording.iterdir())))
        case video:
            return [(video.first, video.path)]


def _state(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:  # it is said when the file is to be read
        return str(path), 0, 0
    return str(path), found.st_size, found.st_mtime_ns


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
    with _disk(pieces.path), WorkerPool(min(jobs, len(todo)), partial(_Worker, settings, pieces)) as pool:
        for task, reason in pool.as_done(_Worker.work, todo):
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
                # A session's own lead is there already.
                lacking = settings.lead_frames + settings.frames - len(piece.window)
                lead = np.repeat(piece.window[:1], lacking, axis=0)
                store.add(piece.record, np.concatenate([lead, piece.window]))
                remarks += [Remark(piece.record.id, text) for text in piece.warnings]
        if pieces.out.exists():
            os.replace(pieces.out, pieces.replaced)
        os.replace(pieces.store, pieces.out)
    pieces.remove()
    return tuple(remarks)


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
