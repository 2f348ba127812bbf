"""The tables of a Markdown page, for tests of what it says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PageTable:
    """A table: its headings, and its rows' cells, all without emphasis and code marks."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def row(self, name: str) -> dict[str, str]:
        """The row whose first cell is `name`, by heading."""
        (found,) = [row for row in self.rows if row[0] == name]
        return dict(zip(self.headings, found, strict=True))


def tables_of(page: str) -> list[PageTable]:
    """All tables of a page, in order."""
    found: list[PageTable] = []
    for block in re.findall(r"(?:^\|.*\|[ \t]*$\n?)+", page, flags=re.MULTILINE):
        lines = [_cells(line) for line in block.strip().splitlines()]
        if len(lines) > 2 and all(re.fullmatch(r":?-+:?", cell) for cell in lines[1]):
            found.append(PageTable(lines[0], tuple(lines[2:])))
    return found


def table_with(tables: Sequence[PageTable], *headings: str) -> PageTable:
    """The first table whose headings begin with these."""
    for table in tables:
        if table.headings[: len(headings)] == headings:
            return table
    raise AssertionError(f"expected a table with the headings {headings}, found {[t.headings for t in tables]}")


def _cells(line: str) -> tuple[str, ...]:
    return tuple(re.sub(r"[*`]", "", cell).strip() for cell in line.strip().strip("|").split("|"))
