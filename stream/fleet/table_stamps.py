"""What is remembered of the tables of frames: of which sessions each was made, so that none is written again without need."""

import contextlib
import importlib.metadata
import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict

from model.atomic import regular_file, whole_file
from model.checked import STRICT, MisfitError, checked_json
from stream.fleet.fleet_folder import FleetSession
from stream.fleet.table_files import TABLE_SCHEMA, Column, Form
from stream.machine import VERSION

FileStamp = list[int]
"""Size in bytes and time of the last change, in ns since 1970; empty where there is no file."""
SessionStamps = dict[str, list[FileStamp]]
"""Of every session of a source, in their order: what its rows come from."""


class TableHead(TypedDict):
    """The whole groups at the beginning of a table, of `rows` rows: what comes behind them begins in `session`, behind so many
    bytes and lines of its frames.csv. `zero`: its zero time, as text; `digest`: of the bytes before that place, by which a file that
    has only grown is told from another one."""

    groups: int
    rows: int
    session: str
    zero: str
    offset_bytes: int
    lines: int
    digest: str


class _Written(TypedDict):
    """A table of `rows` rows, as it was left, and the sessions as they were before they were read. `whole`: they had all ended, and
    nothing of them is left out. `head`: what of it stays as it is when the sessions go on."""

    rows: int
    whole: bool
    table: FileStamp
    sessions: SessionStamps
    head: TableHead | None


class _Memory(TypedDict):
    made_by: dict[str, str]
    columns: list[list[str]]
    tables: dict[str, _Written]


_MEMORY = TypeAdapter(with_config(STRICT)(_Memory))


class TableStamps:
    """Kept in the file `path`. What stands there counts only for the same columns and the same program; without the file, or
    where it is damaged, nothing is remembered, and everything is written again."""

    def __init__(self, path: Path, form: Form, columns: Sequence[Column]) -> None:
        self._path = path
        self._made_by = {"microlive": VERSION, "schema": str(TABLE_SCHEMA)}
        if form == "parquet":  # another version of it may write other bytes
            self._made_by["pyarrow"] = importlib.metadata.version("pyarrow")
        self._columns = [[column.name, column.kind] for column in columns]
        self._tables = self._read()

    def rows_of(self, source: str, sessions: SessionStamps, table: Path) -> int | None:
        """How many rows the table has, where it is what would be written now; else None."""
        known = self._known(source, table)
        if known is None or not known["whole"] or list(known["sessions"].items()) != list(sessions.items()):
            return None
        return known["rows"]

    def head_of(self, source: str, sessions: SessionStamps, table: Path) -> TableHead | None:
        """The groups of the table that would be written again as they are: sessions before `TableHead.session` have not
        changed, and that one has not become shorter. Whether it has only grown the caller asks."""
        known = self._known(source, table)
        head = None if known is None else known["head"]
        if known is None or head is None:
            return None
        before, now = list(known["sessions"].items()), list(sessions.items())
        place = next((n for n, (name, _) in enumerate(before) if name == head["session"]), len(before))
        if before[:place] != now[:place] or [name for name, _ in now[place : place + 1]] != [head["session"]]:
            return None
        size, *_ = sessions[head["session"]][-1] or [0]
        return head if size >= head["offset_bytes"] else None

    def _known(self, source: str, table: Path) -> _Written | None:
        """What is remembered of a table that has not been touched since."""
        known = self._tables.get(source)
        return known if known is not None and known["table"] == _stamp(table) else None

    def keep(
        self, source: str, sessions: SessionStamps, table: Path, rows: int, whole: bool, head: TableHead | None
    ) -> None:
        """`sessions`: taken before they were read, so that what came meanwhile is seen the next time."""
        self._tables[source] = {
            "rows": rows, "whole": whole, "table": _stamp(table), "sessions": sessions, "head": head,
        }  # fmt: skip

    def save(self, sources: Container[str]) -> None:
        """Of these sources; others are gone. Where that fails, the next time takes longer: no more."""
        tables = {source: written for source, written in self._tables.items() if source in sources}
        memory: _Memory = {"made_by": self._made_by, "columns": self._columns, "tables": tables}
        with contextlib.suppress(OSError), whole_file(self._path) as partial:
            partial.write_text(json.dumps(memory, separators=(",", ":")), encoding="utf-8")

    def _read(self) -> dict[str, _Written]:
        try:
            known: Any = checked_json(_MEMORY, regular_file(self._path).read_bytes())
        except (OSError, MisfitError):
            return {}
        same = known["made_by"] == self._made_by and known["columns"] == self._columns
        return known["tables"] if same else {}


def session_stamps(sessions: Sequence[FleetSession]) -> SessionStamps:
    """As they are now."""
    return {one.name: [_stamp(one.folder.facts), _stamp(one.folder.frames)] for one in sessions}


def _stamp(path: Path) -> FileStamp:
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
