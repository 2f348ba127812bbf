"""Damage to datasets of clips and of long videos: their sheets, by bytes and by cells, their folders, and what these are
called."""

import csv
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated, mutated_archive
from tests.fuzz.text_mutations import mutated_csv
from tests.helpers.workbooks import Cell, write_old_workbook, write_workbook
from train.datasets.sheet_file import read_cells

_SHEETS = (".xls", ".xlsx")
_LONGEST_CELL = 32_000
_NAMES = (
    "15_0101disgustingteeth", "99_9999nobody", "15_0101", "s15", "s1", "006_1", "041_1", "041_1_2", "spNO.7", "spNO.", "a",
    "b", "color", "depth", "rawpic", "rawvideo", "cropped", "selectedpic", "x" * 200, "line\nbreak", "é🙂\u202e", "[bold]x",
    "S71-01-001", "S71-01-1", "sub0071_01", "sub07", "EP91_1", "gray_micro", "Section A", "s7_ne_01", "s07_po_02", "HS_long",
    "SMIC-VIS-E", "testA_full_with_AU.xlsx", "happiness", "micro", "00000.png",
    " ", "-1", "0", "9" * 60, "img001.jpg", "\udcff\udcfe_0101", ".hidden", "~$lock.xlsx", "code_final.xls",
)  # fmt: skip


def mutated_dataset(root: Path, rng: Random) -> tuple[list[Path], str]:
    """Damages the dataset below `root` in one to three ways; sheets to be given by name, and how."""
    given: list[Path] = []
    told: list[str] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice(
            (_bytes_of_a_sheet, _bytes_of_a_sheet, _cells_of_a_sheet, _cells_of_a_sheet, _folder, _names, _pictures)
        )
        path, how = change(root, rng)
        given += [path] if path is not None else []
        told.append(how)
    return [path for path in given if path.exists()], "; ".join(told)


def _sheets(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix in _SHEETS and path.is_file())


def _bytes_of_a_sheet(root: Path, rng: Random) -> tuple[Path | None, str]:
    sheets = _sheets(root)
    if not sheets:
        return None, "no sheet left"
    path = rng.choice(sheets)
    change: Callable[[bytes, Random], tuple[bytes, str]] = mutated
    if path.suffix == ".xlsx" and path.read_bytes()[:2] == b"PK" and rng.random() < 0.6:
        change = _in_archive
    data, how = change(path.read_bytes(), rng)
    path.write_bytes(data)
    return None, f"{path.name}: {how}"


def _in_archive(data: bytes, rng: Random) -> tuple[bytes, str]:
    try:
        return mutated_archive(data, rng)
    except Exception:  # an earlier mutation has broken it
        return mutated(data, rng)


def _cells_of_a_sheet(root: Path, rng: Random) -> tuple[Path | None, str]:
    """Some cells, a column or rows of it; saved in the same or another format."""
    sheets = _sheets(root)
    if not sheets:
        return None, "no sheet left"
    path = rng.choice(sheets)
    try:
        tables = read_cells(path)
    except ValueError:
        return None, f"{path.name}: broken before"
    name = rng.choice(sorted(tables))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(tables[name])
    changed, how = mutated_csv(text.getvalue(), rng) if tables[name] else ("", "nothing in it")
    form = rng.choice((".csv", ".xls", ".xlsx", path.suffix))
    if form == ".csv":
        target = path.with_suffix(".csv")
        target.write_text(changed, encoding="utf-8", errors="surrogatepass")
        return target, f"{path.name}, {name}: {how}, as .csv"
    path.unlink()
    try:
        tables[name] = [row for row in csv.reader(io.StringIO(changed))]
    except csv.Error:
        tables[name] = [changed.split(",")[:100]]
    cells: dict[str, list[list[Cell]]] = {
        f"{number}"[:31] if rng.random() < 0.05 else title: [[_cell(cell, rng) for cell in row[:200]] for row in table]
        for number, (title, table) in enumerate(tables.items())
    }
    (write_old_workbook if form == ".xls" else write_workbook)(path.with_suffix(form), cells)
    return None, f"{path.name}, {name}: {how}, as {form}"


def _cell(text: str, rng: Random) -> Cell:
    text = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]", " ", text)[:_LONGEST_CELL].lstrip("=")
    if re.fullmatch(r"-?[0-9]{1,15}", text) and rng.random() < 0.7:
        return int(text)
    return text or None


def _folder(root: Path, rng: Random) -> tuple[Path | None, str]:
    """A folder is gone, a file, copied into another, or leads back to where it came from."""
    folders = sorted(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())
    if not folders:
        return None, "no folder left"
    path, other = rng.choice(folders), rng.choice(folders)
    how = rng.choice(("gone", "file", "copied", "ring", "moved", "empty"))
    if how == "ring":
        (path / "again").symlink_to(root.resolve(), target_is_directory=True)
    elif how in ("copied", "moved"):
        if path in (other, *other.parents) or os.path.lexists(other / path.name):
            return None, f"{path.relative_to(root)}: left"
        if how == "moved":
            path.rename(other / path.name)
        else:
            shutil.copytree(path, other / path.name, symlinks=True)
    else:
        shutil.rmtree(path)
        if how == "file":
            path.write_bytes(b"\xff\xd8\xff")
        elif how == "empty":
            path.mkdir()
    return None, f"{path.relative_to(root)}: {how}"


def _names(root: Path, rng: Random) -> tuple[Path | None, str]:
    """Some files or folders get another's name, or no name at all."""
    told: list[str] = []
    for _ in range(rng.choice((1, 2, 8))):
        paths = sorted(path for path in root.rglob("*") if not path.is_symlink())
        if not paths:
            break
        path = rng.choice(paths)
        target = path.with_name(rng.choice((*_NAMES, rng.choice(paths).name, path.name.upper())))
        if not os.path.lexists(target):
            path.rename(target)
            told.append(f"{path.name} called {target.name[:30]!r}")
    return None, ", ".join(told) or "nothing renamed"


def _pictures(root: Path, rng: Random) -> tuple[Path | None, str]:
    """Pictures that are empty, gone, folders, or numbered in another way."""
    pictures = sorted(path for path in root.rglob("*") if path.suffix in (".jpg", ".png") and path.is_file())
    chosen = rng.sample(pictures, min(len(pictures), rng.choice((1, 5, 50, 500))))
    how = rng.choice(("gone", "empty", "folder", "number"))
    for path in chosen:
        if how == "empty":
            path.write_bytes(b"")
            continue
        path.unlink()
        if how == "folder":
            path.mkdir()
        elif how == "number":
            number = rng.choice(("", "x", "0", "-1", "٣", str(rng.randrange(2000)), "9" * rng.randrange(1, 200)))
            path.with_name(f"img{number}{path.suffix}").write_bytes(b"\xff\xd8\xff")
    return None, f"{len(chosen)} pictures: {how}"
