"""What is kept of a run, where the parts of a session lie, and its session.json.

Does a session.json say things of the kinds that a report and a replay read? It may have been damaged, or edited.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.contract import MicroliveError

MOST_FACES = 64
_DEEPEST = 32
_LARGEST = 1e300

Place = tuple[str, ...]

_OBJECTS: Sequence[Place] = (
    ("time_zone",), ("program",), ("packages",), ("settings",), ("model",), ("model", "scores"), ("source",), ("run",),
    ("run", "events"), ("run", "health"), ("run", "times"),
)  # fmt: skip
_NUMBERS: Sequence[Place] = (
    ("model", "fps"), ("source", "fps"), ("source", "width_px"), ("source", "height_px"), ("run", "events", "watched_min"),
)  # fmt: skip
_STAGE_NUMBERS = ("p50_ms", "p95_ms", "p99_ms", "count")
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SessionSettings:
    """`folder`: a new or an empty one. `consent`: what the people in the picture agreed to. With `record_source` the
    pictures are kept for a replay; with `anonymise` no picture of anybody is, but landmarks in its place."""

    folder: Path
    consent: str | None = None
    record_source: bool = False
    anonymise: bool = False


class FactsError(MicroliveError, ValueError):
    """Where something else stands than belongs there; one line."""


def parse_facts(text: str) -> Any:
    """The value without what is null, since what is not known may also be left out; raises `FactsError` for what is no
    JSON, holds halves of letters, or lies too deep."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise FactsError("it holds half a letter (a lone surrogate)") from None
    except (ValueError, RecursionError) as error:
        raise FactsError(f"it is no JSON: {error}") from error
    return _without_nulls(value, 0)


def check_facts(facts: Mapping[str, Any]) -> None:
    """Raises `FactsError` when something that is there is not of its kind; what is missing is not known."""
    for place in _OBJECTS:
        _require(place, _at(facts, place), "an object", lambda value: isinstance(value, Mapping))
    for place in _NUMBERS:
        _require(place, _at(facts, place), "a number", is_number)
    _require(
        ("model", "class_names"), _at(facts, ("model", "class_names")), "a list", lambda value: isinstance(value, list)
    )
    faces: Place = ("settings", "max_faces")
    _require(
        faces,
        _at(facts, faces),
        f"1 to {MOST_FACES}",
        lambda value: is_number(value) and value in range(1, MOST_FACES + 1),
    )
    for stage, times in (_at(facts, ("run", "times")) or {}).items():
        _require(("run", "times", stage), times, "an object", lambda value: isinstance(value, Mapping))
        for name in _STAGE_NUMBERS:
            _require(("run", "times", stage, name), times.get(name, ""), "a number", is_number)


def is_number(value: object) -> bool:
    """Finite, and small enough to be shown and reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _at(facts: Mapping[str, Any], place: Place) -> Any:
    """None where there is nothing."""
    found: Any = facts
    for name in place:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _require(place: Place, value: object, expected: str, fits: Any) -> None:
    if value is not None and not fits(value):
        raise FactsError(f"{'.'.join(place)}: expected {expected}, found {str(value)[:40] or 'nothing'}")


def _without_nulls(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise FactsError("it holds lists too deep in lists")
    if isinstance(value, dict):
        return {name: _without_nulls(inner, depth + 1) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner, depth + 1) for inner in value]
    return value


class SessionError(MicroliveError, RuntimeError):
    """A session cannot be read or replayed: one line that says which and why."""


@dataclass(frozen=True)
class SessionFolder:
    """Paths below `path`; nothing needs to be there yet."""

    path: Path

    @property
    def facts(self) -> Path:
        return self.path / "session.json"

    @property
    def frames(self) -> Path:
        return self.path / "frames.csv"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def markers(self) -> Path:
        """Marks of an experiment, where the run takes any."""
        return self.path / "markers.jsonl"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def pictures(self) -> Path:
        """A PNG of every accepted event, by its number."""
        return self.path / "events"

    @property
    def recording(self) -> Path:
        return self.path / "source"

    @property
    def times(self) -> Path:
        """A row for every recorded frame."""
        return self.recording / "times.csv"

    def picture(self, number: int) -> Path:
        """Of an accepted event; the first in events.jsonl is number 1."""
        return self.pictures / f"{number:04d}.png"

    def part(self, number: int) -> Path:
        """A video of the recording; a new one begins where the size of the picture changes."""
        return self.recording / f"{number:04d}.mkv"

    def read_facts(self) -> dict[str, Any]:
        """session.json; SessionError when this is no session or one of another version."""
        try:
            facts = parse_facts(self.facts.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise SessionError(f"{self.path} is no session: it has no session.json") from None
        except OSError as error:
            raise SessionError(f"{self.facts} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise SessionError(f"{self.facts} cannot be read: {error}") from error
        found = facts.get("schema_version") if isinstance(facts, dict) else None
        if found != SCHEMA_VERSION:
            raise SessionError(f"{self.facts}: expected schema version {SCHEMA_VERSION}, found {found}")
        try:
            check_facts(facts)
        except FactsError as error:
            raise SessionError(f"{self.facts}: {error}") from error
        return facts
