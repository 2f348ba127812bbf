"""The one clip format of the project: a folder with `clips.npy`, `clips.jsonl` and `manifest.json`.

`clips.npy` is uint8 (clips, frames, size, size, channels), opened memory-mapped; line i of `clips.jsonl` describes
clip i; the manifest says what all clips share and how they were made. A store appears under its name only when it is
complete.
"""

import dataclasses
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from train.records import ClipRecord, StoreError, StoreManifest, check_record, require

CLIPS_FILE, RECORDS_FILE, MANIFEST_FILE = "clips.npy", "clips.jsonl", "manifest.json"
__all__ = ["ClipRecord", "ClipStore", "ClipStoreWriter", "StoreError", "StoreManifest"]


@dataclass(frozen=True, eq=False)
class ClipStore:
    """An opened store: `clips` uint8 (clips, frames, size, size, channels), read-only and memory-mapped, and `records`."""

    path: Path
    manifest: StoreManifest
    records: tuple[ClipRecord, ...]
    clips: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class indices (clips,) in the manifest's order."""
        position = {name: index for index, name in enumerate(self.manifest.class_names)}
        return np.array([position[record.label] for record in self.records], np.int64)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subject of every clip."""
        return tuple(record.subject for record in self.records)

    @classmethod
    def open(cls, path: Path | str) -> "ClipStore":
        """Opens and checks a store; raises StoreError."""
        path = Path(path)
        make = f"make one with `python -m train prepare --out {path}` or `python -m train synth --out {path}`"
        if not path.is_dir():
            raise StoreError(f"{path}: expected a clip store (a folder), found none; {make}")
        if not any((path / name).exists() for name in (MANIFEST_FILE, RECORDS_FILE, CLIPS_FILE)):
            raise StoreError(f"{path}: {MANIFEST_FILE}: missing, and with it all of a clip store; {make}")
        try:
            manifest = StoreManifest.from_json(_text(path / MANIFEST_FILE))
            records = _read_records(path / RECORDS_FILE)
            clips = _open_clips(path / CLIPS_FILE)
            expected = (len(records), *manifest.clip_shape)
            require(
                clips.shape == expected and clips.dtype == np.uint8,
                CLIPS_FILE,
                f"uint8 {expected}",
                f"{clips.dtype} {clips.shape}",
            )
            for record in records:
                check_record(record, manifest)
            ids = Counter(record.id for record in records)
            require(len(ids) == len(records), f"{RECORDS_FILE}: ids", "different ones", f"{ids.most_common(1)[:1]}")
        except StoreError as error:
            raise StoreError(f"{path}: {error}") from error
        return cls(path, manifest, records, clips)


def require_writable(path: Path, overwrite: bool) -> None:
    """Raises StoreError if `path` exists, unless `overwrite` is set and it is a clip store."""
    if path.exists() and not overwrite:
        raise StoreError(f"{path}: already there; choose another folder or add --overwrite")
    if path.exists() and not (path / MANIFEST_FILE).is_file():
        raise StoreError(f"{path}: expected a clip store to overwrite, found something else; choose another folder")


class ClipStoreWriter:
    """Writes a store clip by clip into a temporary folder beside `path` and renames it when the `with` block ends well.

    When it does not, nothing is left. Raises StoreError if `path` exists, unless `overwrite` is set; then the old store
    stays until the new one is complete.
    """

    def __init__(self, path: Path | str, manifest: StoreManifest, overwrite: bool = False) -> None:
        self._path, self._manifest, self._overwrite = Path(path), manifest, overwrite
        self._records: list[ClipRecord] = []
        self._ids: set[str] = set()
        require_writable(self._path, overwrite)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = Path(tempfile.mkdtemp(prefix=f".{self._path.name}.", dir=self._path.parent))
        self._clips = open(self._temporary / CLIPS_FILE, "wb")
        self._write_header()
        self._lines = open(self._temporary / RECORDS_FILE, "w", encoding="utf-8")
        return self

    def add(self, record: ClipRecord, clip: NDArray[np.uint8]) -> None:
        """Appends a clip, uint8 of the manifest's `clip_shape`."""
        shape = self._manifest.clip_shape
        require(
            clip.dtype == np.uint8 and clip.shape == shape,
            f"clip {record.id}",
            f"uint8 {shape}",
            f"{clip.dtype} {clip.shape}",
        )
        check_record(record, self._manifest)
        require(record.id not in self._ids, f"clip {record.id}: id", "one that is new", "one used before")
        self._clips.write(np.ascontiguousarray(clip).data)
        self._lines.write(record.to_json() + "\n")
        self._records.append(record)
        self._ids.add(record.id)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write_header()
            self._clips.close()
            self._lines.close()
            if kind is None:
                (self._temporary / MANIFEST_FILE).write_text(self._counted().to_json(), encoding="utf-8")
                self._temporary.chmod(0o755)
                self._put_in_place()
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow in place.
        self._clips.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(self._records), *self._manifest.clip_shape)}
        np.lib.format.write_array_header_1_0(self._clips, header)

    def _counted(self) -> StoreManifest:
        labels = Counter(record.label for record in self._records)
        return dataclasses.replace(
            self._manifest,
            class_counts={name: labels[name] for name in self._manifest.class_names},
            subject_counts=dict(sorted(Counter(record.subject for record in self._records).items())),
        )

    def _put_in_place(self) -> None:
        if not self._path.exists():
            os.replace(self._temporary, self._path)
            return
        aside = Path(tempfile.mkdtemp(prefix=f".{self._path.name}.old.", dir=self._path.parent))
        os.replace(self._path, aside)
        os.replace(self._temporary, self._path)
        shutil.rmtree(aside)


def _read_records(path: Path) -> tuple[ClipRecord, ...]:
    records: list[ClipRecord] = []
    # Not splitlines: JSON strings may hold other line separators.
    lines = _text(path).split("\n")
    if lines.pop():
        raise StoreError(f"{path.name}: the last line is not complete; make the store again")
    for number, line in enumerate(lines, start=1):
        try:
            records.append(ClipRecord.from_json(line))
        except StoreError as error:
            raise StoreError(f"{path.name}, line {number}: {error}") from error
    return tuple(records)


def _open_clips(path: Path) -> NDArray[np.uint8]:
    try:
        # An empty file cannot be mapped.
        return np.load(path, mmap_mode="r") if path.stat().st_size > 512 else np.load(path)
    except FileNotFoundError as error:
        raise StoreError(f"{path.name}: missing") from error
    except (ValueError, EOFError, OSError) as error:
        raise StoreError(f"{path.name}: not a complete NumPy file ({error}); make the store again") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StoreError(f"{path.name}: missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path.name}: not readable ({error})") from error
