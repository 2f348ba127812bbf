"""Where a killed `prepare` finds what it had done: one file a finished clip, in a work folder beside the output.

A piece's name is a hash of all that decides it (the clip's annotation, its files with sizes and times, the settings), so
that changed files or settings never meet an old piece.
"""

import hashlib
import io
import json
import shutil
import zipfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from train.datasets.source import FrameFolder, SourceClip, StoredClip
from train.prepare_clip import PreparedClip, PrepareSettings
from train.rundir import write_with
from train.store import CLIPS_FILE, RECORDS_FILE, ClipRecord, StoreError

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
            with np.load(self._file(key)) as piece:
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
        case FrameFolder(files=files):
            return list(files)
        case StoredClip(path=path):
            return [(0, path / CLIPS_FILE), (1, path / RECORDS_FILE)]
        case video:
            return [(0, video.path)]


def _state(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:  # it is said when the file is to be read
        return str(path), 0, 0
    return str(path), found.st_size, found.st_mtime_ns
