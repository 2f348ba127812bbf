"""Where the parts of a fleet's result lie: its sessions, what its runner tells of them, and what is made of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from model.atomic import regular_file
from model.checked import MisfitError, Number, checked_json
from model.errors import MicroliveError
from stream.session.session_folder import LARGEST, SessionFolder

_DIGITS = re.compile(r"([0-9]+)")


class FleetError(MicroliveError, RuntimeError):
    """A fleet's result cannot be read or written: one line that says what and what to do."""


@with_config(ConfigDict(extra="allow"))
class _Happening(TypedDict):
    source: str
    state: str
    time: NotRequired[Any]
    reason: NotRequired[str | None]
    attempt: NotRequired[Annotated[int, Field(ge=0, le=LARGEST)] | None]
    frames: NotRequired[Annotated[Number, Field(ge=0, le=LARGEST)] | None]
    session: NotRequired[str | None]


_HAPPENING = TypeAdapter(_Happening)


@dataclass(frozen=True)
class Happening:
    """A line of state.jsonl: what became of a source. `state`: waiting, running, done, failed, restarted or skipped; `reason` is
    empty where none is told."""

    source: str
    state: str
    reason: str


@dataclass(frozen=True)
class FleetSession:
    """A session of the source `source`. `name`: its folder, as it is told from the fleet's on, with slashes."""

    source: str
    name: str
    folder: SessionFolder


@dataclass(frozen=True)
class FleetFolder:
    """Paths below `path`; nothing needs to be there yet."""

    path: Path

    @property
    def sessions_folder(self) -> Path:
        """Holds a folder for every source, which is a session or holds sessions: a run that is started anew makes a new one."""
        return self.path / "sessions"

    @property
    def state(self) -> Path:
        """What has become of the sources, line by line."""
        return self.path / "state.jsonl"

    @property
    def index(self) -> Path:
        return self.path / "index.html"

    def events(self, form: str) -> Path:
        return self.path / f"events.{form}"

    def frames(self, form: str) -> Path:
        """Holds a table for every source. Readers of Parquet take all that lies in a folder for it."""
        return self.path / ("frames" if form == "parquet" else f"frames-{form}")

    def sources(self) -> dict[str, list[FleetSession]]:
        """The sessions of every source that has any, both in the order of their names, in which numbers count as such.

        Raises FleetError where there is no folder of sessions.
        """
        found: dict[str, list[FleetSession]] = {}
        for folder in self._folders(self.sessions_folder):
            kept = [one for one in (folder, *self._folders(folder)) if (one / "session.json").exists()]
            if kept:
                sessions = (SessionFolder(one) for one in kept)
                found[folder.name] = [
                    FleetSession(folder.name, one.path.relative_to(self.path).as_posix(), one) for one in sessions
                ]
        return found

    def happenings(self) -> Iterator[Happening]:
        """The lines of state.jsonl; none where there is no such file. A last line that was cut off is left out.

        Raises FleetError for a file that is none.
        """
        if not self.state.exists():
            return
        try:
            with regular_file(self.state).open(encoding="utf-8") as file:
                for place, line in enumerate(file, start=1):
                    try:
                        told = checked_json(_HAPPENING, line)
                    except MisfitError as error:
                        if file.readline():
                            raise FleetError(f"{self.state}: line {place} is not what belongs there: {error}") from None
                        return
                    yield Happening(told["source"], told["state"], told.get("reason") or "")
        except (OSError, UnicodeDecodeError) as error:
            raise FleetError(f"{self.state} cannot be read: {error}") from error

    def _folders(self, folder: Path) -> list[Path]:
        """In it, in the order of their names. What is hidden is being made."""
        try:
            inside = [one for one in folder.iterdir() if not one.name.startswith(".") and one.is_dir()]
        except OSError as error:
            raise FleetError(
                f"{folder} holds no sessions: {error.strerror or error}; give the folder of a fleet"
            ) from None
        return sorted(inside, key=lambda one: by_number(one.name))


def by_number(name: str) -> tuple[list[tuple[int, str]], str]:
    """To sort names by: cam-2 comes before cam-10."""
    parts = _DIGITS.split(name)
    # Numbers at every second place, and text at the others.
    key = [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)]
    return key, name
