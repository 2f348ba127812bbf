"""Tables as people save them: any separator, encoding and quoting; workbooks that are bombs end soon, in one line."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.workbooks import Cell, write_old_workbook, write_workbook
from tests.train.datasets.test_folder import by_name, reasons, video
from train.datasets import folder, old_workbook, sheet_file
from train.datasets.sheet_file import read_cells
from train.datasets.source import DatasetError
from train.datasets.spreadsheet import frame_number, is_sheet

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
TABLE = [["file", "subject", "fps"], ["bjørn_1.mp4", "bjørn", "29,97"], ["Müller_2.mp4", "Müller", "30"]]


def saved(
    path: Path, rows: list[list[str]], separator: str, encoding: str, end: str = "\r\n", before: str = ""
) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(rows)
    path.write_bytes((before + text.getvalue()).encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", SEPARATORS.values(), ids=SEPARATORS)
def test_separator_and_encoding_are_found_in_the_text(tmp_path: Path, separator: str, encoding: str) -> None:
    path = saved(tmp_path / "clips.txt", TABLE, separator, encoding)
    assert read_cells(path) == {"clips": TABLE}


CELLS = st.text(st.sampled_from("aZ09 .,;|\t\"'-_/äøß\n"), max_size=8)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.integers(2, 5).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6)
    ),
    separator=st.sampled_from(list(SEPARATORS.values())),
    encoding=st.sampled_from([*ENCODINGS, "utf-8", "utf-8"]),
    end=st.sampled_from(["\n", "\r\n"]),
    told=st.booleans(),
)
def test_what_a_program_has_saved_is_read_as_it_was(
    tmp_path: Path, cells: list[list[str]], separator: str, encoding: str, end: str, told: bool
) -> None:
    table = [[f"name{n}" for n in range(len(cells[0]))], *cells]
    before = f"sep={separator}{end}" if told and encoding != "utf-32" else ""
    path = saved(tmp_path / "a.csv", table, separator, encoding, end, before)
    assert read_cells(path) == {"a": [[cell.strip() for cell in row] for row in table]}


def test_a_title_short_rows_and_decimal_commas_do_not_mislead(tmp_path: Path) -> None:
    lines = ["Study 3, coded by A. and B.", "", "file;subject;fps", *(f"{n};ann;29,97" for n in range(8)), "8", "9"]
    (tmp_path / "a.csv").write_text("\r".join(lines))
    (rows,) = read_cells(tmp_path / "a.csv").values()
    assert rows[2:4] == [["file", "subject", "fps"], ["0", "ann", "29,97"]] and rows[-1] == ["9"]


@pytest.mark.parametrize(("text", "number"), [("46,0", 46), ("46,", 46), ("1,000", None), ("4,5", None)])
def test_frame_numbers_with_a_comma(text: str, number: int | None) -> None:
    assert frame_number(text) == number


def test_cells_that_are_merged_downwards_are_filled(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in [["A title"], ["file", "subject"], ["1", "ann"], ["2"], ["3", "bob"], ["4"]]:
        sheet.append(row)
    for places in ("A1:C1", "B3:B4", "B5:B1000", "D2:E9"):
        sheet.merge_cells(places)
    book.save(tmp_path / "a.xlsx")
    assert read_cells(tmp_path / "a.xlsx") == {
        "Sheet": [["A title", ""], ["file", "subject"], ["1", "ann"], ["2", "ann"], ["3", "bob"], ["4", "bob"]]
    }


def clips(root: Path) -> Path:
    for name in ("negative/1.mp4", "negative/2.mp4", "positive/3.mp4", "positive/bjo\u0308rn.mp4"):
        video(root / name)
    return root


def test_a_folders_sheet_with_semicolons_of_windows_and_subjects_written_once(tmp_path: Path) -> None:
    rows = [["file", "subject", "onset", "offset", "fps"], ["1", "anna", "0", "2,0", "29,97"], ["2", "", "0", "2", "25"],
            ["3", "bjørn", "0", "2", "25,"], ["björn.mp4", "", "0", "2", "25"]]  # fmt: skip
    path = saved(tmp_path / "a.csv", rows, ";", "cp1252")
    reading = folder.read(clips(tmp_path / "clips"), path)
    found = {clip.clip.split("/")[1][:2]: (clip.subject, clip.fps, clip.offset) for clip in by_name(reading).values()}
    assert found == {"1": ("anna", 29.97, 2), "2": ("anna", 25, 2), "3": ("bjørn", 25, 2), "bj": ("bjørn", 25, 2)}
    assert reasons(reading, "error") == []
    (warning,) = reasons(reading, "warning")
    assert "a.csv, row 3: Subject is empty in 2 rows, this the first: the one above it is taken" in warning


@pytest.mark.parametrize("subjects", [["ann", "", "ann", ""], ["", "ann", "", ""], ["ann", "bob", "cid", ""]])
def test_a_subject_that_may_have_been_forgotten_is_not_made_up(tmp_path: Path, subjects: list[str]) -> None:
    rows = [["file", "subject"], *([name, who] for name, who in zip(("1", "2", "3", "björn"), subjects, strict=True))]
    reading = folder.read(clips(tmp_path / "clips"), saved(tmp_path / "a.csv", rows, ",", "utf-8"))
    assert [clip.subject for clip in reading.clips] == sorted(filter(None, subjects))
    errors = reasons(reading, "error")
    assert len(errors) == subjects.count("")
    assert all("no subject for this clip: the cell is empty; write the subject in every row" in one for one in errors)
    assert f"row {subjects.index('') + 2} " in errors[0]


def test_a_frame_rate_that_can_be_two_is_refused(tmp_path: Path) -> None:
    rows = [["file", "subject", "onset", "offset", "fps"], ["1", "ann", "0", "2", "1,000"]]
    reading = folder.read(clips(tmp_path / "clips"), saved(tmp_path / "a.tsv", rows, "\t", "utf-16"))
    assert (
        "a.tsv, row 2 (negative/1): fps: expected a number above 0 such as 29.97, found '1,000'"
        in reasons(reading, "error")[0]
    )


def test_what_a_table_lacks_is_told_with_what_it_has(tmp_path: Path) -> None:
    root = clips(tmp_path / "clips")
    with pytest.raises(DatasetError, match=r"a.csv: no row with the columns Filename; row 2 has who, what; is this"):
        folder.read(root, saved(tmp_path / "a.csv", [[], ["who", "what"], ["1", "2"]], ";", "utf-8"))
    with pytest.raises(
        DatasetError, match=r"a.csv, row 1: expected a column subject, .* found neither in filename, mood"
    ):
        folder.read(root, saved(tmp_path / "a.csv", [["file", "mood"], ["1", "2"]], ";", "utf-8"))


# What is no table, or more than one should be


def workbook(path: Path, cells: str, after: str = "", strings: str = "", **parts: str) -> Path:
    """A sheet of this XML; `parts` stand in for others (`styles`), and `strings` are what cells can have in common."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    plain = write_workbook(path.with_name("plain.xlsx"), {"S": [["a"]]})
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            stem = Path(name).stem
            if stem == "sheet1":
                target.writestr(name, f"<worksheet {space}><sheetData>{cells}</sheetData>{after}</worksheet>")
            elif stem in parts:
                target.writestr(name, parts[stem])
            elif name == "[Content_Types].xml":
                kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
                part = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
                target.writestr(name, source.read(name).decode().replace("</Types>", part))
            elif stem != "sharedStrings":
                target.writestr(name, source.read(name))
        target.writestr("xl/sharedStrings.xml", f"<sst {space}>{strings}</sst>")
    plain.unlink()
    return path


CORNER = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
MERGED = "".join('<mergeCell ref="A1:A1048576"/>' for _ in range(100))
BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "corner": (lambda path: workbook(path, CORNER), "something as far out as XFD1048576; delete what lies outside"),
    "cells": (lambda path: workbook(path, "<row/>" * 3000), "expected up to 2000 cells"),
    "texts": (
        lambda path: workbook(path, "<row>" + "<c t='s'><v>0</v></c>" * 10 + "</row>", strings=f"<si><t>{'a' * 30_000}</t></si>"),
        "cells with 0 MB of text",
    ),
    "unpacked": (lambda path: workbook(path, "<row/>" * 100_000), "when it is unpacked, found more"),
    "styles": (lambda path: workbook(path, "", styles=" " * 30_001), "when it is unpacked, found more"),
    "merged": (
        lambda path: workbook(path, CORNER.replace("XFD1048576", "A900").replace("1048576", "900"), f"<mergeCells>{MERGED}</mergeCells>"),
        "expected up to 2000 cells",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    make, message = BOMBS[name]
    path = make(tmp_path / "a.xlsx")
    monkeypatch.setattr(sheet_file, "_MOST_CELLS", 2000)
    monkeypatch.setattr(sheet_file, "_MOST_BYTES", 200_000)
    monkeypatch.setattr(sheet_file, "_MOST_FORMAT_BYTES", 30_000)
    with pytest.raises(DatasetError, match=message) as caught:
        read_cells(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_far_cells_that_are_empty_do_not_count(tmp_path: Path) -> None:
    far = '<row r="2"><c r="B2"><v>2</v></c><c r="XFD2" s="0"/></row><row r="1048576"><c r="XFD1048576" s="0"/></row>'
    assert read_cells(workbook(tmp_path / "a.xlsx", far)) == {"S": [["", ""], ["", "2"]]}


def test_a_workbook_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_file, "_MOST_READING_S", -1.0)
    with pytest.raises(DatasetError, match=r"a.xlsx: expected a workbook that is read in -1 s; copy the table alone"):
        read_cells(workbook(tmp_path / "a.xlsx", ""))


def test_a_table_of_text_has_bounds_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.csv", [["a", "b"]] * 100, ",", "utf-8")
    monkeypatch.setattr(sheet_file, "_MOST_CELLS", 200)
    with pytest.raises(DatasetError, match=r"a.csv: expected up to 200 cells, found more"):
        read_cells(path)
    monkeypatch.setattr(sheet_file, "_MOST_BYTES", 300)
    with pytest.raises(DatasetError, match=r"a.csv: expected a file of up to 0 MB"):
        read_cells(path)


COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
OTHERS: dict[str, tuple[bytes | None, str]] = {
    "locked.xlsx": (COMPOUND + "EncryptedPackage".encode("utf-16-le"), "locked with a password; .* save it without one"),
    "cut.xls": (COMPOUND, r"cannot be read as an .xls spreadsheet \(.*; take a fresh copy of it, or open it in .* as .xlsx"),
    "page.XLS": (b"<html><table>", r"an .xls spreadsheet \(.*Expected BOF record.*\); take a fresh copy of it"),
    "empty.xls": (b"", r"an .xls spreadsheet \(an empty file\)"),
    "picture.csv": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x02\x03", r"cannot be read as a CSV file \(.*binary character.*line 1"),
    "open.csv": (b'file,subject\n1,ann\n2,"bob\n3,cid\n', r'open.csv, row 3: a quotation mark \("\) opens a cell and none closes it'),
    "nowhere.csv": (None, "nowhere.csv: expected a sheet's file, found none"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_table_is_told_apart(tmp_path: Path, name: str) -> None:
    data, message = OTHERS[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_cells(tmp_path / name)
    with pytest.raises(DatasetError, match="expected a sheet's file, found no file"):
        read_cells(tmp_path)


def test_an_open_document_is_told_what_to_do_and_a_workbook_may_have_any_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as target:
        target.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        target.writestr("content.xml", "<x/>")
    assert is_sheet("a.ods")
    with pytest.raises(DatasetError, match=r"a.ods: an OpenDocument sheet \(.ods\); save it as .xlsx or .csv"):
        read_cells(tmp_path / "a.ods")
    write_workbook(tmp_path / "a.csv", {"S": [["a"]]})
    assert read_cells(tmp_path / "a.csv") == {"S": [["a"]]}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60), name=st.sampled_from(["a.csv", "a.xlsx", "a.tsv"]))
def test_any_bytes_are_cells_or_one_line(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    try:
        (rows,) = read_cells(tmp_path / name).values()
        assert all(cell == cell.strip() for row in rows for cell in row)
    except DatasetError as error:
        assert name in str(error) and "\n" not in str(error)


# Old workbooks


def test_an_old_workbook_has_the_cells_of_a_new_one(tmp_path: Path) -> None:
    sheets: dict[str, list[list[Cell]]] = {
        "AU+Emotion": [["Subject", "Onset", "AU"], ["006", 46, "4+7"], ["é", 30.5, None], [None, True, " x "]],
        "eye blink": [["a"]],
    }
    new = read_cells(write_workbook(tmp_path / "a.xlsx", sheets))
    old = write_old_workbook(tmp_path / "a.xls", sheets)
    assert read_cells(old) == new == {
        "AU+Emotion": [["Subject", "Onset", "AU"], ["006", "46", "4+7"], ["é", "30.5", ""], ["", "True", "x"]],
        "eye blink": [["a"]],
    }  # fmt: skip
    assert read_cells(old.rename(tmp_path / "b.csv")) == new, "it may have any name"


def test_dates_errors_and_merged_cells_of_an_old_workbook(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write_merge(0, 0, 0, 2, "A title")
    sheet.write_merge(1, 3, 0, 0, "ann")
    sheet.write(1, 1, datetime(2020, 4, 7), xlwt.easyxf(num_format_str="YYYY-MM-DD"))
    sheet.write(2, 1, xlwt.Formula("1+1"))
    sheet.write(3, 1, 2)
    book.save(str(tmp_path / "a.xls"))
    (rows,) = read_cells(tmp_path / "a.xls").values()
    assert rows[0] == ["A title", ""] and [row[0] for row in rows[1:]] == ["ann", "ann", "ann"]
    assert rows[1][1] == "2020-04-07 00:00:00" and rows[3][1] == "2"


def tangled(path: Path) -> Path:
    """An old workbook whose folders name one another, twice each: who follows them is busy for longer than the world is old."""
    data = bytearray(write_old_workbook(path, {"S": [["a"]]}).read_bytes())
    sector = 512 + 512 * int.from_bytes(data[48:52], "little")
    entries = len(data)
    chain = bytearray()
    for number in range(60):
        entry = bytearray(data[sector : sector + 128])
        kind, below = (5, number + 1) if number == 0 else (2, -1)
        left = right = number + 1 if 0 < number < 59 else -1
        entry[66] = kind
        entry[68:80] = b"".join(one.to_bytes(4, "little", signed=True) for one in (left, right, below))
        chain += entry
    data += bytes(-entries % 512) + chain
    first = (entries + 511) // 512 - 1
    table = 512 + 512 * int.from_bytes(data[76:80], "little")
    for number in range(15):
        at = first + number
        following = at + 1 if number < 14 else -2
        data[table + 4 * at : table + 4 * at + 4] = following.to_bytes(4, "little", signed=True)
    data[48:52] = first.to_bytes(4, "little")
    path.write_bytes(bytes(data))
    return path


def test_what_keeps_the_reader_busy_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_file, "_MOST_READING_S", 0.2)
    monkeypatch.setattr(old_workbook, "_STARTING_S", 1.5)
    path = tangled(tmp_path / "a.xls")
    with pytest.raises(
        DatasetError, match=r"a.xls: expected a workbook that is read in 0.2 s, in 1 GB of memory, found more"
    ):
        read_cells(path)


def test_an_old_workbook_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = write_old_workbook(tmp_path / "far.xls", {"S": [["a"], *([] for _ in range(999)), [None] * 9 + ["b"]]})
    long = write_old_workbook(tmp_path / "long.xls", {"S": [["x" * 900] * 20], "T": [["x" * 900] * 20]})
    assert len(next(iter(read_cells(far).values()))) == 1001
    monkeypatch.setattr(sheet_file, "_MOST_CELLS", 2000)
    monkeypatch.setattr(sheet_file, "_MOST_BYTES", 30_000)
    for path in (far, long):
        with pytest.raises(
            DatasetError, match=rf"{path.name}: expected up to 2000 cells with 0 MB of text, found more"
        ):
            read_cells(path)


def test_a_reader_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_old_workbook(tmp_path / "a.xls", {"S": [["a"]]})
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(DatasetError, match=r"a.xls: cannot be read as an .xls spreadsheet \(exit code 1\)"):
        read_cells(path)
