"""Annotation sheets: found by their columns, read as text, and refused with the file, the row and the reason."""

import zipfile
from pathlib import Path

import pytest

from tests.helpers.dataset_trees import casme2_tree, samm_tree, smic_tree
from tests.helpers.workbooks import Formula, write_workbook
from train.datasets import casme2, samm, smic
from train.datasets.registry import read_dataset
from train.datasets.sheet_file import read_cells
from train.datasets.source import DatasetError
from train.datasets.spreadsheet import frame_number, key, open_sheet, sheets_in

HEADER = [
    "Subject",
    "Filename",
    None,
    "OnsetFrame",
    "ApexFrame",
    "OffsetFrame",
    None,
    "Action Units",
    "Estimated Emotion",
]
ROW = ["01", "EP90_01f", None, 1, 2, 3, None, 4, "disgust"]


def test_cells_are_text_as_it_was_typed(tmp_path: Path) -> None:
    rows = [
        ["006", 6, 46.0, 0.5, None, " x ", "NA", Formula("1+1", 2), Formula('"a"', "a"), Formula("1+1"), "last"],
        [],
        [1],
    ]
    path = write_workbook(tmp_path / "a.xlsx", {"first": rows, "empty": []})
    assert read_cells(path) == {
        "first": [["006", "6", "46", "0.5", "", "x", "NA", "2", "a", "", "last"], [""] * 11, ["1", *[""] * 10]],
        "empty": [],
    }
    (tmp_path / "b.csv").write_bytes("\ufefffile,subject\r\na.mp4, 006 \r\n".encode())
    assert read_cells(tmp_path / "b.csv") == {"b": [["file", "subject"], ["a.mp4", "006"]]}


@pytest.mark.parametrize(
    ("text", "number"),
    [("46", 46), ("0046", 46), ("46.0", 46), ("0", 0), ("", None), ("/", None), ("46.5", None), ("-1", None), ("4e1", None),
     ("４６", None), ("9" * 16, None)],
)  # fmt: skip
def test_frame_numbers(text: str, number: int | None) -> None:
    assert frame_number(text) == number


def test_the_header_is_found_in_any_row_and_sheet_whatever_its_writing(tmp_path: Path) -> None:
    assert key("Onset Frame") == key("OnsetFrame") == key(" onset_frame")
    table = [[], ["Subject", "a legend"], ["comment"], [None, "FILENAME", "subject ", "Onset  frame", "apex-frame", "Offset", "EMOTION"],
             [None, "EP90_01f", "01", 1, 2, 3, "disgust"], [], ["a remark in the margin"]]  # fmt: skip
    path = write_workbook(tmp_path / "a.xlsx", {"legend": [["Subject", "Filename"]], "later": table})
    sheet = open_sheet(path, casme2.KIND)
    assert (sheet.name, sheet.header_row) == ("later", 4)
    (row,) = sheet.rows
    assert row.number == 5
    assert [row[name] for name in ("Subject", "Filename", "OnsetFrame", "Offset Frame", "Estimated Emotion", "Action Units")] == [
        "01", "EP90_01f", "1", "3", "disgust", "",
    ]  # fmt: skip


def test_the_usual_sheet_of_several_is_read(tmp_path: Path) -> None:
    other = [HEADER, ["02", *ROW[1:]]]
    path = write_workbook(tmp_path / "a.xlsx", {"Copy": other, "Sheet1": [HEADER, ROW]})
    assert open_sheet(path, casme2.KIND).rows[0]["Subject"] == "01"
    path = write_workbook(tmp_path / "b.xlsx", {"Sheet1": [HEADER], "Copy": other})
    assert open_sheet(path, casme2.KIND).rows[0]["Subject"] == "02"


def corrupt_zip(path: Path) -> Path:
    """A valid spreadsheet cut in its middle."""
    write_workbook(path, {"Sheet1": [HEADER, ROW]})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def broken_xml(path: Path) -> Path:
    """A zip whose sheet is no XML."""
    plain = write_workbook(path.with_suffix(".tmp.xlsx"), {"Sheet1": [HEADER, ROW]})
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"<worksheet><oops" if "sheet1" in name else source.read(name))
    plain.unlink()
    return path


def no_sheets(path: Path) -> Path:
    """A zip of something else."""
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("readme.txt", "hello")
    return path


def text(path: Path) -> Path:
    path.write_text("Subject,Filename\n")
    return path


@pytest.mark.parametrize("make", [corrupt_zip, broken_xml, no_sheets, text, Path.touch])
def test_a_corrupt_spreadsheet_is_one_clear_line(make, tmp_path):
    path = tmp_path / "deep" / "data" / "CASME2-coding-20140508.xlsx"
    path.parent.mkdir(parents=True)
    make(path)
    message = r"CASME2-coding-20140508.xlsx: cannot be read as an .xlsx spreadsheet \(.+\); take a fresh copy of it"
    with pytest.raises(DatasetError, match=message) as caught:
        read_dataset("casme2", [path.parent], [path])
    assert "\n" not in str(caught.value)
    with pytest.raises(DatasetError, match=rf"no annotation sheet under .*looked at .*{message}.*--annotation FILE"):
        read_dataset("casme2", [path.parent])


def test_a_broken_old_workbook_and_a_broken_csv(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(DatasetError, match=r"a.xls: cannot be read as an .xls spreadsheet .* save it as .xlsx"):
        read_cells(tmp_path / "a.xls")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"a.csv: cannot be read as a CSV file"):
        read_cells(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([["x"], HEADER[:4] + HEADER[5:], ROW], r"sheet 'S', row 2: missing column Apex Frame of CASME II"),
        ([HEADER[:1]], "no row with the columns Subject, Filename, Onset Frame.* is this the annotation of CASME II"),
        ([], "no row with the columns"),
        ([["Subject", "Filename", "Onset Frame"], ROW], "row 1: missing column Apex Frame, Offset Frame, Estimated Emotion"),
        ([HEADER], "no rows below the header in row 1"),
        ([HEADER, ["01", "006_1_2", *ROW[2:]]], r"the names in column Filename \(first: '006_1_2'\) are not those of CASME II"),
        ([HEADER, [*ROW[:3], Formula("1+1"), *ROW[4:]]], "column Onset Frame is empty in all 1 rows; if it holds formulas"),
    ],
)  # fmt: skip
def test_what_a_sheet_lacks_is_said(table, message, tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", {"S": table})
    with pytest.raises(DatasetError, match=message):
        open_sheet(path, casme2.KIND)


def test_datasets_tell_their_sheets_apart(tmp_path: Path) -> None:
    sheets = {
        casme2: casme2_tree(tmp_path / "casme2").sheets[0],
        samm: samm_tree(tmp_path / "samm").sheets[0],
        smic: smic_tree(tmp_path / "smic").sheets[0],
    }
    for reader, own in sheets.items():
        for path in sheets.values():
            if path == own:
                assert open_sheet(path, reader.KIND).rows
            else:
                with pytest.raises(DatasetError):
                    open_sheet(path, reader.KIND)


def test_only_the_sheet_of_the_hs_camera_is_read(tmp_path: Path) -> None:
    sheet = smic_tree(tmp_path / "deep" / "data").sheets[0]
    cells = read_cells(sheet)
    write_workbook(sheet, {"VIS": cells["VIS"], "NIR": cells["VIS"]})
    with pytest.raises(DatasetError, match="no sheet that could hold SMIC-HS's table"):
        open_sheet(sheet, smic.KIND)
    told = [str(defect) for defect in read_dataset("smic", [tmp_path / "deep" / "data"]).defects]
    assert any(
        "no sheet such as SMIC-HS-E_annotation.xlsx" in line and "no sheet that could hold" in line for line in told
    )
    with pytest.raises(DatasetError, match="no sheet that could hold SMIC-HS's table"):
        read_dataset("smic", [tmp_path], [sheet])


def test_a_usual_name_goes_first_and_lock_files_are_no_sheets(tmp_path: Path) -> None:
    root = tmp_path / "data"
    casme2_tree(root)
    write_workbook(root / "A coding.xlsx", {"S": [HEADER, ROW]})
    (root / "~$CASME2-coding-20140508.xlsx").write_bytes(b"lock")
    (root / "._CASME2-coding-20140508.xlsx").write_bytes(b"mac")
    assert [path.name for path in sheets_in(root)] == ["A coding.xlsx", "CASME2-coding-20140508.xlsx"]
    reading = read_dataset("casme2", [root])
    assert reading.sheets == (root / "CASME2-coding-20140508.xlsx",)
    assert [defect.reason for defect in reading.defects if "--annotation" in defect.reason] == [
        f"this annotation sheet is used; {root / 'A coding.xlsx'} would fit as well; choose with --annotation FILE"
    ]
