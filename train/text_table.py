"""A table in words, written once: shown in a terminal, or as Markdown to be pasted. And numbers as tables show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from model.guards import shown


@dataclass(frozen=True)
class TextTable:
    """Headings and rows of text. The first column is text, the others numbers, but for those in `centred`, which are marks.

    A row may end early. `note` goes below; `last_apart`: a line above the last row, which is chance.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    centred: range = range(0)
    last_apart: bool = False

    def shown(self) -> Table:
        """For a terminal."""
        table = Table(title=escape(self.title) or None, caption=escape(self.note) or None)
        for number, heading in enumerate(self.headings):
            table.add_column(escape(heading), justify="right" if number else "left", overflow="fold")  # type: ignore[arg-type]
        for number, row in enumerate(self.rows, start=1):
            if self.last_apart and number == len(self.rows):
                table.add_section()
            table.add_row(*map(escape, row))
        return table

    def markdown(self) -> str:
        """Lines of Markdown without the title; the note below."""
        ways = [":-:" if number in self.centred else "--:" for number in range(len(self.headings))]
        lines = [_line(self.headings), _line(["---", *ways[1:]])]
        lines += [_line([*row, *[""] * (len(self.headings) - len(row))]) for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else [])])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(shown(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def spread_text(found: Mapping[str, Any], digits: int = 3) -> str:
    """ "0.853 ± 0.012" of a mean and a standard deviation, or the mean alone where there is one value."""
    mean = f"{found['mean']:.{digits}f}"
    return mean if found["sd"] is None else f"{mean} ± {found['sd']:.{digits}f}"


def signed(value: float) -> str:
    """Three decimals with a sign, a real minus; no sign for what rounds to nothing."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text in ("+0.000", "−0.000") else text
