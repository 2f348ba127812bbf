"""What a clip store says of its clips: one record for each, and a manifest of what they share.

Both are validated when they are made, read from JSON with exactly their fields, and raise `StoreError`.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.contract import Colour, ContractError, CropGeometry

SCHEMA_VERSION = 1


class StoreError(ValueError):
    """A clip store is missing, broken or would be overwritten: one line that says what is wrong and what to do."""


def require(condition: bool, what: str, expected: object, found: object) -> None:
    """Raises StoreError that names `what`, unless the condition holds."""
    if not condition:
        raise StoreError(f"{what}: expected {expected}, found {found}")


@dataclass(frozen=True)
class ClipRecord:
    """What is known of one clip. Frames are indices into the clip, None where there is none or it lies outside.

    `action_units` as FACS writes them ("4", "L12"); `peak_px` is the longest motion in crop pixels (None: unknown);
    the window that a network is to see starts at `window_start`. `seed` redraws a synthetic clip.
    """

    id: str
    subject: str
    label: str
    dataset: str
    action_units: tuple[str, ...] = ()
    onset_frame: int | None = None
    apex_frame: int | None = None
    offset_frame: int | None = None
    peak_px: float | None = None
    window_start: int = 0
    seed: int | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("id", "subject", "label", "dataset"):
            value = getattr(self, name)
            require(isinstance(value, str) and value != "", f"clip {self.id!r}: {name}", "a name", repr(value))
        require(
            isinstance(self.action_units, tuple) and all(isinstance(unit, str) for unit in self.action_units),
            f"clip {self.id}: action_units", "a tuple of names", self.action_units,
        )  # fmt: skip
        for name in ("onset_frame", "apex_frame", "offset_frame", "seed"):
            value = getattr(self, name)
            require(
                value is None or (_is_int(value) and value >= 0), f"clip {self.id}: {name}", "0 or more or null", value
            )
        require(
            _is_int(self.window_start) and self.window_start >= 0,
            f"clip {self.id}: window_start",
            "0 or more",
            self.window_start,
        )
        require(
            self.peak_px is None or (isinstance(self.peak_px, int | float) and 0 <= self.peak_px < float("inf")),
            f"clip {self.id}: peak_px", "0 or more or null", self.peak_px,
        )  # fmt: skip
        known = [frame for frame in (self.onset_frame, self.apex_frame, self.offset_frame) if frame is not None]
        require(known == sorted(known), f"clip {self.id}: frames", "onset <= apex <= offset", known)
        require(isinstance(self.notes, Mapping), f"clip {self.id}: notes", "an object", self.notes)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ClipRecord":
        raw = _object(text, "clip")
        require(isinstance(raw.get("action_units"), list), "clip: action_units", "a list", raw.get("action_units"))
        raw["action_units"] = tuple(raw["action_units"])
        return _built(cls, raw, "clip")


@dataclass(frozen=True)
class StoreManifest:
    """What all clips of a store share, and how they were made.

    `lead_frames`: frames before the window, in which a causal reference settles. `settings` are the generator's or
    reader's own; `left_out` says which sources were not used and why.
    """

    class_names: tuple[str, ...]
    fps: float
    crop: CropGeometry
    colour: Colour
    frames: int
    lead_frames: int = 0
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    class_counts: Mapping[str, int] = field(default_factory=dict)
    subject_counts: Mapping[str, int] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        require(self.schema_version == SCHEMA_VERSION, "manifest: schema_version", SCHEMA_VERSION, self.schema_version)
        names = self.class_names
        require(
            isinstance(names, tuple)
            and len(names) > 0
            and all(isinstance(name, str) for name in names)
            and len(set(names)) == len(names),
            "manifest: class_names",
            "different names",
            names,
        )
        require(
            isinstance(self.fps, int | float) and 0 < self.fps < float("inf"),
            "manifest: fps",
            "a number above 0",
            self.fps,
        )
        require(self.colour in ("grey", "rgb"), "manifest: colour", "grey or rgb", self.colour)
        require(_is_int(self.frames) and self.frames > 0, "manifest: frames", "1 or more", self.frames)
        require(
            _is_int(self.lead_frames) and 0 <= self.lead_frames < self.frames,
            "manifest: lead_frames",
            f"0 to {self.frames - 1}",
            self.lead_frames,
        )

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(frames, size, size, channels) of every clip."""
        return (self.frames, self.crop.size_px, self.crop.size_px, 1 if self.colour == "grey" else 3)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "StoreManifest":
        raw = _object(text, "manifest")
        found = raw.get("schema_version", "none")
        require(found == SCHEMA_VERSION, "manifest: schema_version", SCHEMA_VERSION, found)
        require(isinstance(raw.get("class_names"), list), "manifest: class_names", "a list", raw.get("class_names"))
        require(isinstance(raw.get("crop"), dict), "manifest: crop", "an object", raw.get("crop"))
        raw["class_names"] = tuple(raw["class_names"])
        try:
            raw["crop"] = _built(CropGeometry, raw["crop"], "manifest: crop")
        except ContractError as error:
            raise StoreError(f"manifest: {error}") from error
        return _built(cls, raw, "manifest")


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


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise StoreError(f"{what}: expected JSON, found {error.msg} at character {error.pos}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{what}: expected JSON, found too long a number, or lists too deep in lists") from error
    require(isinstance(raw, dict), what, "a JSON object", type(raw).__name__)
    return raw


def _built(part: type, raw: dict[str, Any], what: str) -> Any:
    """A dataclass from a JSON object with exactly its fields."""
    expected = {f.name for f in dataclasses.fields(part)}
    require(set(raw) == expected, f"{what} fields", ", ".join(sorted(expected)), ", ".join(sorted(raw)))
    return part(**raw)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
