"""A report's page as a reader's program sees it: its addresses, pictures, tables and text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


@dataclass
class Table:
    """Rows of cell texts, and each row's data-part."""

    rows: list[list[str]] = field(default_factory=list)
    parts: list[str | None] = field(default_factory=list)

    def row(self, part: str) -> list[str]:
        return self.rows[self.parts.index(part)]


class Page(HTMLParser):
    """Parses a page; an element left open or closed twice is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.headings: list[str] = []
        self.loose_headers: list[str] = []
        self.tables: dict[str, Table] = {}
        self.texts: list[str] = []
        self._open: list[str] = []
        self._table: Table | None = None
        self.feed(self.source)
        self.close()
        assert self._open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [given[name] or "" for name in ("src", "srcset", "href", "action", "data") if name in given]
        assert not any(name.startswith("on") for name in given)
        if given.get("id"):
            assert given["id"] not in self.anchors
            self.anchors.add(str(given["id"]))
        if tag == "img":
            self.images.append(given)
        if tag == "th" and given.get("scope") not in ("col", "row", "colgroup", "rowgroup"):
            self.loose_headers.append(self.text[-60:])
        if tag == "table":
            self._table = self.tables[str(given.get("id", len(self.tables)))] = Table()
        if tag == "tr" and self._table is not None:
            self._table.rows.append([])
            self._table.parts.append(given.get("data-part"))
        if tag in ("td", "th") and self._table is not None:
            self._table.rows[-1].append("")
        if tag in ("h1", "h2", "h3"):
            self.headings.append(tag)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if {"style", "script"} & set(self._open):
            return
        self.texts.append(data)
        if self._table is not None and {"td", "th"} & set(self._open[-4:]):
            self._table.rows[-1][-1] += data
