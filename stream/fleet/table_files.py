"""Tables as files, Parquet or CSV, written row by row in memory that does not grow with them, whole or not at all."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, BinaryIO, Literal, Protocol, Self, TextIO

from model.atomic import whole_file
from model.guards import table_cell
from stream.fleet.fleet_folder import FleetError

TABLE_SCHEMA = 1
"""Of docs/TABLES.md; 2 will be the first in which a column is gone or means something else."""
ROWS_A_GROUP = 1 << 16
"""So many rows are held at a time."""

Form = Literal["parquet", "csv"]
Kind = Literal["text", "whole", "number", "yes_no", "time", "texts", "numbers"]
"""Of a column's values, each None where there is none: str, int, float, bool, microseconds since 1970 (UTC), and tuples."""

_SCHEMA_KEY = "microlive_schema"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES_US = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The years 1 to 9999, which is what dates can be."""


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind


class Table(Protocol):
    """A file that is being written. `groups`: so many groups of `ROWS_A_GROUP` rows are in it whole; none in CSV."""

    groups: int

    def add(self, row: Sequence[Any]) -> None:
        """A value for every column."""
        ...


@contextmanager
def open_table(path: Path, form: Form, columns: Sequence[Column], groups_kept: int = 0) -> Iterator[Table]:
    """A new file, which is there when the block has ended well. `groups_kept`: it begins with so many groups of the file that is
    there, which has these columns, too. Raises FleetError where it cannot be written, or those groups cannot be read.
    """
    try:
        with whole_file(path, ending=".part") as partial:  # DuckDB's *.parquet finds hidden files, too
            if form == "csv":
                with partial.open("w", newline="", encoding="utf-8") as file:
                    yield _CsvTable(file, columns)
            else:
                with partial.open("wb") as file, _ParquetTable(file, columns) as table:
                    if groups_kept:
                        table.take(path, groups_kept)
                    yield table
    except OSError as error:
        raise FleetError(f"cannot write the table {path}: {error.strerror or error}") from error


def require_pyarrow() -> ModuleType:
    """Raises FleetError where it is not installed."""
    try:
        import pyarrow.parquet  # the live program is without it
    except ImportError as error:
        raise FleetError(
            f"Parquet needs pyarrow, which is not there ({error}): pip install -r requirements-fleet.txt, or write CSV"
        ) from None
    return pyarrow


def time_us(zero: datetime | None, time_s: float) -> int | None:
    """Microseconds since 1970 of a moment `time_s` after `zero`; None where it is not known, or no date."""
    if zero is None:
        return None
    us = (zero - _EPOCH) // timedelta(microseconds=1) + round(time_s * 1e6)
    return us if _TIMES_US[0] <= us <= _TIMES_US[1] else None


class _CsvTable:
    groups = 0

    def __init__(self, file: TextIO, columns: Sequence[Column]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        # Numbers are written so that reading them gives the very same ones.
        self._words = [(place, _WORDS[one.kind]) for place, one in enumerate(columns) if one.kind in _WORDS]
        self._writer.writerow([column.name for column in columns])

    def add(self, row: Sequence[Any]) -> None:
        cells = list(row)
        for place, words in self._words:
            if cells[place] is not None:
                cells[place] = words(cells[place])
        self._writer.writerow(cells)


def _listed(values: Sequence[Any]) -> str:
    return " ".join(map(str, values))


def _time_words(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds")


_WORDS: dict[str, Callable[[Any], object]] = {
    "text": table_cell, "yes_no": int, "time": _time_words, "texts": _listed, "numbers": _listed,
}  # fmt: skip
"""Cells of CSV that are not simply their value."""


class _ParquetTable:
    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        pa = self._pa = require_pyarrow()
        kinds = {
            "text": pa.string(),
            "whole": pa.int64(),
            "number": pa.float64(),
            "yes_no": pa.bool_(),
            "time": pa.timestamp("us", tz="UTC"),
            "texts": pa.list_(pa.string()),
            "numbers": pa.list_(pa.float64()),
        }
        fields = [pa.field(column.name, kinds[column.kind]) for column in columns]
        self._schema = pa.schema(fields, metadata={_SCHEMA_KEY: str(TABLE_SCHEMA)})
        self._rows: list[Sequence[Any]] = []
        self.groups = 0
        self._writer = pa.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def add(self, row: Sequence[Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_A_GROUP:
            self._flush()
            self.groups += 1

    def take(self, path: Path, groups: int) -> None:
        """The first groups of another table with these columns, which takes a thirtieth of the time of making them again."""
        try:
            # Bytes of a file that may be replaced meanwhile are not to be mapped.
            with self._pa.parquet.ParquetFile(path, memory_map=False) as file:
                for group in range(groups):
                    self._writer.write_table(file.read_row_group(group, use_threads=False))
        except (self._pa.ArrowException, ValueError) as error:
            raise FleetError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
        self.groups = groups

    def _flush(self) -> None:
        if self._rows:
            cells = zip(*self._rows, strict=True)
            arrays = [self._pa.array(values, field.type) for values, field in zip(cells, self._schema, strict=True)]
            self._writer.write_table(self._pa.table(arrays, schema=self._schema))
            self._rows.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._writer:
            if error is None:
                self._flush()
