"""Annotation sheets: the table found by the names of its columns, whatever the file, the sheet and the row.

A subject that is written once, over the rows of its clips, is taken for all of them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.datasets.sheet_file import SHEET_ENDINGS, Cells, read_cells
from train.datasets.source import DatasetError, Defect

_NEARBY = 2
_LONGEST_FOUND = 120


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
    remarks: tuple[Defect, ...] = ()


def key(column: str) -> str:
    """A column's name without case, blanks and punctuation: "Onset Frame" and "OnsetFrame" are one."""
    return re.sub(r"[^a-z0-9]", "", column.casefold())


def frame_number(text: str) -> int | None:
    """The frame number that a cell holds; None for anything but a whole number of 0 or more ("1,000" can be two)."""
    return int(float(text.replace(",", "."))) if re.fullmatch(r"[0-9]{1,15}(\.0*|,0{0,2})?", text) else None


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
                return _checked(_filled(Sheet(path, name, index + 1, _rows(cells[name], index, kind))), kind)
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
        first, row = next(((n, row) for n, row in enumerate(cells[name], 1) if any(row)), (1, []))
        found = ", ".join(filter(None, row))[:_LONGEST_FOUND] or "nothing"
        raise DatasetError(
            f"{path}: no row with the columns {wanted}; row {first} has {found}; is this the annotation of {kind.title}?"
        )
    raise DatasetError(f"{path}: sheet {name!r}, row {index + 1}: missing column {', '.join(lacking)} of {kind.title}")


def find_sheet(
    kind: SheetKind, roots: Sequence[Path], found: Iterable[Path], annotations: Sequence[Path]
) -> tuple[Sheet | None, list[Defect], list[str]]:
    """The sheet to use of the `candidates`, warnings, and why other files were none."""
    fitting, reasons = _fitting(kind, roots, found, annotations)
    if not fitting:
        return None, [], list(reasons.values())
    return fitting[0], [*fitting[0].remarks, *several_fit([sheet.path for sheet in fitting])], list(reasons.values())


def find_sheets(
    kind: SheetKind, parts: Sequence[str], roots: Sequence[Path], found: Iterable[Path], annotations: Sequence[Path]
) -> tuple[tuple[Sheet, ...], list[Defect], list[str]]:
    """All sheets that fit, of a dataset that comes in several, without copies: those whose clips are all in another. A file
    whose name begins as a part's and that cannot be used is an error."""
    fitting, reasons = _fitting(kind, roots, found, annotations)
    kept: list[tuple[Sheet, set[str]]] = []
    defects = [
        Defect("error", path, reason.removeprefix(f"{path}: "))
        for path, reason in reasons.items()
        if path.name.casefold().startswith(tuple(map(str.casefold, parts)))
    ]
    for sheet in fitting:
        names = {row["Filename"].casefold() for row in sheet.rows}
        copied = next((other.path for other, others in kept if names <= others), None)
        if copied is None:
            kept.append((sheet, names))
            defects += sheet.remarks
        else:
            defects.append(Defect("warning", sheet.path, f"all of its clips are in {copied} already: passed over"))
    sheets = sorted((sheet for sheet, _ in kept), key=lambda sheet: sheet.path.name)
    return tuple(sheets), defects, list(reasons.values())


def _fitting(
    kind: SheetKind, roots: Sequence[Path], found: Iterable[Path], annotations: Sequence[Path]
) -> tuple[list[Sheet], dict[Path, str]]:
    """The sheets that fit, and why other files are none."""
    fitting: list[Sheet] = []
    reasons: dict[Path, str] = {}
    for paths in candidates(kind.usual_file, roots, found, annotations):
        for path in paths:
            try:
                fitting.append(open_sheet(path, kind))
            except DatasetError as error:
                reasons[path] = str(error)
        if fitting:
            break
    return fitting, reasons


def candidates(
    usual_file: str, roots: Sequence[Path], found: Iterable[Path], annotations: Sequence[Path]
) -> list[list[Path]]:
    """Files that may hold the annotation, in groups: a later one counts only where nothing fits in those before.

    `annotations` alone where there are any; else the files `found` under the roots, then those that lie beside a root or
    one folder higher; in each the one with the usual name first, then those highest up.
    """
    groups = (
        [annotations] if annotations else [_by_likeness(usual_file, found), _by_likeness(usual_file, _beside(roots))]
    )
    return [list(dict.fromkeys(paths)) for paths in groups]


def several_fit(paths: Sequence[Path]) -> list[Defect]:
    """The warning that the first of these files is used, where there are others."""
    rest = ", ".join(map(str, paths[1:]))
    reason = f"this annotation sheet is used; {rest} would fit as well; choose with --annotation FILE"
    return [Defect("warning", paths[0], reason)] if rest else []


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


def _closest_header(rows: Cells, kind: SheetKind) -> tuple[int, list[str]]:
    """The first row that has most of the columns, and the columns it lacks."""
    best: tuple[int, list[str]] = (0, [names[0] for names in kind.columns])
    for index, row in enumerate(rows):
        there = {key(cell) for cell in row}
        lacking = [names[0] for names in kind.columns if not there & set(map(key, names))]
        if len(lacking) < len(best[1]):
            best = (index, lacking)
    return best


def _rows(cells: Cells, header: int, kind: SheetKind) -> tuple[SheetRow, ...]:
    """The rows below the header with anything in one of the columns."""
    names = {key(name): key(group[0]) for group in (*kind.columns, *kind.optional) for name in group}
    columns: dict[str, int] = {}
    for index, cell in enumerate(cells[header]):
        if cell:
            columns.setdefault(names.get(key(cell), key(cell)), index)
    rows = []
    for index in range(header + 1, len(cells)):
        there = cells[index]
        row = {name: there[column] if column < len(there) else "" for name, column in columns.items()}
        if any(row.get(key(group[0])) for group in kind.columns):
            rows.append(SheetRow(index + 1, row))
    return tuple(rows)


def _filled(sheet: Sheet) -> Sheet:
    """With the subject of the row above where it is written once for all of somebody's rows, as merged cells are saved
    in a .csv. Not where it may have been forgotten: then a subject stands in more than one place, or few are empty."""
    column = key("Subject")
    written = [row[column] for row in sheet.rows if row[column]]
    empty = len(sheet.rows) - len(written)
    if not (written and sheet.rows[0][column] and len(written) == len(set(written)) and empty >= len(written)):
        return sheet
    rows: list[SheetRow] = []
    for row in sheet.rows:
        rows.append(row if row[column] else SheetRow(row.number, {**row.cells, column: rows[-1][column]}))
    first = next(row.number for row in sheet.rows if not row[column])
    reason = (
        f"Subject is empty in {empty} rows, this the first: the one above it is taken; write it in every row if not so"
    )
    return replace(sheet, rows=tuple(rows), remarks=(Defect("warning", sheet.path, reason, first),))


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


def _by_likeness(usual_file: str, paths: Iterable[Path]) -> list[Path]:
    usual = usual_file.casefold()
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
    return name.casefold().endswith(SHEET_ENDINGS) and not name.startswith(("~$", "."))
