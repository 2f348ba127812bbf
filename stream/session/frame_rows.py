"""A session's frames.csv and events.jsonl, read once from beginning to end in memory that does not grow with them."""

import csv
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired, TextIO

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from model.atomic import regular_file
from model.checked import MisfitError, Number, checked_json
from model.guards import table_cell
from stream.session.session_folder import LARGEST, SessionError, SessionFolder, is_number
from stream.sight import Sight
from stream.sinks.tables import WATCHING

MOST_BUCKETS = 1000
_LATENCY_STEP_MS = 0.1
_LATENCY_STEPS = 20_000
_LONGEST_STEP_S = 60.0
"""A longer step between two rows, or one backwards, is a clock that was set anew: the time line goes on one step later."""
_Quantity = Annotated[Number, Field(ge=-LARGEST, le=LARGEST)]
_MOST_UNITS = 99
_Unit = Annotated[str, Field(pattern=r"^[LR]?[0-9][0-9]?$")]
"""As FACS writes it; sessions from before models told action units have none."""
_MOST_EVIDENCE = 1000


@with_config(ConfigDict(extra="allow"))
class _Event(TypedDict):
    label: str
    kind: str
    track: Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
    onset_s: _Quantity
    apex_s: _Quantity
    offset_s: _Quantity
    confidence: _Quantity
    peak_px: _Quantity
    action_units: NotRequired[Annotated[list[_Unit], Field(max_length=_MOST_UNITS)]]
    action_unit_confidences: NotRequired[list[_Quantity]]
    probability: NotRequired[Annotated[Number, Field(ge=0, le=1)]]
    evidence: NotRequired[Annotated[dict[str, _Quantity], Field(max_length=_MOST_EVIDENCE)]]
    rejected: NotRequired[str]


@with_config(ConfigDict(extra="allow"))
class _Mark(TypedDict):
    mark: str


_EVENT, _MARK = TypeAdapter(_Event), TypeAdapter(_Mark)


@dataclass
class Bucket:
    """A stretch of the time line: the highest probability of every class in it, how many frames had which status, how many
    were `watchable`, and the sum and number of the smallest visible movements, where there was one."""

    highest: list[float]
    statuses: Counter[str] = field(default_factory=lambda: Counter[str]())
    watchable: int = 0
    smallest_sum_px: float = 0.0
    smallest_n: int = 0

    def take(self, other: "Bucket") -> None:
        self.highest = [max(a, b) for a, b in zip(self.highest, other.highest, strict=True)]
        self.statuses += other.statuses
        self.watchable += other.watchable
        self.smallest_sum_px += other.smallest_sum_px
        self.smallest_n += other.smallest_n

    @property
    def smallest_px(self) -> float | None:
        """Its mean, in pixels of a crop with 44 between the eyes; None where nothing was visible, or where it is not known."""
        return self.smallest_sum_px / self.smallest_n if self.smallest_n else None


class Buckets:
    """At most `MOST_BUCKETS` stretches of equal length that cover everything added so far; they double when it outgrows
    them. Times count from the first one added."""

    def __init__(self, classes: int, step_s: float = 1 / 60) -> None:
        self.step_s = step_s
        self.first_s = 0.0
        self._classes = classes
        self._by_place: dict[int, Bucket] = {}

    def add(
        self,
        time_s: float,
        probabilities: Sequence[float] | None,
        status: str,
        watchable: bool = False,
        smallest_px: float | None = None,
    ) -> None:
        """Times that grow. Without an answer `probabilities` is None; `smallest_px`: where a movement would be noticed."""
        if not self._by_place:
            self.first_s = time_s
        while (place := int((time_s - self.first_s) / self.step_s)) >= MOST_BUCKETS:
            self._double()
        bucket = self._by_place.setdefault(place, self._empty())
        bucket.take(
            Bucket(
                list(probabilities) if probabilities is not None else [-1.0] * self._classes,
                Counter([status]),
                int(watchable),
                smallest_px or 0.0,
                int(smallest_px is not None),
            )
        )

    def items(self) -> Iterator[tuple[float, Bucket]]:
        """Middle of the stretch in seconds, in the order of time; stretches without a frame are left out."""
        for place in sorted(self._by_place):
            yield self.first_s + (place + 0.5) * self.step_s, self._by_place[place]

    def _empty(self) -> Bucket:
        return Bucket([-1.0] * self._classes)

    def _double(self) -> None:
        self.step_s *= 2
        merged: dict[int, Bucket] = {}
        for place, bucket in self._by_place.items():
            merged.setdefault(place // 2, self._empty()).take(bucket)
        self._by_place = merged


class Latencies:
    """Percentiles of any number of times, to a tenth of a millisecond up to two seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (_LATENCY_STEPS + 1)
        self.count = 0

    def add(self, ms: float) -> None:
        self._counts[min(max(int(ms / _LATENCY_STEP_MS), 0), _LATENCY_STEPS)] += 1
        self.count += 1

    def percentile(self, percent: float) -> float | None:
        """In milliseconds; None without any."""
        wanted, seen = self.count * percent / 100, 0
        for place, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return (place + 0.5) * _LATENCY_STEP_MS
        return None


@dataclass(frozen=True)
class FrameRow:
    """A row of frames.csv: of a frame and of a face, 0 for none.

    `confidence`, `probabilities` and `action_units` (of the columns' `unit_columns`) are None without an answer, `smallest_px`
    where no movement would be noticed. Both `smallest_px` and `watchable` are None in a session of an earlier version,
    whose rows do not tell them.
    """

    frame: int
    time_s: float
    face: int
    status: str
    label: str
    confidence: float | None
    probabilities: tuple[float, ...] | None
    action_units: tuple[float, ...] | None
    smallest_px: float | None
    watchable: bool | None
    latency_ms: float


class Columns:
    """Reads rows under a header. Raises ValueError for one that is not that of a run's rows."""

    def __init__(self, header: Sequence[str]) -> None:
        self.class_names = tuple(name.removeprefix("p_") for name in header if name.startswith("p_"))
        self.unit_columns = tuple(name for name in header[6:] if name.startswith("au_"))
        if tuple(header[:6]) != ("frame", "time_s", "face", "status", "label", "confidence") or not self.class_names:
            raise ValueError(f"expected the columns of a run's rows, found {', '.join(header)}")
        self._count = len(header)
        self._shares = slice(6, 6 + len(self.class_names))
        self._units = slice(self._shares.stop, self._shares.stop + len(self.unit_columns))
        self._smallest, self._watchable = (header.index(name) if name in header else None for name in WATCHING)

    def row(self, cells: Sequence[str]) -> FrameRow:
        """Raises ValueError for cells that are none, or of impossible numbers."""
        if len(cells) != self._count:
            raise ValueError
        answered = bool(cells[4])
        probabilities = tuple(map(float, cells[self._shares])) if answered else None
        units = tuple(map(float, cells[self._units])) if answered else None
        smallest = "" if self._smallest is None else cells[self._smallest]
        row = FrameRow(
            frame=int(cells[0]),
            time_s=float(cells[1]),
            face=int(cells[2]),
            status=cells[3],
            label=cells[4],
            confidence=float(cells[5]) if answered else None,
            probabilities=probabilities,
            action_units=units,
            smallest_px=float(smallest) if smallest else None,
            watchable=None if self._watchable is None else {"0": False, "1": True}.get(cells[self._watchable]),
            latency_ms=float(cells[-1]),
        )
        quantities = (row.frame, row.time_s, row.face, row.latency_ms, row.smallest_px or 0.0)
        if not all(abs(value) <= LARGEST for value in quantities) or quantities[-1] < 0:
            raise ValueError
        if not all(0 <= share <= 1 for share in (row.confidence or 0.0, *(probabilities or ()), *(units or ()))):
            raise ValueError
        if row.watchable is None and self._watchable is not None:
            raise ValueError
        return row


@dataclass
class RowSummary:
    """What frames.csv holds. `statuses` and `labels` are of the first face in every frame, as is the time line. `sight`: of all
    faces; None in a session of an earlier version, whose rows do not tell what was watchable."""

    class_names: tuple[str, ...]
    buckets: Buckets
    frames: int = 0
    rows: int = 0
    faces: int = 0
    first_s: float | None = None
    last_s: float = 0.0
    statuses: Counter[str] = field(default_factory=lambda: Counter[str]())
    labels: Counter[str] = field(default_factory=lambda: Counter[str]())
    latencies: Latencies = field(default_factory=Latencies)
    sight: Sight | None = None

    @property
    def duration_s(self) -> float:
        return 0.0 if self.first_s is None else self.last_s - self.first_s


@dataclass(frozen=True)
class RowsPlace:
    """A place in frames.csv between two rows: behind so many bytes, and so many lines."""

    offset_bytes: int
    lines: int


class FrameRows:
    """The rows of an open frames.csv, once. `place`: behind the last one that was given."""

    def __init__(self, file: TextIO, folder: SessionFolder, begin: RowsPlace | None = None) -> None:
        self._file, self._folder = file, folder
        self._bytes = 0
        self._cells = csv.reader(self._whole_lines())
        try:
            self.columns = Columns(next(self._cells, []))
        except ValueError as error:
            raise SessionError(f"{folder.frames}: {error}") from None
        self.place = RowsPlace(self._bytes, 1)
        if begin is not None:
            file.seek(begin.offset_bytes)
            self.place, self._bytes = begin, begin.offset_bytes

    def _whole_lines(self) -> Iterator[str]:
        # Without its end a last line may have lost digits too, and would pass for a row. While it is written, the rest may
        # come before the next look: nothing is read behind it.
        while _has_end(line := self._file.readline()):
            self._bytes += len(line.encode())
            yield line

    def __iter__(self) -> Iterator[FrameRow]:
        for cells in self._cells:
            lines = self.place.lines + 1
            try:
                row = self.columns.row(cells)
            except ValueError:
                if next(self._cells, None) is not None:
                    raise SessionError(f"{self._folder.frames}: line {lines} is no row of it") from None
                return
            self.place = RowsPlace(self._bytes, lines)
            yield row


def _has_end(line: str) -> bool:
    return line.endswith(("\n", "\r"))


@contextmanager
def open_rows(folder: SessionFolder, begin: RowsPlace | None = None) -> Iterator[FrameRows]:
    """The columns of frames.csv and its rows, one after the other, those behind `begin`. Raises `SessionError` when it is no such
    file; a last line that was cut off, or has no end, is left out."""
    try:
        with regular_file(folder.frames).open(newline="", encoding="utf-8") as file:
            yield FrameRows(file, folder, begin)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SessionError(f"{folder.frames} cannot be read: {_why(error)}") from error


def read_rows(folder: SessionFolder) -> RowSummary:
    """Raises `SessionError` as `open_rows` does."""
    with open_rows(folder) as rows:
        names = rows.columns.class_names
        summary = RowSummary(names, Buckets(len(names)))
        reader = _Reader(summary)
        for row in rows:
            reader.add(row)
        return summary


class _Reader:
    """Adds rows to a summary."""

    def __init__(self, summary: RowSummary) -> None:
        self._summary = summary
        self._labels = {table_cell(name): name for name in summary.class_names}
        self._frame: int | None = None
        self._last_s = math.nan
        self._step_s = 0.0
        self._shift_s = 0.0

    def add(self, row: FrameRow) -> None:
        summary = self._summary
        summary.rows += 1
        summary.faces = max(summary.faces, row.face)
        if row.frame == self._frame:
            self._see(row)  # a second face of the same frame
            return
        self._frame = row.frame
        summary.frames += 1
        summary.statuses[row.status] += 1
        if row.probabilities is not None:
            summary.labels[self._labels.get(row.label, row.label)] += 1
            summary.latencies.add(row.latency_ms)
        step_s = row.time_s - self._last_s
        if summary.first_s is None:
            summary.first_s = row.time_s
        elif not 0 <= step_s <= _LONGEST_STEP_S:
            self._shift_s += 1 / 30 - step_s
        self._last_s, self._step_s = row.time_s, 0.0 if math.isnan(step_s) else step_s
        self._see(row)
        summary.last_s = row.time_s + self._shift_s
        watchable = bool(row.watchable)
        smallest_px = row.smallest_px if watchable else None
        summary.buckets.add(summary.last_s, row.probabilities, row.status, watchable, smallest_px)

    def _see(self, row: FrameRow) -> None:
        if row.watchable is not None:
            self._summary.sight = self._summary.sight or Sight()
            read = row.status == "ok"
            self._summary.sight.add(row.face, self._step_s, read, row.watchable, row.smallest_px)


def read_events(folder: SessionFolder) -> Iterator[Mapping[str, Any]]:
    """The whole lines of events.jsonl."""
    return read_events_of(folder.events)


def read_events_of(path: Path) -> Iterator[Mapping[str, Any]]:
    """The whole lines of a file of events, of a session or not; none where there is no file."""
    return _objects(path, _EVENT)


def read_marks(folder: SessionFolder) -> Iterator[Mapping[str, Any]]:
    """An experiment's marks that have a time on the source's clock."""
    return (mark for mark in _objects(folder.markers, _MARK) if is_number(mark.get("time_s"), LARGEST))


def cut_off(path: Path) -> bool:
    """Whether the last line of a file that grows line by line has no end: its run was killed, or is just writing it."""
    try:
        with regular_file(path).open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False


def _objects(path: Path, kind: TypeAdapter[Any]) -> Iterator[Mapping[str, Any]]:
    """JSON objects, one a line, with at least the fields of their kind; none where there is no file. A last line that was
    cut off is left out."""
    if not path.exists():
        return
    try:
        with regular_file(path).open(encoding="utf-8") as file:
            for place, line in enumerate(file, start=1):
                try:
                    yield checked_json(kind, line)
                except MisfitError as error:
                    if _has_end(line) and file.readline():
                        raise SessionError(f"{path}: line {place} is not what belongs there: {error}") from None
                if not _has_end(line):
                    return  # its end may come meanwhile, and would be a line of its own
    except (OSError, UnicodeDecodeError) as error:
        raise SessionError(f"{path} cannot be read: {_why(error)}") from error


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
