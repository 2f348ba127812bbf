"""What is kept of a run, where the parts of a session lie, and what its session.json must say for a report and a replay."""

import contextlib
import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Required, TypeGuard

from annotated_types import Interval, Len
from typing_extensions import TypedDict

from model.atomic import regular_file
from model.errors import MicroliveError

SCHEMA_VERSION = 1
LARGEST = 1e12
"""No time, latency or motion is larger."""
_SHOWABLE = 1e300

_Number = Annotated[float, Interval(ge=-_SHOWABLE, le=_SHOWABLE)]
_Rate = Annotated[float, Interval(ge=0, le=LARGEST)]
_Share = Annotated[float, Interval(ge=0, le=1)]
_MOST_POINTS = 10_000


@dataclass(frozen=True)
class SessionSettings:
    """`folder`: a new or an empty one. `consent`: what the people in the picture agreed to. With `record_source` the
    pictures are kept for a replay; with `anonymise` no picture of anybody is, but landmarks in its place."""

    folder: Path
    consent: str | None = None
    record_source: bool = False
    anonymise: bool = False


class _Settings(TypedDict, total=False):
    max_faces: Annotated[int, Interval(ge=1, le=64)]
    face_at: Annotated[list[Annotated[float, Interval(ge=0, le=_SHOWABLE)]], Len(2, 2)]


class _Model(TypedDict, total=False):
    fps: _Number
    class_names: list[Any]
    scores: dict[str, Any]


class _Point(TypedDict):
    min_probability: _Share
    false_per_min: _Rate
    recall: _Share


class _Decision(TypedDict, total=False):
    sensitivity: Required[_Rate]
    curve: Annotated[list[_Point], Len(0, _MOST_POINTS)]
    training_data: str


class _Source(TypedDict, total=False):
    fps: _Number
    width_px: _Number
    height_px: _Number


class _RunEvents(TypedDict, total=False):
    watched_min: _Number


class _StageTimes(TypedDict):
    p50_ms: _Number
    p95_ms: _Number
    p99_ms: _Number
    count: _Number


class _Run(TypedDict, total=False):
    events: _RunEvents
    health: dict[str, Any]
    times: dict[str, _StageTimes]


class _Facts(TypedDict, total=False):
    """The part that is reckoned with; it may have been damaged, or edited, and what is missing is not known."""

    schema_version: Required[Literal[1]]
    time_zone: dict[str, Any]
    program: dict[str, Any]
    packages: dict[str, Any]
    settings: _Settings
    model: _Model
    decision: _Decision
    source: _Source
    run: _Run


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

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files that have one name."""
        return (self.facts, self.frames, self.events, self.markers, self.report, self.times)

    def picture(self, number: int) -> Path:
        """Of an accepted event; the first in events.jsonl is number 1."""
        return self.pictures / f"{number:04d}.png"

    def part(self, number: int) -> Path:
        """A video of the recording; a new one begins where the size of the picture changes."""
        return self.recording / f"{number:04d}.mkv"

    def read_facts(self) -> dict[str, Any]:
        """session.json without what is null, since what is not known may also be left out. The `state` of a run that nobody
        writes any more is "killed" where it still says "running".

        Raises:
            SessionError: this is no session, one of another version, or its facts are of other kinds.
        """
        # Here, and not above: a live run writes sessions but reads none, and pydantic takes long to come in.
        from model.checked import MisfitError, checked, checked_json

        try:
            text = regular_file(self.facts).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise SessionError(f"{self.path} is no session: it has no session.json") from None
        except OSError as error:
            raise SessionError(f"{self.facts} cannot be read: {error.strerror}") from error
        try:
            anything, declared = _adapters()
            facts = _without_nulls(checked_json(anything, text))
            checked(declared, facts)
        except MisfitError as error:
            raise SessionError(f"{self.facts}: {error}") from None
        if facts.get("state") == "running" and sys.platform != "win32" and self._is_left():
            facts["state"] = "killed"
        return facts

    def hold(self) -> int:
        """A file descriptor that says, until it is closed or its process has ended, that the session is being written."""
        if sys.platform == "win32":
            return os.open(os.devnull, os.O_RDONLY)  # no folder can be opened there, and no state is doubted
        held = os.open(self.path, os.O_RDONLY)
        with contextlib.suppress(OSError, ImportError):  # not every network drive, and not every system, has locks
            import fcntl

            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return held

    def _is_left(self) -> bool:
        """Whether no process holds it; where there are no locks, nobody knows."""
        try:
            import fcntl
        except ImportError:
            return False
        try:
            held = os.open(self.path, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            return False
        finally:
            os.close(held)


def zero_of(facts: Mapping[str, Any]) -> datetime | None:
    """The time of day at which the source's clock stood at 0; None where it is not known: of recordings, of sessions of
    earlier versions, and of a run that was killed before it could tell."""
    try:
        zero = datetime.fromisoformat(str(facts.get("zero_time")))
    except ValueError:
        return None
    return zero if zero.tzinfo is not None else None


@functools.cache
def _adapters() -> tuple[Any, Any]:
    """Of any facts, and of those that are reckoned with: made once, which takes longer than to read a session's."""
    from pydantic import TypeAdapter

    return TypeAdapter(dict[str, Any]), TypeAdapter(_Facts)


def is_number(value: object, largest: float = _SHOWABLE) -> TypeGuard[float]:
    """Finite, and small enough to be shown and reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -largest <= value <= largest


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
