"""What session.json says of a run before it starts: the program, the model, the settings. Nothing of the machine's owner."""

import dataclasses
import hashlib
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from model.atomic import regular_file
from model.contract import ClipContract
from model.types import Frame
from stream.machine import VERSION
from stream.recognizer import Recognizer
from stream.session.session_folder import SCHEMA_VERSION, SessionSettings
from stream.sources.base import SourceInfo

NO_CONSENT = "no consent note given"
PROJECT = Path(__file__).resolve().parent.parent.parent
"""The folder of the program."""
_PACKAGES = ("onnxruntime-gpu", "onnxruntime", "opencv-contrib-python", "opencv-python", "mediapipe", "numpy", "Pillow", "rich", "Jinja2")  # fmt: skip


@dataclass(frozen=True)
class RunFacts:
    """What a run was asked for, to be told in its session.json. `source`: what it is to look at, in words; `settings`:
    all that was asked, by name, as `as_json` has it. Neither holds credentials or tokens."""

    source: str
    settings: Mapping[str, Any]


def first_facts(asked: RunFacts, session: SessionSettings, recognizer: Recognizer) -> dict[str, Any]:
    """Everything known before the source is open. `state` is "running" until the run says otherwise; `zero_time` is told with
    the first frame of a live source."""
    now = datetime.now().astimezone()
    kept = "landmarks" if session.anonymise else "source"
    return {
        "schema_version": SCHEMA_VERSION,
        "state": "running",
        "started": now.isoformat(timespec="milliseconds"),
        "ended": None,
        "zero_time": None,
        "time_zone": {"name": time.tzname[now.timetuple().tm_isdst > 0], "utc_offset": now.strftime("%z")},
        "consent": session.consent or NO_CONSENT,
        "anonymised": session.anonymise,
        "recording": kept if session.record_source else None,
        "program": {"name": "microlive", "version": VERSION},
        "python": platform.python_version(),
        "packages": package_versions(),
        "model": model_facts(recognizer),
        "provider": recognizer.provider,
        "engine": recognizer.engine_kind,
        "threads": recognizer.threads,
        "decision": decision_facts(recognizer),
        "settings": dict(asked.settings),
        "source": {"name": asked.source},
        "run": None,
    }


def zero_time(frame: Frame) -> str:
    """When the clock of a live source stood at 0, in the time of day, by a frame that it gave just now."""
    ago_s = frame.time_s + time.monotonic() - frame.captured_s
    return (datetime.now().astimezone() - timedelta(seconds=ago_s)).isoformat(timespec="milliseconds")


def source_facts(info: SourceInfo) -> dict[str, Any]:
    """Of a source that is open; its name holds no credentials."""
    return dataclasses.asdict(info)


def model_facts(recognizer: Recognizer) -> dict[str, Any]:
    contract = recognizer.contract
    return {
        "path": str(_from_here(recognizer.model_path)),
        "sha256": file_hash(recognizer.model_path),
        "contract_sha256": contract_hash(contract),
        "class_names": list(contract.class_names),
        "frames": contract.frames,
        "fps": contract.fps,
        "input": contract.input.kind,
        "training_data": contract.training_data,
        "scores": dict(contract.scores),
        "disclaimer": contract.disclaimer,
    }


def decision_facts(recognizer: Recognizer) -> dict[str, Any] | None:
    """From which probability (0–1) on candidates counted in the run, and the curve that says it for every other sensitivity:
    every candidate is written with its probability, so that neither a new run nor the model is needed for another one.

    `sensitivity` and the curve's `false_per_min` are false events a minute in which a face is read. None where the model decides nothing.
    """
    decision = recognizer.contract.decision
    if decision is None:
        return None
    return {
        "sensitivity": recognizer.sensitivity,
        "min_probability": decision.least_probability(recognizer.sensitivity),
        "curve": [dataclasses.asdict(point) for point in decision.curve],
        "training_data": decision.training_data,
    }


def contract_hash(contract: ClipContract) -> str:
    """SHA-256 of everything the contract says."""
    return hashlib.sha256(contract.to_json().encode()).hexdigest()


def file_hash(path: Path) -> str | None:
    """SHA-256; None when the file cannot be read (any more)."""
    try:
        with regular_file(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@lru_cache(maxsize=1)
def package_versions() -> dict[str, str]:
    """Of what takes part in an answer, where it is installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def as_json(value: Any) -> Any:
    """A setting as JSON has it: dataclasses by name, files of the project by their place in it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # What a value does not show of itself, a token, is not written either.
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, Path):
        return str(_from_here(value))
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(map(as_json, value))
    if isinstance(value, tuple | list):
        return [as_json(one) for one in value]
    return value


def _from_here(path: Path) -> Path:
    """A file of the project by its place in the project, any other as it was given."""
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path
