"""Where the parts of a fleet's result lie: its sessions, what its runner tells of them, and what is made of them."""

import os
from dataclasses import dataclass
from pathlib import Path

from model.errors import MicroliveError


class FleetError(MicroliveError, RuntimeError):
    """A fleet cannot be begun or gone on with, or its result cannot be read or written: one line that says what and what to do."""


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
