"""A fleet's sessions as two tables: its events, and its frames in a file for every source. docs/TABLES.md has every column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from model.guards import shown, table_cell
from stream.fleet.fleet_folder import FleetError, FleetFolder, FleetSession
from stream.fleet.table_files import Column, Form, Table, open_table, require_pyarrow, time_us
from stream.session.frame_rows import Columns, FrameRow, cut_off, open_rows, read_events
from stream.session.session_folder import SessionError, zero_of

EVENT_COLUMNS = (
    Column("source", "text"),
    Column("session", "text"),
    Column("number", "whole"),
    Column("track", "whole"),
    Column("kind", "text"),
    Column("label", "text"),
    Column("onset_s", "number"),
    Column("apex_s", "number"),
    Column("offset_s", "number"),
    Column("onset_time", "time"),
    Column("apex_time", "time"),
    Column("offset_time", "time"),
    Column("probability", "number"),
    Column("confidence", "number"),
    Column("peak_px", "number"),
    Column("action_units", "texts"),
    Column("action_unit_confidences", "numbers"),
    Column("rejected", "text"),
)
_BEFORE_SHARES = (
    Column("source", "text"),
    Column("session", "text"),
    Column("frame", "whole"),
    Column("time_s", "number"),
    Column("time", "time"),
    Column("face", "whole"),
    Column("status", "text"),
    Column("label", "text"),
    Column("confidence", "number"),
)
_AFTER_SHARES = (Column("smallest_px", "number"), Column("watchable", "yes_no"), Column("latency_ms", "number"))


@dataclass
class TablesReport:
    """What was written, and what was left out. `cut_off`: last lines of killed runs without their end; `problems`: a line for
    every session that could not be read, or not to its end."""

    sources: int = 0
    sessions: int = 0
    events: int = 0
    frames: int = 0
    cut_off: int = 0
    problems: list[str] = field(default_factory=lambda: list[str]())

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.events} events and {self.frames} rows of frames, of {self.sources} sources in {self.sessions} sessions"
        if self.cut_off:
            yield f"{self.cut_off} last lines of killed runs were cut off and are left out"
        yield from self.problems


def write_tables(out: Path, form: Form = "parquet") -> TablesReport:
    """Of the sessions in `out`/sessions writes events.parquet and a file for every source in frames/, or, as CSV, events.csv and
    files in frames-csv/.

    Each file is written whole or not at all, and is the same for the same sessions. Memory does not grow with their length. Of
    a session that is damaged, what comes before that is kept. A file whose source is gone is removed.

    Raises:
        FleetError: there are no sessions, a file cannot be written, or Parquet is wanted without pyarrow.
    """
    folder, report = FleetFolder(out), TablesReport()
    if form == "parquet":
        require_pyarrow()
    sources = folder.sources()
    columns = frame_columns([session for sessions in sources.values() for session in sessions])
    tables = folder.frames(form)
    try:
        tables.mkdir(exist_ok=True)
    except OSError as error:
        raise FleetError(f"cannot make the folder {tables}: {error.strerror or error}") from error
    written: set[str] = set()
    with open_table(folder.events(form), form, EVENT_COLUMNS) as events:
        for source, sessions in sources.items():
            path = tables / f"{source}.{form}"
            written.add(path.name)
            with open_table(path, form, columns) as frames:
                report.sources += 1
                for session in sessions:
                    _Reader(session, report).add_to(events, frames, columns)
    for path in tables.glob(f"*.{form}"):
        if path.name not in written and path.is_file() and not path.name.startswith("."):
            path.unlink(missing_ok=True)
    return report


def frame_columns(sessions: Sequence[FleetSession]) -> tuple[Column, ...]:
    """Of all sources alike: with every class and action unit that any session tells."""
    shares: dict[str, None] = {}
    units: dict[str, None] = {}
    for session in sessions:
        try:
            with open_rows(session.folder) as (columns, _):
                shares |= dict.fromkeys(_share_names(columns)[: len(columns.class_names)])
                units |= dict.fromkeys(columns.unit_columns)
        except SessionError:
            continue  # told when its rows are read
    told = (Column(name, "number") for name in (*shares, *units))
    return (*_BEFORE_SHARES, *told, *_AFTER_SHARES)


class _Reader:
    """Adds a session to both tables."""

    def __init__(self, session: FleetSession, report: TablesReport) -> None:
        self._session, self._report = session, report
        self._head = (shown(session.source), shown(session.name))
        self._zero: datetime | None = None

    def add_to(self, events: Table, frames: Table, columns: Sequence[Column]) -> None:
        report, folder = self._report, self._session.folder
        report.sessions += 1
        try:
            self._zero = zero_of(folder.read_facts())
        except SessionError as error:
            # Its rows are true without the facts; only the time of day is not known.
            report.problems.append(shown(str(error)))
        try:
            self._add_events(events)
        except SessionError as error:
            report.problems.append(shown(str(error)))
        try:
            self._add_frames(frames, columns)
        except SessionError as error:
            report.problems.append(shown(str(error)))
        report.cut_off += sum(map(cut_off, (folder.events, folder.frames)))

    def _add_events(self, table: Table) -> None:
        accepted = 0
        for event in read_events(self._session.folder):
            accepted += "rejected" not in event
            table.add((*self._head, *_event_values(event, accepted, self._zero)))
            self._report.events += 1

    def _add_frames(self, table: Table, columns: Sequence[Column]) -> None:
        with open_rows(self._session.folder) as (own, rows):
            wanted = [column.name for column in columns[len(_BEFORE_SHARES) : -len(_AFTER_SHARES)]]
            values = _FrameValues(own, wanted, self._zero)
            for row in rows:
                table.add((*self._head, *values.of(row)))
                self._report.frames += 1


def _share_names(columns: Columns) -> tuple[str, ...]:
    return (*(f"p_{shown(name)}" for name in columns.class_names), *columns.unit_columns)


class _FrameValues:
    """Of a session's rows, in the order of the table's columns after the first two. `wanted`: its classes and action units."""

    def __init__(self, own: Columns, wanted: Sequence[str], zero: datetime | None) -> None:
        place = {name: number for number, name in enumerate(_share_names(own))}
        self._places = [place.get(name, -1) for name in wanted]
        self._nothing = (None,) * len(wanted)
        self._zero = zero
        # A run has few words, and says them with every row. A class that reads like a formula has a ' before it there.
        self._words = {table_cell(name): shown(name) for name in own.class_names}

    def of(self, row: FrameRow) -> tuple[Any, ...]:
        shares, label = self._nothing, None
        if row.probabilities is not None and row.action_units is not None:
            own = (*row.probabilities, *row.action_units, None)
            shares = tuple([own[place] for place in self._places])
            label = self._word(row.label)
        told = (row.frame, row.time_s, time_us(self._zero, row.time_s), row.face, self._word(row.status), label)
        return (*told, row.confidence, *shares, row.smallest_px, row.watchable, row.latency_ms)

    def _word(self, text: str) -> str:
        return self._words.get(text) or shown(text)


def _event_values(event: Mapping[str, Any], accepted: int, zero: datetime | None) -> tuple[Any, ...]:
    """`accepted`: how many were with this one."""
    moments = [event[name] for name in ("onset_s", "apex_s", "offset_s")]
    rejected, units = event.get("rejected"), event.get("action_units")
    shares = event.get("action_unit_confidences")
    return (
        accepted if rejected is None else None,
        event["track"],
        shown(event["kind"]),
        shown(event["label"]),
        *map(float, moments),
        *(time_us(zero, time_s) for time_s in moments),
        event.get("probability"),
        event["confidence"],
        event["peak_px"],
        None if units is None else tuple(map(shown, units)),
        None if shares is None else tuple(map(float, shares)),
        None if rejected is None else shown(rejected),
    )
