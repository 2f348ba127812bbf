"""Where the parts of a session lie, and its session.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.session.facts_check import FactsError, check_facts, parse_facts

SCHEMA_VERSION = 1


class SessionError(RuntimeError):
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
