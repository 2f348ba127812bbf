"""Spreadsheets for the tests, with formulas whose values are saved in the file, as spreadsheet programs do."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import xlwt
from openpyxl.utils import get_column_letter

Cell = str | int | float | None


@dataclass(frozen=True)
class Formula:
    """A cell that holds a formula; `value` is what was saved with it, None as in a file no program has computed."""

    text: str
    value: Cell = None


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell | Formula]]]) -> Path:
    """An .xlsx file of the given rows. openpyxl writes formulas without values: they are put into the XML after it."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([f"={cell.text}" if isinstance(cell, Formula) else cell for cell in row])
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_suffix(".plain")
    book.save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        parts = {f"xl/worksheets/sheet{number}.xml": rows for number, rows in enumerate(sheets.values(), 1)}
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, _with_values(content.decode(), parts[name]) if name in parts else content)
    plain.unlink()
    return path


def write_old_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> Path:
    """An .xls file of the given rows."""
    book = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if cell is not None:
                    sheet.write(number, column, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(str(path))
    return path


def _with_values(xml: str, rows: Sequence[Sequence[Cell | Formula]]) -> str:
    for number, row in enumerate(rows, 1):
        for column, cell in enumerate(row, 1):
            if isinstance(cell, Formula) and cell.value is not None:
                place = f"{get_column_letter(column)}{number}"
                kind = ' t="str"' if isinstance(cell.value, str) else ""
                xml, found = re.subn(
                    rf'<c r="{place}"[^>]*><f>(.*?)</f><v\s*(?:/>|></v>)</c>',
                    rf'<c r="{place}"{kind}><f>\1</f><v>{cell.value}</v></c>',
                    xml,
                )
                assert found == 1, f"{place}: no formula without a value in the sheet"
    return xml
