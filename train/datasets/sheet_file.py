"""The cells of a sheet's file as text: workbooks (.xlsx, .xlsm, .xls) and tables of text (.csv, .tsv, .txt), within bounds.

What a table of text is written with (encoding, separator, quotes) is found in the text itself. Cells come as they were
typed: `"006"` stays `"006"`, 46.0 becomes `"46"`; formulas as the value that was saved with them.
"""

import codecs
import csv
import io
import math
import re
import time
import warnings
import zipfile
import zlib
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import WorkSheetParser

from model.atomic import regular_file
from train.datasets.old_workbook import LargeWorkbookError, OldWorkbookError, OldWorkbookLimits, read_old_workbook
from train.datasets.source import DatasetError

SHEET_ENDINGS = (".xlsx", ".xlsm", ".xls", ".ods")
"""Of files that only a spreadsheet program writes."""

_BROKEN = (InvalidFileException, zipfile.BadZipFile, zlib.error, ParseError, EOFError, OSError, ValueError, KeyError,
           IndexError, AttributeError, TypeError, NotImplementedError, RuntimeError, MemoryError, csv.Error)  # fmt: skip
_ZIP, _OLE = b"PK", b"\xd0\xcf\x11\xe0"
_MOST_BYTES = 32 << 20
"""Of a file, of a workbook's XML when it is unpacked, and of all its cells' texts: many cells can have one."""
_MOST_FORMAT_BYTES = 4 << 20
"""Of each part of a workbook but its cells and texts: styles take far more time and memory than their size."""
_MOST_CELLS = 500_000
_MOST_READING_S = 30.0
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_SEPARATORS = ",;\t|"
_TRIED_ROWS = 1000
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

Cells = list[list[str]]
"""Rows of a sheet, all of one length in a workbook."""


def read_cells(path: Path) -> dict[str, Cells]:
    """All cells of a file as stripped text, by sheet. Raises DatasetError: one line that says what to do."""
    suffix = path.suffix.casefold()
    what = "an .xlsx spreadsheet" if suffix in SHEET_ENDINGS else "a CSV file"
    try:
        if not path.is_file():
            raise DatasetError(f"{path}: expected a sheet's file, found {'none' if not path.exists() else 'no file'}")
        if path.stat().st_size > _MOST_BYTES:
            raise _too_large(path, f"a file of up to {_MOST_BYTES >> 20} MB, found {path.stat().st_size >> 20} MB")
        with regular_file(path).open("rb") as file:
            start = file.read(8)
        if start.startswith(_OLE) or (suffix == ".xls" and not start.startswith(_ZIP)):
            return _old_workbook(path)
        if start.startswith(_ZIP) or suffix in SHEET_ENDINGS:
            what = "an .xlsx spreadsheet"
            return _workbook(path)
        return {path.stem: _table(path)}
    except DatasetError:
        raise
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DatasetError(f"{path}: cannot be read as {what} ({reason}); take a fresh copy of it") from error


def _too_large(path: Path | str, expected: str) -> DatasetError:
    return DatasetError(f"{path}: expected {expected}; copy the table alone into a new file")


# Workbooks


def _old_workbook(path: Path) -> dict[str, Cells]:
    """In a process of its own: what reads .xls files can be kept busy for ever by a small one."""
    limits = OldWorkbookLimits(_MOST_CELLS, _MOST_BYTES, _MOST_READING_S)
    try:
        return read_old_workbook(regular_file(path), limits)
    except LargeWorkbookError as error:
        raise _too_large(path, f"{error}, found more") from error
    except OldWorkbookError as error:
        if error.locked:
            raise DatasetError(
                f"{path}: locked with a password; open it in a spreadsheet program and save it without one"
            ) from error
        raise DatasetError(
            f"{path}: cannot be read as an .xls spreadsheet ({error}); take a fresh copy of it, or open it in a "
            "spreadsheet program and save it as .xlsx"
        ) from error


class _InTime(io.FileIO):
    """A file that cannot be read any more after a while: what a few bytes of a zip unpack to can take for ever."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path, self._until_s = path, time.monotonic() + _MOST_READING_S

    def require_time(self) -> None:
        if time.monotonic() > self._until_s:
            raise _too_large(self._path, f"a workbook that is read in {_MOST_READING_S:g} s")

    def read(self, size: int | None = -1, /) -> bytes:
        self.require_time()
        return super().read(-1 if size is None else size)


def _workbook(path: Path) -> dict[str, Cells]:
    with _InTime(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl's remarks on styles and validation, which are not read
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "mimetype" in names and "content.xml" in names:
                raise DatasetError(f"{path}: an OpenDocument sheet (.ods); save it as .xlsx or .csv")
            parts = [part for part in archive.infolist() if part.filename.casefold().endswith((".xml", ".rels"))]
        size = sum(part.file_size for part in parts)
        for part in parts:
            if not re.search(r"worksheets/|sharedstrings", part.filename.casefold()):
                size += _MOST_BYTES * (part.file_size > _MOST_FORMAT_BYTES)
        if size > _MOST_BYTES:
            raise _too_large(path, f"a workbook of up to {_MOST_BYTES >> 20} MB when it is unpacked, found more")
        book: Any = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        return {str(sheet.title): _sheet(path, book, sheet, file) for sheet in book.worksheets}


def _sheet(path: Path, book: Any, sheet: Any, file: _InTime) -> Cells:
    """Only the cells that are there are looked at: openpyxl's own rows are as wide as the file says they are."""
    where = f"{path}: sheet {sheet.title!r}"
    too_large = _too_large(where, f"up to {_MOST_CELLS} cells with {_MOST_BYTES >> 20} MB of text, found more")
    found: dict[tuple[int, int], str] = {}
    seen = length = 0
    with sheet._get_source() as source:
        dates = {"date_formats": book._date_formats, "timedelta_formats": book._timedelta_formats}
        parser = WorkSheetParser(source, sheet._shared_strings, data_only=True, epoch=book.epoch, **dates)
        for _, row in parser.parse():
            file.require_time()
            seen += 1 + len(row)
            for cell in row:
                if text := _text_of(cell):
                    found[cell["row"], cell["column"]] = text
                    length += len(text)
            if seen > _MOST_CELLS or length > _MOST_BYTES:
                raise too_large
    height, width = (max((place[axis] for place in found), default=0) for axis in (0, 1))
    if height * width > _MOST_CELLS:
        last = max(found, key=lambda place: place[0] * width + place[1] * height)
        raise DatasetError(
            f"{where}: expected up to {_MOST_CELLS} cells, found something as far out as {get_column_letter(last[1])}{last[0]}; "
            "delete what lies outside the table"
        )
    cells = [[found.get((row, column), "") for column in range(1, width + 1)] for row in range(1, height + 1)]
    for merged in parser.merged_cells.mergeCell if parser.merged_cells is not None else ():
        # Only downwards: a title over several columns is one cell.
        below = range(merged.min_row, min(merged.max_row, height) if merged.min_col <= width else 0)
        seen += len(below)
        if seen > _MOST_CELLS:
            raise too_large
        for row in below:
            cells[row][merged.min_col - 1] = cells[merged.min_row - 1][merged.min_col - 1]
    return cells


def _text_of(cell: dict[str, Any]) -> str:
    value = cell["value"]
    if value is None or cell["data_type"] == "e":
        return ""
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    return str(value).strip()


# Tables of text


def _table(path: Path) -> Cells:
    text = _decoded(regular_file(path).read_bytes()).rstrip("\x1a")  # by which DOS says that it ends
    if (binary := _BINARY.search(text)) is not None:
        row = text.count("\n", 0, binary.start()) + 1
        raise ValueError(f"expected a table of text, found the binary character {binary[0]!r} in line {row}")
    told = re.match(r'"?sep=(.)"?\r?\n', text)  # Excel's own word for it, which it does not show
    text = text[told.end() :] if told is not None else text
    separator = told[1] if told is not None else _separator(text)
    rows: Cells = []
    try:
        for row in _rows(text, separator, strict=True):
            rows.append(row)
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise DatasetError(
                f'{path}, row {len(rows) + 1}: a quotation mark (") opens a cell and none closes it'
            ) from error
        rows = list(_rows(text, separator))
    if sum(map(len, rows)) + len(rows) > _MOST_CELLS:
        raise _too_large(path, f"up to {_MOST_CELLS} cells, found more")
    return rows


def _rows(text: str, separator: str, strict: bool = False) -> Any:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=strict)
    return ([cell.strip() for cell in row] for row in reader)


def _decoded(data: bytes) -> str:
    """By its mark; else UTF-16 where every second byte is none, UTF-8 where it is, or the bytes of Western Windows."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding)
    even, odd = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 == 0 and max(even, odd) > 8 * min(even, odd):
        return data.decode("utf-16-le" if odd > even else "utf-16-be")
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _separator(text: str) -> str:
    """The one that the largest share of rows has, most evenly, most often: decimal commas are in no header."""

    def fits(separator: str) -> tuple[float, float, int]:
        try:
            widths = [len(row) for row in islice(_rows(text, separator), _TRIED_ROWS) if any(row)]
        except csv.Error:
            return 0, 0, 0
        counted = Counter(width for width in widths if width > 1)
        usual, rows = max(counted.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        return counted.total() / max(1, len(widths)), rows / max(1, len(widths)), usual

    return max(_SEPARATORS, key=fits)
