"""A fleet's sessions as two tables: its events, and its frames in a file for every source. docs/TABLES.md has every column."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from model.guards import shown, table_cell
from stream.fleet.fleet_folder import FleetError, FleetFolder, FleetSession
from stream.fleet.table_files import Column, Form, Table, open_table, require_pyarrow, time_us
from stream.fleet.table_stamps import TableHead, TableStamps, session_stamps
from stream.session.frame_rows import Columns, FrameRow, RowsPlace, cut_off, open_rows, read_events
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

_DIGESTED_BYTES = 4096


@dataclass
class TablesReport:
    """What the tables hold, and what was left out. `unchanged`: tables of frames that were as they would be written; `cut_off`:
    last lines without their end; `problems`: a line for every session that could not be read, or not to its end."""

    sources: int = 0
    sessions: int = 0
    events: int = 0
    frames: int = 0
    unchanged: int = 0
    cut_off: int = 0
    problems: list[str] = field(default_factory=lambda: list[str]())

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.events} events and {self.frames} rows of frames, of {self.sources} sources in {self.sessions} sessions"
        if self.unchanged:
            yield f"{self.unchanged} of {self.sources} tables of frames have not changed and were left as they are"
        if self.cut_off:
            yield f"{self.cut_off} last lines without their end are left out: just being written, or cut off by a kill"
        yield from self.problems


def write_tables(out: Path, form: Form = "parquet") -> TablesReport:
    """Of the sessions in `out`/sessions writes events.parquet and a file for every source in frames/, or, as CSV, events.csv and
    files in frames-csv/. Sessions may be in the middle of being written.

    Each file is written whole or not at all, and is the same for the same sessions. A table of frames whose sessions have all
    ended, and have not changed since it was made of them, is left as it is: writing it would give the same bytes. Memory does
    not grow with the length of sessions. Of a session that is damaged, what comes before that is kept. A file whose source is
    gone is removed.

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
    stamps = TableStamps(folder.stamps(form), form, columns)
    try:
        with open_table(folder.events(form), form, EVENT_COLUMNS) as events:
            writer = _Writer(tables, form, columns, events, stamps, report)
            for source, sessions in sources.items():
                writer.add(source, sessions)
    finally:
        stamps.save(sources)
    _remove_others(folder, form, sources)
    return report


@dataclass(frozen=True)
class _Writer:
    """Of one source after the other: its events, and its table in the folder `tables` where that is not what it should be."""

    tables: Path
    form: Form
    columns: Sequence[Column]
    events: Table
    stamps: TableStamps
    report: TablesReport

    def add(self, source: str, sessions: Sequence[FleetSession]) -> None:
        report, path = self.report, self.tables / f"{source}.{self.form}"
        now = session_stamps(sessions)
        readers = [_Reader(session) for session in sessions]
        for reader in readers:
            report.events += reader.add_events(self.events)
        ended = all(reader.ended for reader in readers)
        rows = self.stamps.rows_of(source, now, path) if ended else None
        if rows is None:
            head = self.stamps.head_of(source, now, path)
            behind = [n for n, reader in enumerate(readers) if head is not None and reader.goes_on(head)]
            try:
                rows, head = (
                    self._write(path, readers[behind[0] :], head) if behind else self._write(path, readers, None)
                )
            except FleetError:
                if not behind:
                    raise
                rows, head = self._write(path, readers, None)
            sound = not any(reader.problems for reader in readers)  # which are to be told every time
            self.stamps.keep(source, now, path, rows, ended and sound, head if sound else None)
        else:
            report.unchanged += 1
        report.sources += 1
        report.sessions += len(sessions)
        report.frames += rows
        report.cut_off += sum(cut_off(file) for one in sessions for file in (one.folder.events, one.folder.frames))
        report.problems += (problem for reader in readers for problem in reader.problems)

    def _write(self, path: Path, readers: Sequence["_Reader"], head: TableHead | None) -> tuple[int, TableHead | None]:
        """A source's table: how many rows it has, and its head. It begins with the `head` of the one that is there, which ends in
        the session of the first reader."""
        rows, begin = (0, None) if head is None else (head["rows"], head)
        with open_table(path, self.form, self.columns, 0 if head is None else head["groups"]) as frames:
            for reader in readers:
                rows, found = reader.add_frames(frames, self.columns, rows, begin)
                head, begin = found or head, None
        return rows, head


def _remove_others(folder: FleetFolder, form: Form, sources: Mapping[str, object]) -> None:
    """Tables of sources that are gone."""
    written = {f"{source}.{form}" for source in sources}
    there = [path for path in folder.frames(form).glob(f"*.{form}") if not path.name.startswith(".") and path.is_file()]
    others = [path for path in there if path.name not in written]
    # One that has come meanwhile may have a table already, of somebody else who makes them.
    come = {f"{source}.{form}" for source in folder.sources()} if others else ()
    for path in others:
        if path.name not in come:
            path.unlink(missing_ok=True)


def frame_columns(sessions: Sequence[FleetSession]) -> tuple[Column, ...]:
    """Of all sources alike: with every class and action unit that any session tells."""
    shares: dict[str, None] = {}
    units: dict[str, None] = {}
    for session in sessions:
        try:
            with open_rows(session.folder) as rows:
                columns = rows.columns
                shares |= dict.fromkeys(_share_names(columns)[: len(columns.class_names)])
                units |= dict.fromkeys(columns.unit_columns)
        except SessionError:
            continue  # told when its rows are read
    told = (Column(name, "number") for name in (*shares, *units))
    return (*_BEFORE_SHARES, *told, *_AFTER_SHARES)


class _Reader:
    """Adds a session to both tables. `ended`: its files stay as they are; `problems`: why not all of it is there."""

    def __init__(self, session: FleetSession) -> None:
        self._session = session
        self._head = (shown(session.source), shown(session.name))
        self._zero: datetime | None = None
        self.ended = False
        self.problems: list[str] = []
        try:
            facts = session.folder.read_facts()
            self._zero = zero_of(facts)
            self.ended = facts.get("state") not in ("running", None)
        except SessionError as error:
            # Its rows are true without the facts; only the time of day is not known.
            self.problems.append(shown(str(error)))

    def add_events(self, table: Table) -> int:
        """How many there are."""
        count = accepted = 0
        try:
            for event in read_events(self._session.folder):
                accepted += "rejected" not in event
                table.add((*self._head, *_event_values(event, accepted, self._zero)))
                count += 1
        except SessionError as error:
            self.problems.append(shown(str(error)))
        return count

    def goes_on(self, head: TableHead) -> bool:
        """Whether the head of a table ends in this session's rows, which have only grown since."""
        same = (head["session"], head["zero"]) == (self._session.name, str(self._zero)) and not self.problems
        return same and head["digest"] == self._digest_before(head["offset_bytes"])

    def _digest_before(self, offset_bytes: int) -> str:
        """Of the last rows before a place in frames.csv: no two runs took the same times for them. Empty where they cannot be read."""
        begin = max(0, offset_bytes - _DIGESTED_BYTES)
        try:
            with self._session.folder.frames.open("rb") as file:
                file.seek(begin)
                return hashlib.sha256(file.read(offset_bytes - begin)).hexdigest()
        except OSError:
            return ""

    def add_frames(
        self, table: Table, columns: Sequence[Column], before: int, begin: TableHead | None
    ) -> tuple[int, TableHead | None]:
        """Those behind `begin`. How many rows the table has then, which had `before`, and its head, if that ends here."""
        rows_n, head, groups = before, None, table.groups
        place = None if begin is None else RowsPlace(begin["offset_bytes"], begin["lines"])
        try:
            with open_rows(self._session.folder, place) as rows:
                wanted = [column.name for column in columns[len(_BEFORE_SHARES) : -len(_AFTER_SHARES)]]
                values = _FrameValues(rows.columns, wanted, self._zero)
                for row in rows:
                    table.add((*self._head, *values.of(row)))
                    rows_n += 1
                    if table.groups != groups:
                        groups, at = table.groups, rows.place
                        head = TableHead(
                            groups=groups, rows=rows_n, session=self._session.name, zero=str(self._zero),
                            offset_bytes=at.offset_bytes, lines=at.lines,
                            digest=self._digest_before(at.offset_bytes),
                        )  # fmt: skip
        except SessionError as error:
            self.problems.append(shown(str(error)))
        return rows_n, head


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
