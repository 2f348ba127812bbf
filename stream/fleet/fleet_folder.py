"""Where the parts of a fleet's result lie: its sessions, what its runner tells of them, and what is made of them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from model.errors import MicroliveError
from stream.session.session_folder import SessionFolder

_DIGITS = re.compile(r"([0-9]+)")


class FleetError(MicroliveError, RuntimeError):
    """A fleet cannot be begun or gone on with, or its result cannot be read or written: one line that says what and what to do."""


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
    def settings(self) -> Path:
        return self.path / "fleet.json"

    @property
    def state(self) -> Path:
        return self.path / "state.jsonl"

    @property
    def sessions_folder(self) -> Path:
        """Holds a folder for every source, which holds its sessions, or is one."""
        return self.path / "sessions"

    def parts(self, source_id: str) -> list[Path]:
        """The sessions of a source that are there, in the order in which they were begun."""
        folder = self.sessions_folder / source_id
        names = os.listdir(folder) if folder.is_dir() else []
        return [folder / name for name in sorted((n for n in names if n.isdecimal()), key=int)]

    def next_part(self, source_id: str) -> Path:
        """For a new session."""
        parts = self.parts(source_id)
        return self.sessions_folder / source_id / f"{(int(parts[-1].name) if parts else 0) + 1:04d}"

    def inside(self, session: Path) -> str:
        """As state.jsonl names it."""
        return session.relative_to(self.path).as_posix()

    @property
    def index(self) -> Path:
        """The page over all sessions."""
        return self.path / "index.html"

    def events(self, form: str) -> Path:
        return self.path / f"events.{form}"

    def frames(self, form: str) -> Path:
        """Holds a table for every source. Readers of Parquet take all that lies in a folder for it."""
        return self.path / ("frames" if form == "parquet" else f"frames-{form}")

    def stamps(self, form: str) -> Path:
        """Of which sessions the tables there were made. Beside them, for readers take all files of a folder for tables."""
        return self.path / f".{self.frames(form).name}.json"

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
