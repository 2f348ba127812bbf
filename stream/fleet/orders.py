"""What the fleet and those who record for it tell each other; all of it goes over a pipe or a network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from model.decision import DEFAULT_SENSITIVITY
from stream.engine.model_file import EngineChoice, Provider
from stream.session.facts import as_json
from stream.sources.base import CameraSettings, LiveSettings, source_name

SourceKind = Literal["camera", "stream", "file", "demo"]
Outcome = Literal["done", "stopped", "failed", "skipped", "lost"]
"""done: to its end, and the session is whole. stopped: the fleet asked for it. failed: it would fail again. skipped: nothing
in it can be read. lost: it was there, or was not there yet, and may come back."""
NEWS_S = 1.0
"""A worker is heard of so often at least."""
_RETRY_FOR_S = 60.0
_MODEL_OPTIONS = (
    "model", "provider", "threads", "engine", "max_faces", "detect_events", "face_at", "sensitivity", "one_person",
)  # fmt: skip


@dataclass(frozen=True)
class RecordSettings:
    """What the live program can be asked for, of one source.

    `fps`: a camera is asked for so many frames a second; a file was filmed at so many. `size_px` (width, height) and
    `backend` are for cameras, the times and `retry_for_s` for cameras and streams: one that is lost for so long is begun
    anew, elsewhere if there is another place. `label`: what it is called in place of its name. `model` None: the bundled
    one, wherever that lies on the machine that records. The others are as on the live program's command line.
    """

    model: Path | None = None
    provider: Provider = "auto"
    engine: EngineChoice = "auto"
    threads: int = 1
    max_faces: int = 1
    face_at: tuple[float, float] | None = None
    one_person: bool = False
    detect_events: bool = True
    sensitivity: float = DEFAULT_SENSITIVITY
    max_frames: int | None = None
    fps: float | None = None
    size_px: tuple[int, int] | None = None
    backend: str = "auto"
    open_timeout_s: float = LiveSettings.open_timeout_s
    read_timeout_s: float = LiveSettings.read_timeout_s
    retry_for_s: float = _RETRY_FOR_S
    label: str | None = None
    consent: str | None = None
    record_source: bool = False
    anonymise: bool = False

    @property
    def of_model(self) -> dict[str, Any]:
        """What `Recognizer` is asked for, by the names that both have."""
        return {name: getattr(self, name) for name in _MODEL_OPTIONS}

    def live(self, is_camera: bool) -> LiveSettings:
        """Patience with a camera or stream, and what a camera is asked for."""
        camera = CameraSettings(self.size_px, self.fps, self.backend) if is_camera else CameraSettings()
        return LiveSettings(self.open_timeout_s, self.read_timeout_s, self.retry_for_s, camera=camera)


@dataclass(frozen=True)
class FleetSource:
    """`target`: a camera's number, a path, a URL or "demo"; it has no place in any repr, for a URL may hold a password.
    `size_bytes` and `changed_ns` are a file's, by which a changed one is known."""

    id: str
    kind: SourceKind
    target: int | str = field(repr=False)
    settings: RecordSettings = RecordSettings()
    size_bytes: int | None = None
    changed_ns: int | None = None

    @property
    def endless(self) -> bool:
        """A camera or a stream: of what it shows while nobody reads nothing is left."""
        return self.kind in ("camera", "stream")

    @property
    def name(self) -> str:
        """What may be shown of it: no credentials, and of an anonymised source nothing but its id."""
        if self.settings.label is not None:
            return self.settings.label
        return self.id if self.settings.anonymise else source_name(self.target)

    def told(self) -> dict[str, Any]:
        """As fleet.json has it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "source": self.name,
            "size_bytes": self.size_bytes,
            "changed_ns": self.changed_ns,
            "settings": as_json(asdict(self.settings)),
        }


@dataclass(frozen=True)
class RecordOrder:
    """Record this source as a session in `folder`, which is new and on a disk that every worker sees. `attempt` counts
    from 1."""

    source: FleetSource
    folder: Path
    attempt: int


@dataclass(frozen=True)
class PrepareOrder:
    """So many cameras or streams with these settings may follow: load what they need now."""

    settings: RecordSettings
    sources: int


@dataclass(frozen=True)
class WatchOrder:
    """Whether somebody looks at the pictures."""

    watched: bool


@dataclass(frozen=True)
class HaltOrder:
    """Close everything that is being recorded; nothing else will be asked."""


@dataclass(frozen=True)
class Standing:
    """How a recording stands: rows so far, and of a live source whether it gives pictures just now."""

    source_id: str
    frames: int
    connected: bool


@dataclass(frozen=True)
class Ended:
    """A recording is closed. `kept`: whether it left a session."""

    source_id: str
    outcome: Outcome
    reason: str
    frames: int
    kept: bool


@dataclass(frozen=True)
class WatchedPicture:
    """A small picture of what a live source sees now, JPEG, with a few facts beside it."""

    source_id: str
    jpeg: bytes = field(repr=False)
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class News:
    """What a worker says, once a second and when something has ended: it stands for all that came before."""

    ended: tuple[Ended, ...] = ()
    standings: tuple[Standing, ...] = ()
    pictures: tuple[WatchedPicture, ...] = ()
