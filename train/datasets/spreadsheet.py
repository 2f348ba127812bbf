"""Annotation sheets: the table found by the names of its columns, whatever the file, the sheet and the row.

Cells come as text (`"006"` stays `"006"`, 46.0 becomes `"46"`), formulas as the value that was saved with them.
"""

import csv
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import ParseError

import pandas as pd
from openpyxl.utils.exceptions import InvalidFileException

from model.atomic import regular_file
from train.datasets.source import DatasetError, Defect

_BROKEN = (InvalidFileException, zipfile.BadZipFile, zlib.error, ParseError, EOFError, OSError, ValueError, KeyError,
           IndexError, AttributeError, TypeError)  # fmt: skip
_NEARBY = 2


@dataclass(frozen=True)
class SheetKind:
    """How to know a dataset's annotation sheet.

    `columns` must be there, `optional` may: each a column's name followed by other names in use, compared without case,
    blanks and punctuation. At least half of the rows' Filename must match `clip_name`. `sheets` are preferred, in this
    order; those in `others` are never read.
    """

    title: str
    usual_file: str
    columns: tuple[tuple[str, ...], ...]
    clip_name: re.Pattern[str]
    optional: tuple[tuple[str, ...], ...] = ()
    sheets: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class SheetRow:
    """A row below the header: its number as a spreadsheet counts and its cells by the column's `key`."""

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """The stripped text of a cell, empty where the cell or the column is."""
        return self.cells.get(key(column), "")


@dataclass(frozen=True)
class Sheet:
    path: Path
    name: str
    header_row: int
    rows: tuple[SheetRow, ...]


def key(column: str) -> str:
    """A column's name without case, blanks and punctuation: "Onset Frame" and "OnsetFrame" are one."""
    return re.sub(r"[^a-z0-9]", "", column.casefold())


def frame_number(text: str) -> int | None:
    """The frame number that a cell holds; None for anything but a whole number of 0 or more."""
    return int(float(text)) if re.fullmatch(r"[0-9]{1,15}(\.0*)?", text) else None


def read_cells(path: Path) -> dict[str, list[list[str]]]:
    """All cells of a file (.xlsx, .xlsm, .csv) as stripped text, by sheet. Raises DatasetError."""
    suffix = path.suffix.casefold()
    if suffix == ".xls":
        raise DatasetError(f"{path}: the old .xls format; open it in a spreadsheet program and save it as .xlsx")
    try:
        if suffix == ".csv":
            with regular_file(path).open(newline="", encoding="utf-8-sig") as file:
                return {path.stem: [[cell.strip() for cell in row] for row in csv.reader(file)]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl's remarks on styles and validation, which are not read
            frames = pd.read_excel(
                regular_file(path), sheet_name=None, header=None, dtype=str, na_filter=False, engine="openpyxl"
            )
    except (*_BROKEN, csv.Error) as error:
        what = "a CSV file" if suffix == ".csv" else "an .xlsx spreadsheet"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{path}: cannot be read as {what} ({reason}); take a fresh copy of it") from error
    return {
        str(name): [
            [cell.strip() if isinstance(cell, str) else "" for cell in row] for row in frame.to_numpy().tolist()
        ]
        for name, frame in frames.items()
    }


def open_sheet(path: Path, kind: SheetKind) -> Sheet:
    """The sheet of a file that holds `kind`'s table. Raises DatasetError that says what the file lacks."""
    refused = {key(name) for name in kind.others}
    preferred = [key(name) for name in kind.sheets]
    cells = {name: rows for name, rows in read_cells(path).items() if key(name) not in refused}
    order = sorted(cells, key=lambda name: preferred.index(key(name)) if key(name) in preferred else len(preferred))
    headers = {name: _closest_header(cells[name], kind) for name in order}
    unfit: list[DatasetError] = []
    for name in order:
        index, lacking = headers[name]
        if not lacking:
            try:
                return _checked(Sheet(path, name, index + 1, _rows(cells[name], index, kind)), kind)
            except DatasetError as error:
                unfit.append(error)
    if unfit:
        raise unfit[0]
    wanted = ", ".join(names[0] for names in kind.columns)
    if not headers:
        raise DatasetError(f"{path}: no sheet that could hold {kind.title}'s table, with the columns {wanted}")
    name = min(order, key=lambda name: len(headers[name][1]))
    index, lacking = headers[name]
    if len(lacking) > len(kind.columns) - 2:
        raise DatasetError(f"{path}: no row with the columns {wanted}; is this the annotation of {kind.title}?")
    raise DatasetError(f"{path}: sheet {name!r}, row {index + 1}: missing column {', '.join(lacking)} of {kind.title}")


def find_sheet(
    kind: SheetKind, roots: Sequence[Path], found: Iterable[Path], annotations: Sequence[Path]
) -> tuple[Sheet | None, list[Defect], list[str]]:
    """The sheet to use, warnings, and why other files were none.

    `annotations` alone are looked at where there are any; else the files `found` under the roots, then those that lie
    beside a root or one folder higher.
    """
    fitting: list[Sheet] = []
    reasons: list[str] = []
    for paths in [annotations] if annotations else [_by_likeness(kind, found), _by_likeness(kind, _beside(roots))]:
        for path in dict.fromkeys(paths):
            try:
                fitting.append(open_sheet(path, kind))
            except DatasetError as error:
                reasons.append(str(error))
        if fitting:
            break
    if not fitting:
        return None, [], reasons
    rest = ", ".join(str(sheet.path) for sheet in fitting[1:])
    reason = f"this annotation sheet is used; {rest} would fit as well; choose with --annotation FILE"
    return fitting[0], [Defect("warning", fitting[0].path, reason)] if rest else [], reasons


def no_sheet(
    kind: SheetKind, roots: Sequence[Path], annotations: Sequence[Path], reasons: Sequence[str]
) -> DatasetError:
    """The error for a dataset that cannot be read without its sheet."""
    if annotations:
        return DatasetError("; ".join(reasons))
    looked = f" (looked at {'; '.join(reasons[:3])}{' ...' if len(reasons) > 3 else ''})" if reasons else ""
    where = ", ".join(map(str, roots))
    return DatasetError(
        f"{kind.title}: no annotation sheet under {where}, usually {kind.usual_file}{looked}; give it with --annotation FILE"
    )


def _closest_header(rows: list[list[str]], kind: SheetKind) -> tuple[int, list[str]]:
    """The first row that has most of the columns, and the columns it lacks."""
    best: tuple[int, list[str]] = (0, [names[0] for names in kind.columns])
    for index, row in enumerate(rows):
        there = {key(cell) for cell in row}
        lacking = [names[0] for names in kind.columns if not there & set(map(key, names))]
        if len(lacking) < len(best[1]):
            best = (index, lacking)
    return best


def _rows(cells: list[list[str]], header: int, kind: SheetKind) -> tuple[SheetRow, ...]:
    """The rows below the header with anything in one of the columns."""
    names = {key(name): key(group[0]) for group in (*kind.columns, *kind.optional) for name in group}
    columns: dict[str, int] = {}
    for index, cell in enumerate(cells[header]):
        if cell:
            columns.setdefault(names.get(key(cell), key(cell)), index)
    rows = []
    for index in range(header + 1, len(cells)):
        row = {name: cells[index][column] for name, column in columns.items() if column < len(cells[index])}
        if any(row.get(key(group[0])) for group in kind.columns):
            rows.append(SheetRow(index + 1, row))
    return tuple(rows)


def _checked(sheet: Sheet, kind: SheetKind) -> Sheet:
    where = f"{sheet.path}: sheet {sheet.name!r}"
    if not sheet.rows:
        raise DatasetError(f"{where}: no rows below the header in row {sheet.header_row}")
    for column, *_ in kind.columns:
        if not any(row[column] for row in sheet.rows):
            raise DatasetError(
                f"{where}: column {column} is empty in all {len(sheet.rows)} rows; if it holds formulas, open the file "
                "in a spreadsheet program and save it, so that their values are in it"
            )
    names = [row["Filename"] for row in sheet.rows if row["Filename"]]
    if 2 * sum(kind.clip_name.match(name) is not None for name in names) < len(names):
        raise DatasetError(f"{where}: the names in column Filename (first: {names[0]!r}) are not those of {kind.title}")
    return sheet


def _by_likeness(kind: SheetKind, paths: Iterable[Path]) -> list[Path]:
    """The files, the one with the usual name first, then those highest up."""
    usual = kind.usual_file.casefold()
    return sorted(paths, key=lambda path: (path.name.casefold() != usual, len(path.parts), path))


def _beside(roots: Sequence[Path]) -> list[Path]:
    folders = dict.fromkeys(folder for root in roots for folder in list(root.resolve().parents)[:_NEARBY])
    return [path for folder in folders for path in sheets_in(folder)]


def sheets_in(folder: Path) -> list[Path]:
    """The spreadsheets right in a folder, without the lock files of spreadsheet programs; empty where unreadable."""
    try:
        return sorted(path for path in folder.iterdir() if is_sheet(path.name))
    except OSError:
        return []


def is_sheet(name: str) -> bool:
    return name.casefold().endswith((".xlsx", ".xlsm", ".xls")) and not name.startswith(("~$", "."))
