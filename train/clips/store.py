"""The one clip format of the project: a folder with `clips.npy`, `clips.jsonl` and `manifest.json`.

`clips.npy` is uint8 (clips, frames, size, size, channels), opened memory-mapped; line i of `clips.jsonl` describes
clip i (`ClipRecord`); `manifest.json` says what all clips share and how they were made (`StoreManifest`). Both are
checked when they are made, and in JSON have exactly their fields. A store appears under its name only when it is
complete.
"""

import dataclasses
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from model.atomic import regular_file
from model.checked import STRICT, MisfitError, Number, checked_json, raising
from model.contract import Colour, CropGeometry
from model.errors import MicroliveError

SCHEMA_VERSION = 1
CLIPS_FILE, RECORDS_FILE, MANIFEST_FILE = "clips.npy", "clips.jsonl", "manifest.json"

_Record = TypeVar("_Record")


class StoreError(MicroliveError, ValueError):
    """A clip store is missing, broken or would be overwritten: one line that says what is wrong and what to do."""


def require(condition: bool, what: str, expected: object, found: object) -> None:
    """Raises StoreError that names `what`, unless the condition holds."""
    if not condition:
        raise StoreError(f"{what}: expected {expected}, found {found}")


def require_fields(raw: Any, kind: type, what: str = "") -> Any:
    """A JSON object with exactly a dataclass's fields, as it is: in a file none has a default."""
    expected = {one.name for one in dataclasses.fields(kind)}
    if isinstance(raw, dict):
        require(set(raw) == expected, f"{what} fields".strip(), ", ".join(sorted(expected)), ", ".join(sorted(raw)))
    return raw


Name = Annotated[str, Field(min_length=1)]
From0 = Annotated[int, Field(ge=0)]
Crop = Annotated[CropGeometry, BeforeValidator(lambda raw: require_fields(raw, CropGeometry))]


@raising(StoreError)
@dataclass(frozen=True, config=STRICT)
class ClipRecord:
    """What is known of one clip. Frames are indices into the clip, None where there is none or it lies outside.

    `action_units` as FACS writes them ("4", "L12"); `peak_px` is the longest motion in crop pixels (None: unknown);
    the window that a network is to see starts at `window_start`. `seed` redraws a synthetic clip.
    """

    id: Name
    subject: Name
    label: Name
    dataset: Name
    action_units: tuple[str, ...] = ()
    onset_frame: From0 | None = None
    apex_frame: From0 | None = None
    offset_frame: From0 | None = None
    peak_px: Annotated[Number, Field(ge=0)] | None = None
    window_start: From0 = 0
    seed: From0 | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [frame for frame in (self.onset_frame, self.apex_frame, self.offset_frame) if frame is not None]
        require(known == sorted(known), f"clip {self.id}: frames", "onset <= apex <= offset", known)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ClipRecord":
        return _from_json(_RECORD, cls, text, "clip")


@raising(StoreError)
@dataclass(frozen=True, config=STRICT)
class StoreManifest:
    """What all clips of a store share, and how they were made.

    `lead_frames`: frames before the window, in which a causal reference settles. `settings` are the generator's or
    reader's own; `left_out` says which sources were not used and why.
    """

    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    fps: Annotated[Number, Field(gt=0)]
    crop: Crop
    colour: Colour
    frames: Annotated[int, Field(gt=0)]
    lead_frames: From0 = 0
    seed: From0 | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    class_counts: Mapping[str, int] = field(default_factory=dict)
    subject_counts: Mapping[str, int] = field(default_factory=dict)
    schema_version: Literal[1] = 1

    def __post_init__(self) -> None:
        names = self.class_names
        require(len(set(names)) == len(names), "class_names", "different names", names)
        require(self.lead_frames < self.frames, "lead_frames", f"0 to {self.frames - 1}", self.lead_frames)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(frames, size, size, channels) of every clip."""
        return (self.frames, self.crop.size_px, self.crop.size_px, 1 if self.colour == "grey" else 3)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "StoreManifest":
        return _from_json(_MANIFEST, cls, text, "manifest")


def check_record(record: ClipRecord, manifest: StoreManifest) -> None:
    """Raises StoreError when a record does not fit its store."""
    require(
        record.label in manifest.class_names,
        f"clip {record.id}: label",
        f"one of {', '.join(manifest.class_names)}",
        record.label,
    )
    frames = [
        f for f in (record.onset_frame, record.apex_frame, record.offset_frame, record.window_start) if f is not None
    ]
    require(
        all(frame < manifest.frames for frame in frames),
        f"clip {record.id}: frames",
        f"less than {manifest.frames}",
        frames,
    )


_RECORD, _MANIFEST = TypeAdapter(ClipRecord), TypeAdapter(StoreManifest)
_OBJECT = TypeAdapter(dict[str, Any])


def _from_json(adapter: TypeAdapter[_Record], kind: type[_Record], text: str, what: str) -> _Record:
    try:
        raw = checked_json(_OBJECT, text)
        if raw.get("schema_version", SCHEMA_VERSION) == SCHEMA_VERSION:  # of another version it is all that counts
            require_fields(raw, kind, what)
        return checked_json(adapter, text)
    except MisfitError as error:
        raise StoreError(f"{what}: {error}") from None


@dataclasses.dataclass(frozen=True, eq=False)
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
        return np.load(regular_file(path), mmap_mode="r" if path.stat().st_size > 512 else None)
    except FileNotFoundError as error:
        raise StoreError(f"{path.name}: missing") from error
    except (ValueError, EOFError, OSError) as error:
        raise StoreError(f"{path.name}: not a complete NumPy file ({error}); make the store again") from error


def _text(path: Path) -> str:
    try:
        return regular_file(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StoreError(f"{path.name}: missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path.name}: not readable ({error})") from error
