"""The cells of an old workbook (.xls), read in a process of its own.

xlrd believes what a file says of itself: a few hundred bytes can keep it busy for ever, or fill the memory. A process can be
ended, and it can be given no more memory than it may have. This file is its program as well: standard library, our errors and xlrd only.
"""

import contextlib
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.errors import MicroliveError

_ROOT = Path(__file__).resolve().parents[2]
_MEMORY_BYTES = 1 << 30
_STARTING_S = 10.0
_LOCKED = "EncryptedPackage".encode("utf-16-le")
"""The stream of an .xlsx with a password, which is a compound file as an .xls is."""

OldCells = list[list[str]]


@dataclass(frozen=True)
class OldWorkbookLimits:
    """How much may be in it: cells and bytes of text in all sheets; and how long reading may take."""

    cells: int
    text_bytes: int
    seconds: float


class OldWorkbookError(MicroliveError, ValueError):
    """It cannot be read: why, in words that follow the file's name. `locked`: with a password."""

    def __init__(self, reason: str, locked: bool = False) -> None:
        super().__init__(reason)
        self.locked = locked


class LargeWorkbookError(OldWorkbookError):
    """There is more in it than may be; the reason is what was expected."""


def read_old_workbook(path: Path, limits: OldWorkbookLimits) -> dict[str, OldCells]:
    """All cells as stripped text, by sheet: rows of one length each.

    Numbers and dates come as those of an .xlsx do, cells that are merged downwards are filled.

    Raises:
        OldWorkbookError: it is damaged, locked, something else, or holds more than the limits say.
    """
    # -P: not from where it is started; from where this program is.
    command = [sys.executable, "-P", "-m", "train.datasets.old_workbook", str(path), json.dumps(asdict(limits))]
    paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_STARTING_S + limits.seconds,
            env={**os.environ, "PYTHONPATH": paths},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_slow(limits) from error
    try:
        found = json.loads(done.stdout)
    except ValueError as error:
        if done.returncode < 0:  # by a signal: the system's limits
            raise _too_slow(limits) from error
        lines = done.stderr.decode(errors="replace").split("\n")
        reason = next((line for line in reversed(lines) if line.strip()), f"exit code {done.returncode}")
        raise OldWorkbookError(" ".join(reason.split())[:200]) from error
    if "sheets" in found:
        return found["sheets"]
    if found["kind"] == "large":
        raise LargeWorkbookError(found["reason"])
    raise OldWorkbookError(found["reason"], locked=found["kind"] == "locked")


def _too_slow(limits: OldWorkbookLimits) -> LargeWorkbookError:
    return LargeWorkbookError(f"a workbook that is read in {limits.seconds:g} s, in {_MEMORY_BYTES >> 30} GB of memory")


# The process


def _main(path: str, limits: OldWorkbookLimits) -> None:
    """Prints the cells, or why there are none, as one JSON object."""
    _limit_process(limits)
    try:
        found: dict[str, Any] = {"sheets": _cells(Path(path).read_bytes(), limits)}
    except MemoryError:
        found = {"kind": "large", "reason": str(_too_slow(limits))}
    except LargeWorkbookError as error:
        found = {"kind": "large", "reason": str(error)}
    except OldWorkbookError as error:
        found = {"kind": "locked" if error.locked else "damaged", "reason": str(error)}
    json.dump(found, sys.stdout)


def _limit_process(limits: OldWorkbookLimits) -> None:
    """So that it ends in time even where nobody waits for it any more. Windows has no such limits."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        seconds = math.ceil(_STARTING_S + limits.seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _cells(data: bytes, limits: OldWorkbookLimits) -> dict[str, OldCells]:
    book = _opened(data)
    found: dict[str, OldCells] = {}
    left = limits
    for number, name in enumerate(book.sheet_names()):
        try:
            sheet = book.sheet_by_index(number)
            found[str(name)], left = _sheet_cells(sheet, book.datemode, left, limits)
        except (MemoryError, OldWorkbookError):
            raise
        except Exception as error:  # xlrd has no error of its own for most of what can be wrong
            raise OldWorkbookError(_told(error)) from error
        book.unload_sheet(number)
    return found


def _opened(data: bytes) -> Any:
    """With the formats, in which merged cells are, where they can be read."""
    import xlrd

    if not data:
        raise OldWorkbookError("an empty file")
    reasons: list[str] = []
    for formats in (True, False):
        try:
            return xlrd.open_workbook(
                file_contents=data, logfile=io.StringIO(), formatting_info=formats, on_demand=True, ragged_rows=True
            )
        except MemoryError:
            raise
        except Exception as error:
            reasons.append(_told(error))
    locked = "encrypted" in reasons[-1].casefold() or _LOCKED in data
    raise OldWorkbookError(reasons[-1], locked)


def _sheet_cells(
    sheet: Any, datemode: Any, left: OldWorkbookLimits, limits: OldWorkbookLimits
) -> tuple[OldCells, OldWorkbookLimits]:
    """A sheet's rows, and what of the limits is left for the next one."""
    too_large = LargeWorkbookError(f"up to {limits.cells} cells with {limits.text_bytes >> 20} MB of text")
    places: dict[tuple[int, int], str] = {}
    length = 0
    for row in range(sheet.nrows):
        for column, cell in enumerate(sheet.row(row)):
            if text := _text_of(cell, datemode):
                places[row, column] = text
                length += len(text)
        if len(places) > left.cells or length > left.text_bytes:
            raise too_large
    height, width = (max((place[axis] + 1 for place in places), default=0) for axis in (0, 1))
    if height * width > left.cells:
        raise too_large
    cells = [[places.get((row, column), "") for column in range(width)] for row in range(height)]
    seen = height * width
    for first_row, end_row, first_column, _ in sheet.merged_cells:
        below = range(first_row + 1, min(end_row, height) if first_column < width else 0)
        seen += len(below)
        if seen > left.cells:
            raise too_large
        for row in below:
            cells[row][first_column] = cells[first_row][first_column]
    return cells, OldWorkbookLimits(left.cells - seen, left.text_bytes - length, limits.seconds)


def _text_of(cell: Any, datemode: Any) -> str:
    import xlrd

    value = cell.value
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return ""
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(value))
    if cell.ctype == xlrd.XL_CELL_DATE:
        with contextlib.suppress(Exception):  # a number far off any date
            return str(xlrd.xldate_as_datetime(value, datemode))
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    return str(value).strip()


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


if __name__ == "__main__":
    sys.setrecursionlimit(500)
    _main(os.fspath(sys.argv[1]), OldWorkbookLimits(**json.loads(sys.argv[2])))
